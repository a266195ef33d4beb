"""One condition's test clips -> everything that is said of them with an interval, a tree a question; and every plot.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spira.base.array_types import Floats, Ints
from spira.evaluation.bootstrap import Resamples
from spira.evaluation.calibration import calibration, reliability_curve
from spira.evaluation.curves import curves
from spira.evaluation.intervals import estimates, of_seeds
from spira.evaluation.metrics import at_threshold
from spira.evaluation.net_benefit import decision_curve
from spira.evaluation.operating_points import operating_points, predictive_values
from spira.evaluation.params import EvaluateParams
from spira.evaluation.thresholds import inconclusive

Weights = Floats | None
Metric = Callable[[Floats, Floats, Weights], Mapping[str, Floats]]


def judge(
    labels: Ints,
    scores: Floats,
    probabilities: Floats,
    thresholds: Floats,
    resamples: Resamples,
    p: EvaluateParams,
) -> dict[str, dict[str, Any]]:
    """By question, the answers with their intervals.

    Args:
        labels: shape (n_clips,).
        scores, thresholds: shape (n_seeds, n_clips).
        probabilities: the scores after calibration.
        resamples: of these clips.
        p: what to ask, and how sure to be.

    Returns:
        ``inconclusive``, ``operating_points`` and ``predictive_values``, of the functions of those names, and
        ``calibration`` ``before`` and ``after``.
    """

    def band(of_seed: Floats, at: Floats, counted: Weights) -> Mapping[str, Floats]:
        return inconclusive(labels, of_seed, at, p.inconclusive_width, counted)

    def points(of_seed: Floats, _: Floats, counted: Weights) -> Mapping[str, Floats]:
        return operating_points(labels, of_seed, p.at_specificity, p.at_sensitivity, counted)

    def values(of_seed: Floats, at: Floats, counted: Weights) -> Mapping[str, Floats]:
        called = at_threshold(labels, of_seed, at, counted)
        return predictive_values(called["sensitivity"], called["specificity"], p.prevalences)

    questions: dict[str, Metric] = {"inconclusive": band, "operating_points": points, "predictive_values": values}
    answers: dict[str, dict[str, Any]] = {
        name: estimates(of_seeds(metric, scores, thresholds), resamples, p.confidence)
        for name, metric in questions.items()
    }
    versions = {"before": scores, "after": probabilities}
    answers["calibration"] = {when: calibration(labels, of, resamples, p) for when, of in versions.items()}
    return answers


def by_question(of_conditions: Mapping[str, Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """``judge`` of each condition, turned: by question, then by condition."""
    questions = dict.fromkeys(name for of in of_conditions.values() for name in of)
    return {name: {condition: of[name] for condition, of in of_conditions.items()} for name in questions}


def plots(
    labels: Ints, scores: Floats, probabilities: Floats, thresholds: Floats, n_bins: int
) -> dict[str, Mapping[str, Floats | Sequence[str]]]:
    """By name, the columns of every plot of one condition's test clips."""
    return {
        **curves(labels, scores, thresholds),
        "decision": decision_curve(labels, probabilities),
        "reliability_before": reliability_curve(labels, scores, n_bins),
        "reliability_after": reliability_curve(labels, probabilities, n_bins),
    }
