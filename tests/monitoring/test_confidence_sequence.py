"""Bounds over all looks: the mixture's own value, the passages of a Brownian motion, and shares by hand."""

from math import exp, log, pi, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from spira.base.array_types import Ints
from spira.monitoring.confidence_sequence import (
    Group,
    Share,
    best_ratio,
    boundary,
    counted,
    fall,
    group,
    least_fall,
    share,
)

ONE = np.ones(1)


def alike(n: int | Ints, weight: float) -> Group:
    """So many people of one weight."""
    people = np.atleast_1d(n)[None]
    return group(people, np.full(people.shape, weight), np.full(people.shape[1:], weight))


@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.05, 0.2])
@pytest.mark.parametrize("time", [0.01, 0.3, 1.0, 40.0])
def test_on_the_boundary_the_mixture_of_likelihood_ratios_is_one_over_alpha(alpha: float, time: float) -> None:
    """The mean of exp(a W - a² t / 2) over a half normal a, integrated numerically, as Ville's inequality needs it."""
    tightest = 0.7
    passed = float(boundary(np.array(time), np.array(tightest), alpha))
    r = tightest * best_ratio(alpha)

    def weighted(a: float) -> float:
        return 2 * sqrt(r / (2 * pi)) * exp(-r * a * a / 2 + a * passed - a * a * time / 2)

    peak = passed / (time + r)
    width = 12 / sqrt(time + r)
    mean, _ = quad(weighted, max(0.0, peak - width), peak + width, limit=200)
    assert mean == pytest.approx(1 / alpha, rel=1e-6)


def test_known_values() -> None:
    """3.036 standard errors at the tightest for an alpha of 0.025, where one look takes 1.960; 2.766 for 0.05."""
    assert float(boundary(ONE, ONE, 0.025)[0]) == pytest.approx(3.036, abs=5e-4)
    assert float(boundary(ONE, ONE, 0.05)[0]) == pytest.approx(2.766, abs=5e-4)
    assert best_ratio(0.025) == pytest.approx(0.1218, abs=5e-5)


def test_it_is_tightest_where_it_is_asked_to_be() -> None:
    """In standard errors, to a fifth of a percent of the best of all ratios."""
    times = np.geomspace(0.05, 20, 400)
    height = boundary(times, np.ones(400), 0.025) / np.sqrt(times)
    assert height.min() == pytest.approx(float(boundary(ONE, ONE, 0.025)[0]), rel=2e-3)
    others = [float(boundary(ONE, ONE * at, 0.025)[0]) for at in (0.5, 0.8, 1.25, 2.0)]
    assert min(others) > float(boundary(ONE, ONE, 0.025)[0]) * 0.998


def test_it_is_below_the_two_sided_closed_form_and_above_one_look() -> None:
    """Howard et al.'s bound by a closed form is never smaller; and no boundary over all looks is below one look's."""
    times = np.geomspace(0.01, 100, 50)
    r = best_ratio(0.025)
    closed = np.sqrt(2 * (times + r) * np.log(np.sqrt((times + r) / r) / (2 * 0.025) + 1))
    found = boundary(times, np.ones(50), 0.025)
    assert np.all(found <= closed)
    assert np.all(found > norm.ppf(0.975) * np.sqrt(times))


def test_a_brownian_motion_passes_it_as_seldom_as_is_promised() -> None:
    """4,000 paths of 2,000 steps to 50 times the tightest time: at most 5 %, and not a hundredth of it."""
    rng = np.random.default_rng(0)
    times = np.geomspace(0.02, 50, 2000)
    steps = rng.normal(size=(4000, 2000)) * np.sqrt(np.diff(times, prepend=0.0))
    passed = (np.cumsum(steps, axis=1) >= boundary(times, np.ones(2000), 0.05)).any(axis=1).mean()
    assert 0.01 < passed <= 0.05


