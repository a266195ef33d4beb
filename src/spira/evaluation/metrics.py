"""Clip scores -> metrics.

Conventions:
    scores   probability of `patient`, in [0, 1]. Shape (n_clips,), or (n_seeds, n_clips)
             where several trainings scored the same clips. A training is all models of a seed:
             one, or under cross-validation one a fold, each of which scored its own clips.
    labels   1 for patient, 0 for control. Shape (n_clips,).
    speakers  the speaker of each clip; intervals resample speakers, not clips.
    thresholds  by which each clip is classified, shape (n_seeds, n_clips): a model has one.
    weights  how often each clip counts. Shape (n_resamples, n_clips), or absent: once.
    A metric is in [0, 1], or in [-1, 1] where LEAST says so; its interval follows from that.
    A clip is classified as patient where its score is at or above the threshold.
    A metric that the labels do not determine (one class only) raises: a silent
    0.5 or NaN in metrics.json outlives the run that wrote it.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from spira.base.array_types import CLASSES, Floats, Ints
from spira.base.errors import DataError

# The least that each metric can be, 0 or -1; the most is 1. A correlation such as Matthews's can be -1.
LEAST: dict[str, Literal[0, -1]] = {
    "auc": 0,
    "sensitivity": 0,
    "specificity": 0,
    "accuracy": 0,
    "f1": 0,
}
UNDETERMINED = "not determined by these clips"  # written in place of a number


def require_both_classes(labels: Ints, where: str) -> None:
    """Raise a DataError that names the missing class; do nothing where both are there."""
    for label, name in enumerate(CLASSES):
        if not np.any(labels == label):
            raise DataError(f"{where}: needs patients and controls, has no {name} clip")


def auc(labels: Ints, scores: Floats, weights: Floats | None = None) -> Floats:
    """Probability that a patient's clip scores above a control's, ties counting half.

    Returns:
        Shape (n_resamples,), or () without weights.

    Source:
        Mann and Whitney, 1947; agrees with ``sklearn.metrics.roc_auc_score(sample_weight=...)``.
    """
    require_both_classes(labels, "auc")
    weights = np.ones(labels.size) if weights is None else weights
    patients, controls = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    controls = controls[np.argsort(scores[controls])]
    beaten = running_sum(np.take(weights, controls, axis=-1))  # the weight of the lowest 0, 1, 2, ... controls
    below, not_above = (np.searchsorted(scores[controls], scores[patients], side) for side in ("left", "right"))
    wins = np.take(beaten, below, axis=-1) + np.take(beaten, not_above, axis=-1)
    patient_weights = np.take(weights, patients, axis=-1)
    won = np.einsum("...i,...i->...", patient_weights, wins) / 2
    return np.asarray(won / (patient_weights.sum(axis=-1) * beaten[..., -1]))


def running_sum(weights: Floats) -> Floats:
    """Sums of the weights of the first 0, 1, ... n clips, shape (..., n + 1)."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1))
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    return sums


def roc_counts(labels: Ints, scores: Floats) -> tuple[Ints, Ints, Floats]:
    """(false positives, true positives, threshold) at every score, the highest first.

    Source:
        ``sklearn.metrics.roc_curve``, whose first point, at which no clip is a patient, is left out.
    """
    order = np.argsort(-scores, kind="stable")
    lasts = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # the last of each run of equal scores
    hits = np.cumsum(labels[order])[lasts]
    return 1 + lasts - hits, hits, scores[order][lasts]


def at_threshold(labels: Ints, scores: Floats, threshold: Floats, weights: Floats | None = None) -> dict[str, Floats]:
    """Sensitivity, specificity, accuracy and F1 of classification at the threshold.

    Args:
        labels, scores: shape (n_clips,).
        threshold: the threshold of each clip, shape (n_clips,).
        weights: shape (n_resamples, n_clips), or absent.

    Returns:
        Each of shape (n_resamples,), or () without weights.
    """
    require_both_classes(labels, "at_threshold")
    weights = np.ones(labels.size) if weights is None else weights
    positive, patient = scores >= threshold, labels == 1
    columns = [positive & patient, ~positive & patient, positive & ~patient, ~positive & ~patient]
    hits, misses, alarms, rejections = np.moveaxis(weights @ np.stack(columns, axis=1).astype(np.float64), -1, 0)
    return {
        "sensitivity": hits / (hits + misses),
        "specificity": rejections / (rejections + alarms),
        "accuracy": (hits + rejections) / (hits + misses + alarms + rejections),
        "f1": 2 * hits / (2 * hits + misses + alarms),
    }


def all_metrics(labels: Ints, scores: Floats, thresholds: Floats, weights: Floats | None = None) -> dict[str, Floats]:
    """Every metric of every seed, each of shape (n_seeds,) or (n_seeds, n_resamples)."""
    rows = [
        {"auc": auc(labels, seed_scores, weights), **at_threshold(labels, seed_scores, threshold, weights)}
        for seed_scores, threshold in zip(scores, thresholds, strict=True)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, and NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0))


def std_over_seeds(values: Sequence[float] | Floats) -> float:
    """Sample standard deviation; 0 for one seed."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def confusion(labels: Ints, scores: Floats, thresholds: Floats) -> list[tuple[str, str]]:
    """(actual, predicted) class of every clip by every seed, in words."""
    positive = scores >= thresholds
    return [(CLASSES[label], CLASSES[int(call)]) for row in positive for label, call in zip(labels, row, strict=True)]
