"""Clip scores -> metrics.

Conventions:
    scores   probability of `patient`, in [0, 1]. Shape (n_clips,), or (n_seeds, n_clips)
             where several trainings scored the same clips. A training is all models of a seed:
             one, or under cross-validation one a fold, each of which scored its own clips.
    labels   1 for patient, 0 for control. Shape (n_clips,).
    groups   the speaker of each clip; intervals resample speakers, not clips.
    thresholds  by which each clip is judged, shape (n_seeds, n_clips): a model has one.
    weights  how often each clip counts. Shape (n_resamples, n_clips), or absent: once.
    A clip is called patient where its score is at or above the threshold.
    A metric that the labels do not determine (one class only) raises: a silent
    0.5 or NaN in metrics.json outlives the run that wrote it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError

CLASSES = ("control", "patient")  # the name of label 0, of label 1
UNDETERMINED = "not determined by these clips"  # in place of a number, where a person reads it


def require_both_classes(labels: Ints, where: str) -> None:
    """Nothing, or a DataError that names the class that is missing."""
    for label, name in enumerate(CLASSES):
        if not np.any(labels == label):
            raise DataError(f"{where}: needs patients and controls to be judged, has no {name} clip")


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
    beaten = running_sum(np.take(weights, controls, axis=-1))  # by who is above 0, 1, 2, ... of the lowest
    below, not_above = (np.searchsorted(scores[controls], scores[patients], side) for side in ("left", "right"))
    wins = np.take(beaten, below, axis=-1) + np.take(beaten, not_above, axis=-1)
    of_patients = np.take(weights, patients, axis=-1)
    won = np.einsum("...i,...i->...", of_patients, wins) / 2
    return np.asarray(won / (of_patients.sum(axis=-1) * beaten[..., -1]))


def running_sum(weights: Floats) -> Floats:
    """Of the first 0, 1, ... n clips, shape (..., n + 1)."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1))
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    return sums


def roc_counts(labels: Ints, scores: Floats) -> tuple[Ints, Ints, Floats]:
    """(controls called patient, patients called patient, threshold) at every score, the highest first.

    Source:
        ``sklearn.metrics.roc_curve``, whose first point, which calls nobody, is left out.
    """
    order = np.argsort(-scores, kind="stable")
    lasts = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of each run of equal scores
    hits = np.cumsum(labels[order])[lasts]
    return 1 + lasts - hits, hits, scores[order][lasts]


def places(folds: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """By fold, in the order in which they are first met, which clips are its own."""
    return {fold: np.asarray(folds) == fold for fold in dict.fromkeys(folds)}


def at_threshold(labels: Ints, scores: Floats, threshold: Floats, weights: Floats | None = None) -> dict[str, Floats]:
    """Sensitivity, specificity, accuracy and F1 of calling patient whoever reaches the threshold.

    Args:
        labels, scores: shape (n_clips,).
        threshold: of each clip, shape (n_clips,).
        weights: shape (n_resamples, n_clips), or absent.

    Returns:
        Each of shape (n_resamples,), or () without weights.
    """
    require_both_classes(labels, "at_threshold")
    weights = np.ones(labels.size) if weights is None else weights
    called, patients = scores >= threshold, labels == 1
    columns = [called & patients, ~called & patients, called & ~patients, ~called & ~patients]
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
        {"auc": auc(labels, of_seed, weights), **at_threshold(labels, of_seed, threshold, weights)}
        for of_seed, threshold in zip(scores, thresholds, strict=True)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, and NaN where there is no whole: what nothing determines is not 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0))


def spread(of_seeds: Sequence[float] | Floats) -> float:
    """Sample standard deviation over seeds; 0 for one seed."""
    return float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else 0.0


def confusion(labels: Ints, scores: Floats, thresholds: Floats) -> list[tuple[str, str]]:
    """(actual, predicted) class of every clip by every seed, in words."""
    called = scores >= thresholds
    return [(CLASSES[label], CLASSES[int(call)]) for row in called for label, call in zip(labels, row, strict=True)]
