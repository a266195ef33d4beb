"""Calibration: a map from scores to probabilities, fitted on validation clips, and measures of miscalibration.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. Scores are calibrated where, of
the clips scored 0.8, eight in ten are patients': at the share of patients that these clips have.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes
from spira.evaluation.params import CalibrationParams

Calibrator = Callable[[Floats], Floats]
_CLIP = 1e-6  # a score of exactly 0 or 1 has no logit
_HOTTEST = 20.0  # temperatures are sought from 1 / this to this; separable clips ask for 0
_TOLERANCE = 1e-12  # of a root; what is written has six decimals


def log_odds(scores: Floats) -> Floats:
    """ln(p / (1 - p)), of scores kept 1e-6 away from 0 and 1."""
    return np.asarray(logit(np.clip(scores, _CLIP, 1 - _CLIP)))


def calibrator(labels: Ints, scores: Floats, p: CalibrationParams) -> Calibrator:
    """The map from scores to probabilities, fitted on these clips, which must be validation clips."""
    require_both_classes(labels, "calibration")
    if p.method == "temperature":
        heat = temperature(labels, scores)
        return lambda raw: np.asarray(expit(log_odds(raw) / heat))
    from sklearn.isotonic import IsotonicRegression  # a second, which the other method need not wait for

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels)
    return lambda raw: np.asarray(fitted.predict(raw))


def temperature(labels: Ints, scores: Floats) -> float:
    """The divisor of the log odds that makes the clips' likelihood highest; over 1 where scores are too sure.

    It keeps the order of the scores, so neither the AUC nor any call at a threshold that moves with it changes.

    Returns:
        In [0.05, 20]; clips that the scores separate, or order worse than chance, end at a limit.

    Source:
        Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    odds, signs = log_odds(scores), 2 * labels - 1

    def slope_of_loss(log_heat: float) -> float:
        return float(np.mean(signs * odds * expit(-signs * odds / np.exp(log_heat))))

    limit = float(np.log(_HOTTEST))
    return float(np.exp(_root(slope_of_loss, -limit, limit)))


def squared_error(labels: Ints, scores: Floats, weights: Floats | None = None) -> Floats:
    """Brier score: the mean of (score - label)²; 0.25 for who always says 0.5. Shape (n_resamples,), or ().

    Source:
        Brier, Monthly Weather Review, 1950; agrees with ``sklearn.metrics.brier_score_loss``.
    """
    weights = np.ones(labels.size) if weights is None else weights
    return np.asarray(weights @ (scores - labels) ** 2 / weights.sum(axis=-1))


def reliability(labels: Ints, scores: Floats, n_bins: int) -> tuple[Floats, Floats, Ints]:
    """(mean score, share of patients, number of clips) of each bin of equal width that holds a clip.

    A score on an edge belongs to the bin below, 0 to the first.

    Source:
        Agrees with ``sklearn.calibration.calibration_curve``, which has no counts.
    """
    bins = _bins(scores, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    sums = [np.bincount(bins, weights=of, minlength=n_bins)[counts > 0] for of in (scores, labels)]
    held = counts[counts > 0]
    return sums[0] / held, sums[1] / held, held


def _bins(scores: Floats, n_bins: int) -> Ints:
    return np.asarray(np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], scores))


def expected_error(labels: Ints, scores: Floats, n_bins: int, weights: Floats | None = None) -> Floats:
    """Expected calibration error: the mean over clips of |mean score - share of patients| of the clip's bin.

    Never 0 for a sample, however calibrated: a bin of few clips strays by chance. So its interval is of what a
    study of as many people finds, not of what an endless one would. Shape (n_resamples,), or ().

    Source:
        Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    weights = np.ones(labels.size) if weights is None else weights
    surplus = (scores - labels)[:, None] * (_bins(scores, n_bins)[:, None] == np.arange(n_bins))  # (n_clips, n_bins)
    return np.asarray(np.abs(weights @ surplus).sum(axis=-1) / weights.sum(axis=-1))


def slope(labels: Ints, scores: Floats) -> float:
    """Slope of the logistic regression of the label on the log odds: 1 is calibrated, less is too sure.

    Returns:
        NaN where it is infinite or anything: one score separates the classes, or all are the same.

    Source:
        Cox, "Two further applications of a model for binary regression", Biometrika, 1958.
    """
    from scipy.optimize import root  # a fifth of a second, for this alone

    odds = log_odds(scores)
    patients, controls = odds[labels == 1], odds[labels == 0]
    if patients.min() >= controls.max() or controls.min() >= patients.max():
        return float("nan")
    columns = np.stack([(odds - odds.mean()) / odds.std(), np.ones(odds.size)], axis=1)

    def gradient(line: Floats) -> Floats:
        return np.asarray(columns.T @ (expit(columns @ line) - labels) / labels.size)

    def hessian(line: Floats) -> Floats:
        expected = expit(columns @ line)
        return np.asarray((columns * (expected * (1 - expected))[:, None]).T @ columns / labels.size)

    return float(root(gradient, np.zeros(2), jac=hessian, tol=_TOLERANCE).x[0] / odds.std())


def intercept(labels: Ints, scores: Floats) -> float:
    """Calibration in the large: what to add to the log odds so that the expected patients are as many as the real ones.

    Above 0 the scores are too low on the whole.

    Source:
        Van Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC Medicine, 2019.
    """
    odds = log_odds(scores)
    reach = 2 * float(np.abs(odds).max()) + float(np.log(labels.size)) + 1

    def surplus(added: float) -> float:
        return float(np.mean(expit(odds + added) - labels))

    return _root(surplus, -reach, reach)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a rising function in [low, high]; the nearer end where it has none there."""
    from scipy.optimize import brentq  # a fifth of a second, for this alone

    if rising(high) <= 0:
        return high
    return low if rising(low) >= 0 else float(brentq(rising, low, high, xtol=_TOLERANCE))