def test_a_plain_share_has_one_more_right_and_one_more_wrong() -> None:
    """7 of 10: 8 of 12, and the variance of so many."""
    found = share(alike(7, 1), alike(3, 1))
    assert found.value[0] == pytest.approx(8 / 12)
    assert found.variance[0] == pytest.approx(8 / 12 * 4 / 12 / 12)
    assert share(counted(np.array([7])), counted(np.array([3]))) == found
    nobody = share(alike(0, 1), alike(0, 1))
    assert (nobody.value[0], nobody.variance[0]) == pytest.approx((0.5, 0.125))


def test_a_weighted_share_is_that_of_the_people_whom_they_stand_for() -> None:
    """30 right of whom all are known, 5 wrong of whom each stands for four: 0.6, but for the one of either."""
    found = share(alike(3000, 1), alike(500, 4))
    assert found.value[0] == pytest.approx(0.6, abs=1e-3)
    whole = share(alike(3000, 1), alike(2000, 1))
    assert found.variance[0] > whole.variance[0]
    assert share(alike(3000, 5), alike(500, 20)).variance[0] == pytest.approx(found.variance[0])


def test_people_of_several_weights_by_hand_and_one_more_has_their_mean() -> None:
    """Right: 2 who stand for 1 and 1 who stands for 4, so 6 and one more 2; wrong: nobody, so one more 3."""
    right, wrong = (group(np.array(n), np.array([1.0, 4.0]), np.array(3.0)) for n in ([2, 1], [0, 0]))
    assert [float(part) for part in right] == [6, 18, 2]
    assert [float(part) for part in wrong] == [0, 0, 3]
    found = share(right, wrong)
    assert found.value == pytest.approx(8 / 11)
    assert found.variance == pytest.approx(((18 + 4) * (3 / 11) ** 2 + 9 * (8 / 11) ** 2) / 11**2)


def test_the_weighted_variance_is_that_of_repeated_draws() -> None:
    """Half of those answered wrongly known: within 5 % of the spread over 20,000 studies."""
    rng = np.random.default_rng(1)
    right = rng.binomial(400, 0.8, 20_000)
    wrong = rng.binomial(400 - right, 0.5)
    found = share(alike(right, 1), alike(wrong, 2))
    assert found.value.mean() == pytest.approx(0.8, abs=0.005)
    assert np.sqrt(found.variance.mean()) == pytest.approx(found.value.std(), rel=0.05)


def test_the_variance_with_two_weights_a_side_is_that_of_repeated_draws() -> None:
    """Three in ten known, of the inconclusive all: no bias, and within 5 % of the spread over 20,000 studies."""
    rng = np.random.default_rng(2)
    people = rng.multinomial(600, [0.7, 0.15, 0.05, 0.1], 20_000).T  # right, and inconclusive; wrong, and inconclusive
    known = np.stack([rng.binomial(people[0], 0.3), people[1], rng.binomial(people[2], 0.3), people[3]])
    weights = np.broadcast_to([[1 / 0.3], [1.0]], (2, 20_000))
    found = share(*(group(known[part], weights, np.ones(20_000)) for part in (slice(2), slice(2, 4))))
    assert found.value.mean() == pytest.approx(0.85, abs=0.005)
    assert np.sqrt(found.variance.mean()) == pytest.approx(found.value.std(), rel=0.05)


def test_bounds_hold_the_difference_and_the_promise_limits_what_can_be_seen() -> None:
    promised, used = Share(ONE * 0.9, ONE * 0.001), Share(ONE * 0.7, ONE * 0.002)
    bounds = fall(promised, used, alpha=0.025, tightest=0.5)
    assert bounds.lo[0] < 0.2 < bounds.hi[0]
    assert bounds.hi[0] - 0.2 == pytest.approx(0.2 - bounds.lo[0])
    least = least_fall(promised, alpha=0.025, tightest=0.5)[0]
    endless = fall(promised, Share(ONE * (0.9 - least), ONE * 1e-12), alpha=0.025, tightest=0.5)
    assert endless.lo[0] == pytest.approx(0.0, abs=1e-6)
    assert least > log(2) * sqrt(0.001)
