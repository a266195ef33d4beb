"""Clip scores -> curves over every threshold.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Sequence

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import confusion, roc_counts


def mean_roc(labels: Ints, scores: Floats, n_points: int = 101) -> tuple[Floats, Floats]:
    """(false positive rate, true positive rate): the vertical mean of the seeds' ROC curves.

    It goes from (0, 0) straight up to the sensitivity without a false alarm, then on to (1, 1).
    Where a curve steps up, its height is the top of the step.

    Returns:
        Each of shape (1 + n_points,).
    """
    grid = np.linspace(0, 1, n_points)
    curves = []
    for seed_scores in scores:
        alarms, hits, _ = roc_counts(labels, seed_scores)
        curves.append(np.interp(grid, np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])))
    return np.concatenate([[0.0], grid]), np.concatenate([[0.0], np.mean(curves, axis=0)])


def mean_precision_recall(labels: Ints, scores: Floats, n_points: int = 101) -> tuple[Floats, Floats]:
    """(recall, precision): the mean over seeds of the best precision at that recall or a higher one.

    Returns:
        Each of shape (n_points,).
    """
    grid = np.linspace(0, 1, n_points)
    curves = []
    for seed_scores in scores:
        alarms, hits, _ = roc_counts(labels, seed_scores)
        best = np.maximum.accumulate((hits / (hits + alarms))[::-1])[::-1]  # at this recall or above
        curves.append(best[np.searchsorted(hits / hits[-1], grid)])
    return grid, np.mean(curves, axis=0)


def score_histogram(labels: Ints, scores: Floats, n_bins: int = 20) -> tuple[Floats, Floats, Floats]:
    """(bin centre, fraction of controls, fraction of patients) over all seeds; fractions sum to 1."""
    edges = np.linspace(0, 1, n_bins + 1)
    fractions = []
    for label in (0, 1):
        counts, _ = np.histogram(scores[:, labels == label], bins=edges)
        fractions.append(counts / counts.sum())
    return (edges[:-1] + edges[1:]) / 2, fractions[0], fractions[1]


def curves(labels: Ints, scores: Floats, thresholds: Floats) -> dict[str, dict[str, Floats | Sequence[str]]]:
    """By plot, the columns of its table."""
    fpr, tpr = mean_roc(labels, scores)
    recall, precision = mean_precision_recall(labels, scores)
    score, controls, patients = score_histogram(labels, scores)
    actual, predicted = zip(*confusion(labels, scores, thresholds), strict=True)
    return {
        "roc": {"fpr": fpr, "tpr": tpr},
        "precision_recall": {"recall": recall, "precision": precision},
        "scores": {"score": score, "controls": controls, "patients": patients},
        "confusion": {"actual": actual, "predicted": predicted},
    }
