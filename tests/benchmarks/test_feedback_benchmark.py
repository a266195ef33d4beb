"""The benchmark of feedback: alarms are seldom where nothing fell, and its count sees bounds that are too low."""

import numpy as np
import pytest

import feedback as benchmark
from spira.base.params import load
from spira.monitoring.feedback_params import FeedbackParams
from tiny import ROOT

P = load("feedback", FeedbackParams, path=ROOT / "params.yaml")
SHARES = 0.9, 0.9


@pytest.mark.parametrize("n_tested", [21, 100, 400])
def test_26_weekly_looks_alarm_in_at_most_one_series_of_twenty(n_tested: int) -> None:
    """With the whole interval of the share below 5 %, whoever is verified more often than others."""
    for truth in (
        benchmark.Truth(SHARES, SHARES),
        benchmark.Truth(SHARES, SHARES, known_if_negative=0.25),
        benchmark.Truth(SHARES, SHARES, 0.3, 0.3, benchmark.BAND),
        benchmark.Truth(SHARES, SHARES, 1.0, 0.3, benchmark.BAND),
    ):
        count = benchmark.alarms(truth, n_tested, 20, 26, 2000, P)
        assert benchmark.clopper_pearson(count, 2000, 0.95)[1] < 0.05


def test_without_weights_one_sided_labels_would_alarm_far_too_often() -> None:
    """So the count can tell: half of the negatives are known, and nobody stands for anybody else."""
    rng = np.random.default_rng(0)
    truth = benchmark.Truth(SHARES, SHARES, known_if_negative=0.5)
    seen = benchmark.watched(truth, 20, (500, 104), P.min_people, rng)
    alone = seen._replace(weights=np.ones_like(seen.weights))
    assert benchmark.found(alone, truth, 400, P, rng).any(axis=(0, 2)).mean() > 0.3


def test_with_two_strata_the_inconclusive_who_are_verified_more_often_would_alarm_far_too_often() -> None:
    """So the count can tell: a side of the threshold is one stratum, as if it had too few people to be two."""
    rng = np.random.default_rng(0)
    truth = benchmark.Truth(SHARES, SHARES, 0.3, 0.3, benchmark.BAND)
    seen = benchmark.watched(truth, 20, (500, 104), 1_000_000, rng)
    assert benchmark.found(seen, truth, 400, P, rng).any(axis=(0, 2)).mean() > 0.3


def test_one_in_five_is_inconclusive() -> None:
    """As the benchmark says of its band."""
    wrong, right = benchmark.BAND
    assert 0.1 * wrong + 0.9 * right == pytest.approx(0.2, abs=0.005)


def test_bounds_for_one_look_would_alarm_far_too_often() -> None:
    """So the count can tell: 1.96 standard errors at each of 26 looks."""
    rng = np.random.default_rng(0)
    seen = benchmark.watched(benchmark.Truth(SHARES, SHARES), 20, (2000, 26), P.min_people, rng)
    right, wrong = seen.known[0, 0, 0], seen.known[0, 1, 0]
    hits = rng.binomial(100, 0.9, (2000, 1))
    n = right + wrong
    shares = hits / 100, right / n
    error = np.sqrt(shares[0] * (1 - shares[0]) / 100 + shares[1] * (1 - shares[1]) / n + 1e-12)
    assert ((shares[0] - shares[1]) / error > 1.96).any(axis=1).mean() > 0.05


def test_a_fall_is_noticed_after_patients_that_are_counted() -> None:
    needed = benchmark.patients_until(400, 0.9, 5, 200, P)
    assert np.isfinite(needed).all()
    assert set(needed % 5) == {0.0}
    assert 50 < np.median(needed) < 150
    assert np.isinf(benchmark.patients_until(21, 0.9, 5, 200, P)).mean() > 0.5


def test_the_exact_interval_of_a_share() -> None:
    """Clopper and Pearson, 1934: none of 20 leaves 0.1684; one of 20 lies within [0.0013, 0.2487]."""
    assert benchmark.clopper_pearson(0, 20, 0.95) == pytest.approx((0.0, 0.1684), abs=5e-5)
    assert benchmark.clopper_pearson(1, 20, 0.95) == pytest.approx((0.0013, 0.2487), abs=5e-5)
    assert benchmark.clopper_pearson(20, 20, 0.95)[1] == 1.0
