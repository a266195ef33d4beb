"""Clip scores -> metrics at chosen points of the ROC curve, and the predictive values of a classification.

Scores, labels, weights and their conventions are those of ``spira.evaluation.metrics``. A point is read
off the test clips' own curve: some threshold reaches it, but none was chosen for it on validation.
"""

from collections.abc import Sequence

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import ratio, require_both_classes, running_sum

_ROUNDING = 1e-9  # equal fractions differ by less, as floats


def operating_points(
    labels: Ints, scores: Floats, at_specificity: float, at_sensitivity: float, weights: Floats | None = None
) -> dict[str, Floats]:
    """The best sensitivity at a specificity or above, the reverse, and the average precision.

    No point is interpolated: some threshold reaches each, if need be by calling no clip or every clip a patient.

    Returns:
        ``sensitivity_at_specificity``, ``specificity_at_sensitivity`` and ``average_precision``, each of shape
        (n_resamples,), or () without weights.

    Source:
        Average precision is that of ``sklearn.metrics.average_precision_score(sample_weight=...)``.
    """
    require_both_classes(labels, "operating_points")
    weights = np.ones(labels.size) if weights is None else weights
    classes = [np.flatnonzero(labels == label) for label in (1, 0)]
    patients, controls = (clips[np.argsort(-scores[clips], kind="stable")] for clips in classes)  # highest score first
    gained, found = np.take(weights, patients, axis=-1), running_sum(np.take(weights, patients, axis=-1))
    alarms = running_sum(np.take(weights, controls, axis=-1))
    low, high = -scores[patients], -scores[controls]  # rising, as searchsorted needs

    # The false alarms that the specificity allows, and the patients above the next control's score.
    limit = (1 - at_specificity + _ROUNDING) * alarms[..., -1:]
    n_allowed = np.sum(alarms <= limit, axis=-1, keepdims=True) - 1
    above = np.append(np.searchsorted(low, high, "left"), patients.size)
    best = np.take_along_axis(found, above[n_allowed], axis=-1)[..., 0]
    # The fewest patients that reach the sensitivity, and the controls that score no less than the last of them.
    n_needed = np.sum(found < (at_sensitivity - _ROUNDING) * found[..., -1:], axis=-1, keepdims=True)
    beside = np.searchsorted(high, low, "right")
    fewest = np.take_along_axis(alarms, beside[n_needed - 1], axis=-1)[..., 0]
    hits = np.take(found, np.searchsorted(low, low, "right"), axis=-1)  # at each patient's score, ties too
    positive = hits + np.take(alarms, beside, axis=-1)
    precision = np.divide(hits, positive, out=np.zeros_like(hits), where=positive > 0)
    return {
        "sensitivity_at_specificity": np.asarray(best / found[..., -1]),
        "specificity_at_sensitivity": np.asarray(1 - fewest / alarms[..., -1]),
        "average_precision": np.asarray(np.einsum("...i,...i->...", gained, precision) / found[..., -1]),
    }


def predictive_values(sensitivity: Floats, specificity: Floats, prevalences: Sequence[float]) -> dict[str, Floats]:
    """The positive and the negative predictive value at each prevalence; NaN where no clip is classified so.

    Args:
        sensitivity, specificity: arrays of one shape.
        prevalences: shares of patients among those who are tested, each in (0, 1).

    Returns:
        ``ppv_at_0.05``, ``npv_at_0.05`` and so on, each of that shape.

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
