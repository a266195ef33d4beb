"""The benchmark of feedback: alarms are seldom where nothing fell, and its count sees bounds that are too low."""

import numpy as np
import pytest

import feedback as benchmark
from spira.base.params import load
from spira.monitoring.feedback_params import FeedbackParams
from tiny import ROOT

P = load("feedback", FeedbackParams, path=ROOT / "params.yaml")
NOTHING_FELL = benchmark.Truth(0.9, 0.9)


@pytest.mark.parametrize("n_tested", [21, 100, 400])
def test_26_weekly_looks_alarm_in_at_most_one_series_of_twenty(n_tested: int) -> None:
    """With the whole interval of the share below 5 %, and also where half of the negatives have no label."""
    for patients, controls in (
        (NOTHING_FELL, NOTHING_FELL),
        (benchmark.Truth(0.9, 0.9, known_if_wrong=0.5), benchmark.Truth(0.9, 0.9, known_if_right=0.5)),
    ):
        count = benchmark.alarms(patients, controls, n_tested, 20, 26, 2000, P)
        assert benchmark.clopper_pearson(count, 2000, 0.95)[1] < 0.05


def test_bounds_for_one_look_would_alarm_far_too_often() -> None:
    """So the count can tell: 1.96 standard errors at each of 26 looks."""
    rng = np.random.default_rng(0)
    right, wrong = benchmark.weekly(NOTHING_FELL, 20, (2000, 26), rng)
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
