"""Test clips and who they are of -> how good the detector is for each group, and how far apart groups are.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``. A value is a group's name within
a column: ``F`` of ``sex``. Speakers are resampled once for all, so that groups that share speakers move together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spira.base.array_types import Floats, Ints
from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.evaluation.bootstrap import Resamples, difference_interval
from spira.evaluation.intervals import with_intervals
from spira.evaluation.metrics import all_metrics
from spira.evaluation.params import EvaluateParams

JUDGED = ("auc", "sensitivity", "specificity")
TOO_FEW = "too few"
UNKNOWN = "unknown"
Resampled = tuple[Mapping[str, Floats], Mapping[str, Floats], int]  # once, resampled, ``n_fewest``


def age_band(age: str, edges: Sequence[int]) -> str:
    """``0 to 39``, ``40 to 59`` or ``60 and over`` for edges 40 and 60; ``unknown`` where nobody knows.

    Raises:
        DataError: the age is neither a number nor unknown.
    """
    (years,) = require_read(read_numbers("age", [age]), [age])
    if years is None:
        return UNKNOWN
    place = int(np.searchsorted(edges, years, side="right"))
    if place == 0:
        return f"0 to {edges[0] - 1}"
    return f"{edges[place - 1]} and over" if place == len(edges) else f"{edges[place - 1]} to {edges[place] - 1}"


def values_of(column: str, cells: Sequence[str], p: EvaluateParams) -> list[str]:
    """The group of each clip: ages in bands, anything else as it is written, ``unknown`` where nothing is."""
    if column == "age":
        return [age_band(cell, p.age_bands) for cell in cells]
    return [UNKNOWN if is_unknown(cell) else cell for cell in cells]


def subgroups(
    labels: Ints,
    scores: Floats,
    thresholds: Floats,
    columns: Mapping[str, Sequence[str]],
    resamples: Resamples,
    p: EvaluateParams,
) -> dict[str, Any]:
    """By column: every group with its size and metrics, and the gap between the groups.

    Args:
        labels: shape (n_clips,).
        scores, thresholds: shape (n_seeds, n_clips).
        columns: by name, the value of each clip.
        resamples: of these clips.

    Returns:
        ``groups``: by value ``n_speakers``, ``n_patients`` among them, ``n_clips``, and either each metric of
        ``JUDGED`` with its interval, or ``verdict``: too few, where a class has under ``p.min_speakers`` speakers.
        ``gap``: of ``_gaps``; {} where fewer than two groups are judged.
    """
    return {
        name: _column(labels, scores, thresholds, np.asarray(values), resamples, p) for name, values in columns.items()
    }


def _column(
    labels: Ints, scores: Floats, thresholds: Floats, values: NDArray[Any], resamples: Resamples, p: EvaluateParams
) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    judged: dict[str, Resampled] = {}
    for value in np.unique(values).tolist():
        own = values == value
        patients, controls = (np.unique(resamples.whose[own & (labels == label)]).size for label in (1, 0))
        found[value] = {"n_speakers": patients + controls, "n_patients": patients, "n_clips": int(own.sum())}
        if min(patients, controls) < p.min_speakers:
            found[value]["verdict"] = TOO_FEW
            continue
        judged[value] = _resampled(labels[own], scores[:, own], thresholds[:, own], resamples.of(own))
        found[value] |= with_intervals(*judged[value], p.confidence)
    return {"groups": found, "gap": _gaps(judged, p.confidence)}


def _resampled(labels: Ints, scores: Floats, thresholds: Floats, resamples: Resamples) -> Resampled:
    """Each metric once and resampled: NaN where a resample drew nobody of a class."""

    def measure(weights: Floats | None) -> dict[str, Floats]:
        every = all_metrics(labels, scores, thresholds, weights)
        return {name: every[name] for name in JUDGED}

    return measure(None), resamples.measured(measure), resamples.n_fewest


def _gaps(judged: Mapping[str, Resampled], confidence: float) -> dict[str, Any]:
    """By metric, ``best`` and ``worst`` group and what lies between them, with its interval over speakers.

    With more than two groups the two were picked after looking, so the gap is on average larger than the truth
    and the interval too sure: an interval about 0 is no evidence, one that excludes it is a reason to look.
    """
    if len(judged) < 2:
        return {}
    gaps = {}
    for name in JUDGED:
        means = {value: float(once[name].mean()) for value, (once, _, _) in judged.items()}
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        (of_best, best_resampled, n_best), (of_worst, worst_resampled, n_worst) = judged[best], judged[worst]
        once = {"gap": of_best[name] - of_worst[name]}
        resampled = {"gap": best_resampled[name] - worst_resampled[name]}
        between = with_intervals(once, resampled, min(n_best, n_worst), confidence, difference_interval)
        gaps[name] = {"best": best, "worst": worst, **between}
    return gaps
