"""Clip scores -> metrics, and speakers drawn anew for their intervals.

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

from spira.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLASSES = ("control", "patient")  # the name of label 0, of label 1


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
    patients, controls = scores[labels == 1, None], scores[labels == 0]
    wins = (patients > controls) + 0.5 * (patients == controls)  # (n_patients, n_controls)
    weights = np.ones(labels.size) if weights is None else weights
    of_patients, of_controls = weights[..., labels == 1], weights[..., labels == 0]
    won = np.sum((of_patients @ wins) * of_controls, axis=-1)
    return np.asarray(won / (of_patients.sum(axis=-1) * of_controls.sum(axis=-1)))


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


def all_metrics(labels: Ints, scores: Floats, thresholds: Floats, weights: Floats | None = None) -> dict[str, Floats]:
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
