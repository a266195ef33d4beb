"""How far a share in use lies below the one that was promised, with an interval that holds at every look.

Both shares are estimates: the promise from a test set that does not grow, the other from the people whose truth is
known so far. With the information I = 1 / (variance of the promise + variance in use), the differences at successive
looks, each times its I, vary about the true difference times I as a Brownian motion at the times I. It ends at the
information of the promise alone: feedback without end still leaves the test set's own error. A bound on the path of a
Brownian motion bounds the difference at all looks at once, so they need not be planned, counted or remembered.

All functions take arrays of one shape, or numbers.

Source:
    The normal mixture: Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics, 1970; one-sided and in this form Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics, 2021. With estimated variances: Waudby-
    Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences",
    Annals of Statistics, 2024. The process of a difference: Jennison and Turnbull, "Group sequential methods", 2000,
    chapter 3. One more right and one more wrong: Agresti and Caffo, American Statistician, 2000.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import lambertw, log_ndtr, ndtr

from spira.base.array_types import Floats, Ints

_STEPS = 10  # of Newton's method; six reach the last digit


class Group(NamedTuple):
    """People of one class who were answered alike, each of whom stands for as many as their weight."""

    weight: Floats  # of all of them
    squares: Floats  # of all of their weights
    one_more: Floats  # the weight of one more such person


class Share(NamedTuple):
    """An estimated share, and the variance of the estimate; never 0, and the share never 0 or 1."""

    value: Floats
    variance: Floats


class Bounds(NamedTuple):
    """Of a true difference; each holds at all looks with its own confidence."""

    lo: Floats
    hi: Floats


def group(people: Floats | Ints, weights: Floats, otherwise: Floats) -> Group:
    """The people, and one more who has their mean weight.

    Args:
        people: how many have each of the weights, >= 0, shape (n_weights, ...).
        weights: > 0, of the same shape.
        otherwise: the weight of one more where there is nobody, > 0, shape (...).
    """
    weight, n = (people * weights).sum(axis=0), people.sum(axis=0)
    one_more = np.where(n, weight / np.maximum(n, 1), otherwise)
    return Group(weight, (people * weights**2).sum(axis=0), one_more)


def counted(people: Floats | Ints) -> Group:
    """So many people, each of whom stands for themselves."""
    n = np.asarray(people, dtype=np.float64)
    return Group(n, n, np.ones_like(n))


def share(right: Group, wrong: Group) -> Share:
    """The share of those who were answered rightly, as if one more were right and one more wrong.

    Where truth is known more often after one answer than after another, each person stands for as many as were
    answered so: their weight is that number, of whom one is known. Only the ratios of the weights matter.
    """
    hits, misses = right.weight + right.one_more, wrong.weight + wrong.one_more
    value = hits / (hits + misses)
    of_right, of_wrong = right.squares + right.one_more**2, wrong.squares + wrong.one_more**2
    squares = of_right * (1 - value) ** 2 + of_wrong * value**2
    return Share(value, squares / (hits + misses) ** 2)


def fall(promised: Share, used: Share, *, alpha: float, tightest: float) -> Bounds:
    """Bounds of the promised share less the one in use, that hold at every look.

    Args:
        alpha: in (0, 0.5), of either bound: how often it is wrong at any look, at most.
        tightest: in (0, 1], the share of the promise's information at which the bounds are tightest; 0.5 is where as
            many people are known in use as were in the test set. Elsewhere they are wider, and hold as well.
    """
    information, difference = 1 / (promised.variance + used.variance), promised.value - used.value
    reach = boundary(information, tightest / promised.variance, alpha) / information
    return Bounds(np.asarray(difference - reach), np.asarray(difference + reach))


def least_fall(promised: Share, *, alpha: float, tightest: float) -> Floats:
    """The smallest fall in use that could pass its bound with feedback without end; the arguments are ``fall``'s."""
    return fall(promised, Share(promised.value, np.zeros_like(promised.variance)), alpha=alpha, tightest=tightest).hi


def boundary(time: Floats, tightest: Floats, alpha: float) -> Floats:
    """What a Brownian motion without an upward drift passes at some time with a probability of at most ``alpha``.

    W is the motion. exp(a W - a² t / 2) is a supermartingale for every a > 0 that begins at 1, and so is its mean over
    a half normal a of variance 1 / r, which is ::

        2 sqrt(r / (t + r)) exp(W² / (2 (t + r))) Phi(W / sqrt(t + r))

    By Ville's inequality it ever reaches 1 / alpha with a probability of at most alpha. The boundary is the W at which
    it does: sqrt(t + r) z, where z² / 2 + ln Phi(z) = ln(1 / (2 alpha)) + ln((t + r) / r) / 2.

    Args:
        time: > 0.
        tightest: > 0, the time at which boundary / sqrt(time) is least; r follows from it.
        alpha: in (0, 0.5).
    """
    r = np.asarray(tightest) * best_ratio(alpha)
    goal = -np.log(2 * alpha) + np.log((time + r) / r) / 2
    z = np.sqrt(2 * (goal + np.log(2)))  # too high, and the left side is convex: Newton's steps fall towards the root
    for _ in range(_STEPS):
        log_phi = log_ndtr(z)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        z = z - (z**2 / 2 + log_phi - goal) / (z + density / ndtr(z))
    return np.asarray(np.sqrt(time + r) * z)


def best_ratio(alpha: float) -> float:
    """Of r to the time at which the boundary is tightest: 0.12 for an alpha of 0.025.

    Source:
        Howard et al., 2021, for the two-sided mixture at 2 alpha, from which the one-sided differs by less than 1 %.
    """
    x = -lambertw(-4 * alpha**2 / np.e, k=-1).real
    return float(1 / (x - 1))
