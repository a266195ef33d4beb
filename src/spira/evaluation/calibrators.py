"""Validation's scores -> a map that makes scores probabilities; and how far from probabilities scores are.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. A score is calibrated where, of
the clips that are given 0.8, eight in ten are patients': at the share of patients that these clips have.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes
from spira.evaluation.params import CalibrationParams

Calibrator = Callable[[Floats], Floats]
_CLIP = 1e-6  # a score of exactly 0 or 1 has no logit
_MOST_STEPS = 100  # ten are usual
_HOTTEST = 20.0  # temperatures are sought from 1 / this to this; separable clips ask for 0


def log_odds(scores: Floats) -> Floats:
    """ln(p / (1 - p)), of scores kept 1e-6 away from 0 and 1."""
    return np.asarray(logit(np.clip(scores, _CLIP, 1 - _CLIP)))


def calibrator(labels: Ints, scores: Floats, p: CalibrationParams) -> Calibrator:
    """The map from scores to probabilities that these clips, which must be validation's, recommend."""
    require_both_classes(labels, "calibration")
    if p.method == "temperature":
        heat = temperature(labels, scores)
        return lambda of: np.asarray(expit(log_odds(of) / heat))
    from sklearn.isotonic import IsotonicRegression  # a second, which the other method need not wait for

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels)
    return lambda of: np.asarray(fitted.predict(of))


def temperature(labels: Ints, scores: Floats) -> float:
    """By what to divide the log odds so that the clips' likelihood is highest; over 1 where scores are too sure.

    It changes no order, so neither AUC nor any call at a threshold that moves with it.

    Returns:
        In [0.05, 20]; clips that the scores separate, or order worse than chance, end at a limit.

    Source:
        Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    odds, signs = log_odds(scores), 2 * labels - 1

    def gain(log_heat: float) -> float:
        return float(np.mean(signs * odds * expit(-signs * odds / np.exp(log_heat))))  # were it a little colder

    limit = float(np.log(_HOTTEST))
    return float(np.exp(_crossing(gain, -limit, limit)))


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
    """Of the logistic regression of the label on the log odds: 1 is calibrated, less is too sure.

    Returns:
        NaN where it is infinite or anything: one score separates the classes, or all are the same.

    Source:
        Cox, "Two further applications of a model for binary regression", Biometrika, 1958.
    """
    odds = log_odds(scores)
    patients, controls = odds[labels == 1], odds[labels == 0]
    if patients.min() >= controls.max() or controls.min() >= patients.max():
        return float("nan")
    line, columns = np.zeros(2), np.stack([odds - odds.mean(), np.ones(odds.size)], axis=1)
    for _ in range(_MOST_STEPS):  # of Newton
        expected = expit(columns @ line)
        pull = columns.T @ (labels - expected)
        step = np.linalg.solve((columns * (expected * (1 - expected))[:, None]).T @ columns, pull)
        while _loss(labels, columns @ (line + step)) > _loss(labels, columns @ line) + 1e-12:
            step /= 2  # past the top of the likelihood
        line += step
        if np.abs(step).max() < 1e-9:
            break
    return float(line[0])


def _loss(labels: Ints, odds: Floats) -> float:
    return float(np.mean(np.logaddexp(0, (1 - 2 * labels) * odds)))


def intercept(labels: Ints, scores: Floats) -> float:
    """What to add to the log odds so that as many patients are expected as there are: 0 is calibrated in the large.

    Above 0 the scores are too low on the whole.

    Source:
        Van Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC Medicine, 2019.
    """
    odds = log_odds(scores)
    reach = 2 * float(np.abs(odds).max()) + float(np.log(labels.size)) + 1

    def surplus(added: float) -> float:
        return float(np.mean(expit(odds + added) - labels))

    return _crossing(surplus, -reach, reach)


def _crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that rises passes 0, by halves, to a millionth of a millionth; else the end nearer to it."""
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
