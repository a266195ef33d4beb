"""Validation's scores -> the threshold that a named rule picks, and the band about it in which a score decides nothing.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. Of several thresholds that are
equally good the highest is taken: the fewest false alarms. Each is one of the scores, so it is finite.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.metrics import places, ratio, require_both_classes, roc_counts
from spira.evaluation.params import ThresholdParams

_BEFORE: dict[str, Any] = {"rule": "youden", "sensitivity": 0.9, "cost_of_a_miss": 1.0}


def rule_of(evaluate: Mapping[str, Any]) -> ThresholdParams:
    """The rule that a commit's section ``evaluate`` names; Youden's index where it is from before there was a choice.

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
    """The highest score at which at least this share of the patients' clips is called patient."""
    _, tpr, thresholds = _candidates(labels, scores)
    return float(thresholds[np.argmax(np.round(tpr, 9) >= np.round(sensitivity, 9))])


def cost_threshold(labels: Ints, scores: Floats, cost_of_a_miss: float) -> float:
    """The score at which missed patients and false alarms, counted among these clips, cost least together.

    They are weighed at the share of patients that these clips have: where patients are rarer, a false
    alarm is more frequent than here, so a lower ``cost_of_a_miss`` says the same.

    Args:
        cost_of_a_miss: of a patient's clip that is not called; a false alarm costs 1.
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
    """What the named rule picks among these clips' scores."""
    match p.rule:
        case "youden":
            return youden_threshold(labels, scores)
        case "sensitivity":
            return sensitivity_threshold(labels, scores, p.sensitivity)
        case "cost":
            return cost_threshold(labels, scores, p.cost_of_a_miss)


def thresholds_of_folds(labels: Ints, scores: Floats, folds: Sequence[str], p: ThresholdParams) -> dict[str, Floats]:
    """By fold, the ``threshold`` of each seed on the validation clips of that fold alone.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        folds: whose model scored each clip, shape (n_clips,).
        p: the rule.

    Returns:
        Each of shape (n_seeds,).
    """
    return {
        fold: np.array([threshold(labels[clips], of_seed[clips], p) for of_seed in scores])
        for fold, clips in places(folds).items()
    }


def of_each_clip(of_folds: Mapping[str, Floats], folds: Sequence[str]) -> Floats:
    """``thresholds_of_folds`` by clip, each that of its own fold: shape (n_seeds, n_clips)."""
    return np.stack([of_folds[fold] for fold in folds], axis=1)


def inconclusive(
    labels: Ints, scores: Floats, thresholds: Floats, width: float, weights: Floats | None = None
) -> dict[str, Floats]:
    """The share of clips whose score lies in the band about its threshold, and how good the calls outside it are.

    The band is open, so that a width of 0 holds nobody::

        0 ......... ( t - width/2 .. t .. t + width/2 ) ......... 1
          control          inconclusive                 patient

    Args:
        labels, scores: shape (n_clips,).
        thresholds: t of each clip, shape (n_clips,).
        width: of the band, in score.
        weights: shape (n_resamples, n_clips), or absent.

    Returns:
        ``share``, and ``sensitivity`` and ``specificity`` among the others: NaN where none of a class is left.
        Each of shape (n_resamples,), or () without weights.
    """
    weights = np.ones(labels.size) if weights is None else weights
    inside, called = np.abs(scores - thresholds) < width / 2, scores >= thresholds
    patients, controls = (~inside & (labels == label) for label in (1, 0))
    columns = [inside, patients & called, patients, controls & ~called, controls]
    counts = np.moveaxis(weights @ np.stack(columns, axis=1).astype(np.float64), -1, 0)
    held, hits, of_patients, rejections, of_controls = counts
    return {
        "share": held / weights.sum(axis=-1),
        "sensitivity": ratio(hits, of_patients),
        "specificity": ratio(rejections, of_controls),
    }
