"""Validation scores -> the threshold that a named rule chooses, and the band about it that is inconclusive.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. Of several equally good
thresholds the highest is taken: the fewest false alarms. Each is one of the scores, so it is finite.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.metrics import ratio, require_both_classes, roc_counts
from spira.evaluation.params import ThresholdParams
from spira.predictions.scored import ScoredClips

_BEFORE: dict[str, Any] = {"rule": "youden", "sensitivity": 0.9, "cost_of_a_miss": 1.0}


def threshold_rule(evaluate: Mapping[str, Any]) -> ThresholdParams:
    """The rule in a commit's section ``evaluate``; Youden's index where the commit is older than the choice of a rule.

    Raises:
        DataError: it names another.
    """
    try:
        return ThresholdParams.model_validate(evaluate.get("threshold", _BEFORE))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, ("evaluate", "threshold", *problem["loc"])))
        raise DataError(f"{key}: {problem['msg']}, got {problem['input']!r}") from error


def youden_threshold(labels: Ints, scores: Floats) -> float:
    """The score that, as a threshold, maximizes sensitivity + specificity - 1.

    Source:
        Youden, "Index for rating diagnostic tests", Cancer, 1950.
    """
    fpr, tpr, thresholds = _candidates(labels, scores)
    return float(thresholds[np.argmax(np.round(tpr - fpr, 9))])  # equal fractions differ by less, as floats


def sensitivity_threshold(labels: Ints, scores: Floats, sensitivity: float) -> float:
    """The highest score at which at least this share of the patients' clips is classified as patient."""
    _, tpr, thresholds = _candidates(labels, scores)
    return float(thresholds[np.argmax(np.round(tpr, 9) >= np.round(sensitivity, 9))])


def cost_threshold(labels: Ints, scores: Floats, cost_of_a_miss: float) -> float:
    """The score at which missed patients and false alarms among these clips cost least together.

    They are counted at the prevalence of these clips. Where patients are rarer, false alarms are
    more frequent than here: a lower ``cost_of_a_miss`` allows for it.

    Args:
        labels, scores: shape (n_clips,).
        cost_of_a_miss: the cost of a missed patient's clip; a false alarm costs 1.
    """
    fpr, tpr, thresholds = _candidates(labels, scores)
    cost = cost_of_a_miss * (1 - tpr) * np.sum(labels == 1) + fpr * np.sum(labels == 0)
    return float(thresholds[np.argmin(np.round(cost, 9))])


def _candidates(labels: Ints, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """(false positive rate, true positive rate, threshold) at every score, the highest first."""
    require_both_classes(labels, "threshold")
    alarms, hits, thresholds = roc_counts(labels, scores)
    return alarms / alarms[-1], hits / hits[-1], thresholds


def threshold(labels: Ints, scores: Floats, p: ThresholdParams) -> float:
    """The threshold that the named rule chooses among these clips' scores."""
    match p.rule:
        case "youden":
            return youden_threshold(labels, scores)
        case "sensitivity":
            return sensitivity_threshold(labels, scores, p.sensitivity)
        case "cost":
            return cost_threshold(labels, scores, p.cost_of_a_miss)


def thresholds_by_fold(validation: ScoredClips, p: ThresholdParams) -> dict[str, Floats]:
    """By fold, the ``threshold`` of each seed, shape (n_seeds,), from the validation clips of that fold alone."""
    return {
        fold: np.array([threshold(validation.labels[own], scores[own], p) for scores in validation.scores])
        for fold, own in validation.fold_masks().items()
    }


def thresholds_by_clip(by_fold: Mapping[str, Floats], folds: Sequence[str]) -> Floats:
    """The threshold of each clip, that of its own fold: shape (n_seeds, n_clips)."""
    return np.stack([by_fold[fold] for fold in folds], axis=1)


def inconclusive(
    labels: Ints, scores: Floats, thresholds: Floats, width: float, weights: Floats | None = None
) -> dict[str, Floats]:
    """The share of clips in the band about their threshold, and the metrics of the clips outside it.

    The band is open: with a width of 0 no clip is inside::

        0 ......... ( t - width/2 .. t .. t + width/2 ) ......... 1
          control          inconclusive                 patient

    Args:
        labels, scores: shape (n_clips,).
        thresholds: t of each clip, shape (n_clips,).
        width: width of the band, in score.
        weights: shape (n_resamples, n_clips), or absent.

    Returns:
        ``share``, and ``sensitivity`` and ``specificity`` of the others: NaN where no clip of a class is left.
        Each of shape (n_resamples,), or () without weights.
    """
    weights = np.ones(labels.size) if weights is None else weights
    inside, positive = np.abs(scores - thresholds) < width / 2, scores >= thresholds
    patients, controls = (~inside & (labels == label) for label in (1, 0))
    columns = [inside, patients & positive, patients, controls & ~positive, controls]
    counts = np.moveaxis(weights @ np.stack(columns, axis=1).astype(np.float64), -1, 0)
    n_inside, hits, n_patients, rejections, n_controls = counts
    return {
        "share": n_inside / weights.sum(axis=-1),
        "sensitivity": ratio(hits, n_patients),
        "specificity": ratio(rejections, n_controls),
    }
