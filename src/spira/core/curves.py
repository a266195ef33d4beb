"""Clip scores -> curves over every threshold.

Scores, labels and their conventions are those of ``spira.core.metrics``.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from spira.core.metrics import Floats, Ints, confusion


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


def curves(labels: Ints, scores: Floats, thresholds: Floats) -> dict[str, dict[str, Floats | Sequence[str]]]:
    """By name, the columns of every plot of one condition's test clips."""
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
