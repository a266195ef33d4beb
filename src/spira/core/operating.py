"""Clip scores -> how good a detector is at points of its ROC curve that people ask for, and what a call is worth.

Scores, labels, weights and their conventions are those of ``spira.core.metrics``. What is read off the test
clips' own curve says what some threshold can do there; no threshold was chosen on validation for it.
"""

from collections.abc import Sequence

import numpy as np

from spira.core.metrics import Floats, Ints, ratio, require_both_classes

_ROUNDING = 9  # decimals: equal fractions differ by less, as floats


def rates(labels: Ints, scores: Floats, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """(true positive rate, false positive rate, precision) at every distinct score, the highest first.

    Returns:
        Each of shape (n_resamples, n_distinct), or (n_distinct,) without weights.
    """
    require_both_classes(labels, "rates")
    weights = np.ones(labels.size) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.inf))  # of each run of ties
    found, alarms = (np.cumsum(weights[..., order] * (labels[order] == label), axis=-1)[..., last] for label in (1, 0))
    return found / found[..., -1:], alarms / alarms[..., -1:], ratio(found, found + alarms)


def operating_points(
    labels: Ints, scores: Floats, at_specificity: float, at_sensitivity: float, weights: Floats | None = None
) -> dict[str, Floats]:
    """The best sensitivity at no less than a specificity, the reverse, and the average precision.

    No point is interpolated: each is reached by some threshold, calling nobody or everybody among them.

    Returns:
        ``sensitivity_at_specificity``, ``specificity_at_sensitivity`` and ``average_precision``, each of shape
        (n_resamples,), or () without weights.

    Source:
        Average precision is that of ``sklearn.metrics.average_precision_score(sample_weight=...)``.
    """
    tpr, fpr, precision = rates(labels, scores, weights)
    specific = np.round(1 - fpr, _ROUNDING) >= round(at_specificity, _ROUNDING)
    sensitive = np.round(tpr, _ROUNDING) >= round(at_sensitivity, _ROUNDING)
    gained = np.diff(tpr, axis=-1, prepend=0.0)
    return {
        "sensitivity_at_specificity": np.max(np.where(specific, tpr, 0.0), axis=-1),
        "specificity_at_sensitivity": np.max(np.where(sensitive, 1 - fpr, 0.0), axis=-1),
        "average_precision": np.sum(gained * np.nan_to_num(precision), axis=-1),  # who counts 0 times gains 0
    }


def predictive_values(sensitivity: Floats, specificity: Floats, prevalences: Sequence[float]) -> dict[str, Floats]:
    """Of those called patient the share who are, and of those called control, where patients are so frequent.

    Where nobody is called so, there is no such share: NaN.

    Args:
        sensitivity, specificity: of any shape, the same.
        prevalences: shares of patients among those who are tested, each in (0, 1).

    Returns:
        ``ppv_at_0.05``, ``npv_at_0.05`` and so on, of that shape.

    Source:
        Altman and Bland, "Diagnostic tests 2: predictive values", BMJ, 1994.
    """
    values = {}
    for share in prevalences:
        hits, alarms = sensitivity * share, (1 - specificity) * (1 - share)
        misses, rejections = (1 - sensitivity) * share, specificity * (1 - share)
        values[f"ppv_at_{share:g}"] = ratio(hits, hits + alarms)
        values[f"npv_at_{share:g}"] = ratio(rejections, rejections + misses)
    return values
