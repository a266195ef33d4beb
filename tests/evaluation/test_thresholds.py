"""A threshold is what its rule says, searched exhaustively; and the band about it is counted by hand."""

from fractions import Fraction
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score_studies import floats, ints, studies
from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.thresholds import (
    cost_threshold,
    inconclusive,
    sensitivity_threshold,
    threshold,
    threshold_rule,
    youden_threshold,
)
from tiny import evaluate_params


@given(studies(), st.integers(1, 10))
@settings(deadline=None)
def test_no_higher_score_finds_as_many_as_asked(study: tuple[Ints, Floats], tenths: int) -> None:
    """Exhaustive, in exact fractions: the highest score that finds the share asked for."""
    labels, scores = study

    def found(at: float) -> Fraction:
        return Fraction(int(np.sum(scores[labels == 1] >= at)), int(np.sum(labels == 1)))

    enough = [score for score in scores if found(score) >= Fraction(tenths, 10)]
    assert sensitivity_threshold(labels, scores, tenths / 10) == max(enough)


@given(studies(), st.integers(1, 40))
@settings(deadline=None)
def test_no_score_costs_less(study: tuple[Ints, Floats], quarters: int) -> None:
    """Exhaustive, in exact fractions; of those that cost the same, the highest."""
    labels, scores = study

    def cost(at: float) -> Fraction:
        misses, alarms = np.sum(scores[labels == 1] < at), np.sum(scores[labels == 0] >= at)
        return Fraction(quarters, 4) * int(misses) + int(alarms)

    least = min(cost(score) for score in scores)
    assert cost_threshold(labels, scores, quarters / 4) == max(score for score in scores if cost(score) == least)


def test_a_dearer_miss_never_raises_the_threshold() -> None:
    """From almost nobody called to every patient found."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    scores = rng.uniform(size=60) * 0.7 + 0.3 * labels
    at = [cost_threshold(labels, scores, cost) for cost in (0.01, 0.5, 1, 2, 8, 1000)]
    assert at == sorted(at, reverse=True)
    assert at[-1] == scores[labels == 1].min()


def test_the_named_rule_is_the_one_that_is_used() -> None:
    """Three rules, three thresholds of the same clips."""
    labels, scores = ints([0, 0, 0, 1, 0, 1, 1]), floats([0.1, 0.2, 0.3, 0.25, 0.6, 0.5, 0.9])
    picked = {}
    for rule in ("youden", "sensitivity", "cost"):
        p = evaluate_params(threshold={"rule": rule, "sensitivity": 0.6, "cost_of_a_miss": 0.4}).threshold
        picked[rule] = threshold(labels, scores, p)
    assert picked == {"youden": 0.25, "sensitivity": 0.5, "cost": 0.9}


def test_a_section_from_before_there_was_a_choice_means_youden() -> None:
    """What the report reads of an old commit; and a rule that nobody knows is named."""
    assert threshold_rule({"threshold_condition": "noisy"}).rule == "youden"
    assert threshold_rule({"threshold": {"rule": "cost", "sensitivity": 0.9, "cost_of_a_miss": 5}}).cost_of_a_miss == 5
    with pytest.raises(DataError, match=r"^evaluate\.threshold\.rule: Input should be .*, got 'best'$"):
        threshold_rule({"threshold": {"rule": "best", "sensitivity": 0.9, "cost_of_a_miss": 5.0}})


def test_the_band_is_counted_by_hand() -> None:
    """Threshold 0.5, width 0.25: 0.45 and 0.5 are inside, 0.375 and 0.625, at its edges, are not."""
    labels, scores = ints([1, 1, 1, 0, 0, 0]), floats([0.9, 0.375, 0.5, 0.45, 0.625, 0.1])
    of = {name: float(value) for name, value in inconclusive(labels, scores, np.full(6, 0.5), 0.25).items()}
    assert of == {"share": 2 / 6, "sensitivity": 1 / 2, "specificity": 1 / 2}
    none = inconclusive(labels, scores, np.full(6, 0.5), 0.0)
    assert (float(none["share"]), float(none["sensitivity"]), float(none["specificity"])) == (0, 2 / 3, 2 / 3)


def test_where_everybody_is_inconclusive_nothing_is_claimed() -> None:
    """NaN, which the writer puts in words; not 0 and not 1."""
    of = inconclusive(ints([1, 0]), floats([0.5, 0.5]), np.full(2, 0.5), 1.0)
    assert float(of["share"]) == 1
    assert isnan(of["sensitivity"])
    assert isnan(of["specificity"])


@given(studies(), st.integers(0, 8))
@settings(deadline=None)
def test_a_weight_is_a_repetition_in_the_band_too(study: tuple[Ints, Floats], eighths: int) -> None:
    """To count a clip twice is to have it twice."""
    labels, scores = study
    weights = 1 + np.arange(labels.size) % 3
    at = np.full(labels.size, youden_threshold(labels, scores))
    weighed = inconclusive(labels, scores, at, eighths / 8, weights[None].astype(np.float64))
    labels, scores, at = (np.repeat(of, weights) for of in (labels, scores, at))
    again = inconclusive(labels, scores, at, eighths / 8)
    for name, value in again.items():
        np.testing.assert_allclose(weighed[name][0], value, rtol=0, atol=1e-12)
