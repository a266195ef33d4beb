"""Clip scores -> metrics with intervals, and curves.

Conventions:
    scores   probability of `patient`, in [0, 1]. Shape (n_clips,), or (n_seeds, n_clips)
             where several trainings scored the same clips.
    labels   1 for patient, 0 for control. Shape (n_clips,).
    groups   the speaker of each clip; intervals resample speakers, not clips.
    weights  how often each clip counts. Shape (n_resamples, n_clips), or absent: once.
    A clip is called patient where its score is at or above the threshold.
    A metric that the labels do not determine (one class only) raises: a silent
    0.5 or NaN in metrics.json outlives the run that wrote it.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.metrics import precision_recall_curve, roc_curve

from spira.core.section import Section
from spira.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class EvaluateParams(Section):
    threshold_condition: Literal["clean", "noisy", "noisy_controls"]  # under which validation picks it
    n_resamples: PositiveInt  # of the speakers, for intervals
    confidence: float = Field(gt=0, lt=1)
    seed: NonNegativeInt


def require_both_classes(labels: Ints, where: str) -> None:
    """Nothing, or a DataError that names the class that is missing."""
    for label, name in enumerate(("control", "patient")):
        if not np.any(labels == label):
            raise DataError(f"{where}: needs patients and controls to be judged, has no {name} clip")


def youden_threshold(labels: Ints, scores: Floats) -> float:
    """The score that, as a threshold, maximizes sensitivity + specificity - 1.

    Of several that do, the highest: the fewest false alarms. Always one of the scores,
    so finite, even where no threshold is better than chance.

    Source:
        Youden, "Index for rating diagnostic tests", Cancer, 1950.
    """
    require_both_classes(labels, "threshold")
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    gain = np.round(tpr - fpr, 9)  # equal fractions differ by less, as floats
    return float(thresholds[1 + np.argmax(gain[1:])])  # the first is infinite and calls nobody a patient


def auc(labels: Ints, scores: Floats, weights: Floats | None = None) -> Floats:
    """Probability that a patient's clip scores above a control's, ties counting half.

    Returns:
        Shape (n_resamples,), or () without weights.

    Source:
        Mann and Whitney, 1947; agrees with ``sklearn.metrics.roc_auc_score(sample_weight=...)``.
    """
    require_both_classes(labels, "auc")
    patients, controls = scores[labels == 1, None], scores[labels == 0]
    wins = (patients > controls) + 0.5 * (patients == controls)  # (n_patients, n_controls)
    weights = np.ones(labels.size) if weights is None else weights
    of_patients, of_controls = weights[..., labels == 1], weights[..., labels == 0]
    won = np.sum((of_patients @ wins) * of_controls, axis=-1)
    return np.asarray(won / (of_patients.sum(axis=-1) * of_controls.sum(axis=-1)))


def at_threshold(labels: Ints, scores: Floats, threshold: float, weights: Floats | None = None) -> dict[str, Floats]:
    """Sensitivity, specificity, accuracy and F1 of calling patient whoever reaches the threshold.

    Returns:
        Each of shape (n_resamples,), or () without weights.
    """
    require_both_classes(labels, "at_threshold")
    weights = np.ones(labels.size) if weights is None else weights
    called = scores >= threshold

    def count(clips: NDArray[np.bool_]) -> Floats:
        return np.asarray(weights[..., clips].sum(axis=-1), dtype=np.float64)

    hits, misses = count(called & (labels == 1)), count(~called & (labels == 1))
    alarms, rejections = count(called & (labels == 0)), count(~called & (labels == 0))
    return {
        "sensitivity": hits / (hits + misses),
        "specificity": rejections / (rejections + alarms),
        "accuracy": (hits + rejections) / (hits + misses + alarms + rejections),
        "f1": 2 * hits / (2 * hits + misses + alarms),
    }


def all_metrics(
    labels: Ints, scores: Floats, thresholds: Sequence[float], weights: Floats | None = None
) -> dict[str, Floats]:
    """Every metric of every seed, each of shape (n_seeds,) or (n_seeds, n_resamples)."""
    rows = [
        {"auc": auc(labels, of_seed, weights), **at_threshold(labels, of_seed, threshold, weights)}
        for of_seed, threshold in zip(scores, thresholds, strict=True)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def speaker_resamples(labels: Ints, groups: Sequence[str], n_resamples: int, seed: int) -> Floats:
    """How often each clip counts when speakers are drawn anew, with replacement.

    Patients and controls are drawn apart, so that every resample holds as many of
    each as the study did; a speaker brings all of their clips.

    Returns:
        Shape (n_resamples, n_clips).

    Source:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, on resampling the independent unit.
    """
    require_both_classes(labels, "speaker_resamples")
    rng = np.random.default_rng(seed)
    speakers, whose = np.unique(np.asarray(groups), return_inverse=True)
    weights = np.zeros((n_resamples, labels.size))
    for label in (0, 1):
        members = np.unique(whose[labels == label])
        draws = rng.multinomial(members.size, np.full(members.size, 1 / members.size), size=n_resamples)
        counts = np.zeros((n_resamples, speakers.size))
        counts[:, members] = draws
        weights += counts[:, whose] * (labels == label)
    return weights


def spread(of_seeds: Sequence[float] | Floats) -> float:
    """Sample standard deviation over seeds; 0 for one seed."""
    return float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else 0.0


def summarize(
    labels: Ints, scores: Floats, groups: Sequence[str], thresholds: Sequence[float], p: EvaluateParams
) -> dict[str, float]:
    """Each metric as its mean over seeds, its spread over seeds and its interval over speakers.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        groups: the speaker of each clip, shape (n_clips,).
        thresholds: one a seed, chosen elsewhere.
        p: how many resamples, and the confidence of the interval.

    Returns:
        ``auc``, ``auc_lo``, ``auc_hi`` (percentiles of the mean over seeds, over resampled
        speakers), ``auc_sd`` (``spread`` over seeds), and so on.
    """
    weights = speaker_resamples(labels, groups, p.n_resamples, p.seed)
    once = all_metrics(labels, scores, thresholds)
    resampled = all_metrics(labels, scores, thresholds, weights)
    tail = 50 * (1 - p.confidence)
    summary: dict[str, float] = {}
    for name, of_seeds in once.items():
        lo, hi = np.percentile(resampled[name].mean(axis=0), [tail, 100 - tail])
        summary[name] = float(of_seeds.mean())
        summary[f"{name}_lo"], summary[f"{name}_hi"] = float(lo), float(hi)
        summary[f"{name}_sd"] = spread(of_seeds)
    return summary


def mean_roc(labels: Ints, scores: Floats, n_points: int = 101) -> tuple[Floats, Floats]:
    """(false positive rate, true positive rate): the vertical mean of the seeds' ROC curves.

    From (0, 0), straight up to what is detected without a false alarm, then on to (1, 1).
    Where a curve steps up, its height is the top of the step.

    Returns:
        Each of shape (1 + n_points,).
    """
    grid = np.linspace(0, 1, n_points)
    curves = []
    for of_seed in scores:
        fpr, tpr, _ = roc_curve(labels, of_seed)
        curves.append(np.interp(grid, fpr, tpr))
    return np.concatenate([[0.0], grid]), np.concatenate([[0.0], np.mean(curves, axis=0)])


def mean_precision_recall(labels: Ints, scores: Floats, n_points: int = 101) -> tuple[Floats, Floats]:
    """(recall, precision): the mean over seeds of the best precision at each recall or above.

    Returns:
        Each of shape (n_points,).
    """
    grid = np.linspace(0, 1, n_points)
    curves = []
    for of_seed in scores:
        precision, recall, _ = precision_recall_curve(labels, of_seed)
        precision, recall = precision[:-1], recall[:-1]  # the last point is nobody's: precision 1 by convention
        envelope = np.maximum.accumulate(precision)  # recall falls along the curve, so this looks at recall >= r
        curves.append(envelope[np.searchsorted(-recall, -grid, side="right") - 1])
    return grid, np.mean(curves, axis=0)


def score_histogram(labels: Ints, scores: Floats, n_bins: int = 20) -> tuple[Floats, Floats, Floats]:
    """(bin centre, fraction of controls, fraction of patients) over all seeds; fractions sum to 1."""
    edges = np.linspace(0, 1, n_bins + 1)
    fractions = []
    for label in (0, 1):
        counts, _ = np.histogram(scores[:, labels == label], bins=edges)
        fractions.append(counts / counts.sum())
    return (edges[:-1] + edges[1:]) / 2, fractions[0], fractions[1]


def confusion(labels: Ints, scores: Floats, thresholds: Sequence[float]) -> list[tuple[str, str]]:
    """(actual, predicted) class of every clip by every seed, in words."""
    names = ("control", "patient")
    called = scores >= np.asarray(thresholds)[:, None]
    return [(names[label], names[int(call)]) for row in called for label, call in zip(labels, row, strict=True)]
