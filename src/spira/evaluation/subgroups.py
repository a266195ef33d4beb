"""Groups of test clips -> how well the model works for each, and how far apart the groups are.

A group is a value of a column of the table of clips: ``F`` of ``sex``. Speakers are resampled once for all groups,
so that groups that share speakers move together.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spira.base.array_types import Floats
from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.evaluation.bootstrap import difference_interval
from spira.evaluation.intervals import with_intervals
from spira.evaluation.metrics import all_metrics
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Gap, Gaps, Group, GroupMetrics, Subgroups
from spira.evaluation.test_set import TestSet

UNKNOWN = "unknown"
_Measured = tuple[Mapping[str, Floats], Mapping[str, Floats], int]  # once, resampled, speakers in the smaller class


def age_band(age: str, edges: Sequence[int]) -> str:
    """``0 to 39``, ``40 to 59`` or ``60 and over`` for edges 40 and 60; ``unknown`` where the age is not known.

    Raises:
        DataError: the age is neither a number nor unknown.
    """
    (years,) = require_read(read_numbers("age", [age]), [age])
    if years is None:
        return UNKNOWN
    band = int(np.searchsorted(edges, years, side="right"))
    if band == 0:
        return f"0 to {edges[0] - 1}"
    return f"{edges[band - 1]} and over" if band == len(edges) else f"{edges[band - 1]} to {edges[band] - 1}"


def group_names(column: str, cells: Sequence[str], p: EvaluateParams) -> list[str]:
    """The group of each clip: ages in bands, other values as written, ``unknown`` where a cell is empty."""
    if column == "age":
        return [age_band(cell, p.age_bands) for cell in cells]
    return [UNKNOWN if is_unknown(cell) else cell for cell in cells]


def subgroups(test: TestSet, columns: Mapping[str, Sequence[str]], p: EvaluateParams) -> dict[str, Subgroups]:
    """By column, every group with its size and metrics, and the gap between the best and the worst group.

    Args:
        test: the test set.
        columns: by name, the group of each clip.
        p: how many speakers of each class a group needs, and the confidence of the intervals.
    """
    return {name: _column(test, np.asarray(groups), p) for name, groups in columns.items()}


def _column(test: TestSet, names: np.ndarray[tuple[int], np.dtype[np.str_]], p: EvaluateParams) -> Subgroups:
    groups: dict[str, Group] = {}
    measured: dict[str, _Measured] = {}
    for name in np.unique(names).tolist():
        members = test.subset(names == name)
        n_controls, n_patients = members.resamples.class_sizes
        metrics = None
        if min(n_controls, n_patients) >= p.min_speakers:
            measured[name] = _measured(members)
            metrics = GroupMetrics(**with_intervals(*measured[name], p.confidence))
        groups[name] = Group(
            n_speakers=n_controls + n_patients,
            n_patients=n_patients,
            n_clips=members.clips.labels.size,
            metrics=metrics,
        )
    return Subgroups(groups=groups, gap=_gaps(measured, p.confidence))


def _measured(test: TestSet) -> _Measured:
    """Each metric of ``GroupMetrics`` once and resampled: NaN where a resample drew nobody of a class."""
    clips = test.clips

    def measure(weights: Floats | None) -> dict[str, Floats]:
        metrics = all_metrics(clips.labels, clips.scores, clips.thresholds, weights)
        return {name: metrics[name] for name in GroupMetrics.model_fields}

    return measure(None), test.resamples.measure(measure), test.resamples.n_fewest


def _gaps(measured: Mapping[str, _Measured], confidence: float) -> Gaps | None:
    """The gap of each metric with its interval over speakers; None where fewer than two groups have metrics.

    With more than two groups the best and the worst were picked after looking, so the gap is on average larger
    than the truth and the interval too narrow: one that includes 0 is no evidence, one that excludes it is a reason
    to look.
    """
    if len(measured) < 2:
        return None
    gaps = {}
    for name in Gaps.model_fields:
        means = {group: float(once[name].mean()) for group, (once, _, _) in measured.items()}
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        (once, resampled, n_best), (other_once, other_resampled, n_worst) = measured[best], measured[worst]
        difference = with_intervals(
            {"gap": once[name] - other_once[name]},
            {"gap": resampled[name] - other_resampled[name]},
            min(n_best, n_worst),
            confidence,
            difference_interval,
        )
        gaps[name] = Gap(best=best, worst=worst, difference=difference["gap"])
    return Gaps(**gaps)
