"""Several trainings' scores of the same people -> how far a mean over them is from that of other people and trainings.

A training is to a test set what a reader is to a study of many readers and many cases: its own luck, and its own
difficulties with some people.

Source:
    Obuchowski and Rockette, Communications in Statistics B, 1995, and Hillis, Statistics in Medicine, 2007 and 2014:
    readers nested in tests, which are here trainings nested in models or in revisions. Over people alone it is DeLong,
    DeLong and Clarke-Pearson, Biometrics, 1988; with several clips a speaker, Obuchowski, Biometrics, 1997.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes

_CLASSES = {"auc": (0, 1), "sensitivity": (1,), "specificity": (0,)}  # whose clips a metric is a mean over


@dataclass(frozen=True)
class Trainings:
    """The distinct trainings of two sides, models or revisions: one that says the same in both is one."""

    scores: Floats  # (n_trainings, n_clips)
    thresholds: Floats  # (n_trainings, n_clips)
    base: tuple[int, ...]  # rows of scores, one a seed
    head: tuple[int, ...]
    # (base, head): whether another training of it would differ. A side in which nothing is drawn is not a draw, so it
    # has no variance over trainings; what it shares with the other over speakers counts all the same
    drawn: tuple[bool, bool] = (True, True)

    @property
    def shares(self) -> Floats:
        """What each adds to head's mean less what it adds to base's, (n_trainings,)."""
        n = len(self.thresholds)
        base, head = (np.bincount(members, minlength=n) / len(members) for members in (self.base, self.head))
        return np.asarray(head - base)

    @property
    def populations(self) -> list[list[int]]:
        """Draws of the same thing: the trainings of each drawn side, or of both where the two have one in common."""
        sides = [set(side) for side, drawn in zip((self.base, self.head), self.drawn, strict=True) if drawn]
        if len(sides) == 2 and sides[0] & sides[1]:
            sides = [sides[0] | sides[1]]
        return [sorted(side) for side in sides]


class Error(NamedTuple):
    """Of a difference of means over trainings."""

    size: float  # the standard error
    freedom: float  # degrees of freedom of its estimate
    over_trainings: bool  # False: a side that is drawn has a single training, so the error is over people alone


def distinct(
    base: Floats,
    base_thresholds: Floats,
    head: Floats,
    head_thresholds: Floats,
    drawn: tuple[bool, bool] = (True, True),
) -> Trainings:
    """Each training once, by its scores and its thresholds.

    Args:
        base, head: scores, shape (n_seeds, n_clips), of the same clips in the same order.
        base_thresholds, head_thresholds: the threshold of each clip, shape (n_seeds, n_clips).
        drawn: as in ``Trainings``.
    """
    places: dict[tuple[bytes, bytes], int] = {}
    members = [
        places.setdefault((scores.tobytes(), thresholds.tobytes()), len(places))
        for scores, thresholds in [*zip(base, base_thresholds, strict=True), *zip(head, head_thresholds, strict=True)]
    ]
    firsts = [members.index(place) for place in places.values()]
    every, cuts = (np.concatenate(pair)[firsts] for pair in ((base, head), (base_thresholds, head_thresholds)))
    return Trainings(every, cuts, tuple(members[: len(base)]), tuple(members[len(base) :]), drawn)


def metric_by_training(
    metric: str, labels: Ints, speakers: Sequence[str], trainings: Trainings
) -> tuple[Floats, Floats]:
    """(the metric of each training, their covariance over other speakers): shapes (n,) and (n, n)."""
    credit = _credit(metric, labels, trainings.scores, trainings.thresholds)
    covariance = np.zeros((len(credit), len(credit)))
    for label in _CLASSES[metric]:
        members = labels == label
        people, whose = np.unique(np.asarray(speakers)[members], return_inverse=True)
        pulls = credit[:, members] - credit[:, members].mean(axis=1, keepdims=True)
        sums = np.stack([np.bincount(whose, pull, people.size) for pull in pulls]) / whose.size
        covariance += people.size / (people.size - 1) * sums @ sums.T
    return credit[:, members].mean(axis=1), covariance


def _credit(metric: str, labels: Ints, scores: Floats, thresholds: Floats) -> Floats:
    """What each clip adds to the metric, which is their mean: over either class for AUC, otherwise over its own."""
    require_both_classes(labels, metric)
    called = (scores >= thresholds).astype(np.float64)
    if metric != "auc":
        return called if metric == "sensitivity" else 1 - called
    patients = labels == 1
    beats = np.empty(scores.shape)
    beats[:, patients] = _below(scores[:, ~patients], scores[:, patients])
    beats[:, ~patients] = 1 - _below(scores[:, patients], scores[:, ~patients])
    return beats


def _below(others: Floats, scores: Floats) -> Floats:
    """The share of each row of ``others`` that is below each score of the same row, ties counting half."""
    ends = [
        [np.searchsorted(row, places, side) for side in ("left", "right")]
        for row, places in zip(np.sort(others, axis=1), scores, strict=True)
    ]
    return np.asarray(np.mean(ends, axis=1) / others.shape[1])


def error_of_difference(trainings: Trainings, metrics: Floats, covariance: Floats, freedom: int) -> Error:
    """The error of head's mean less base's, over other people and other trainings.

    Trainings of one side differ by their own luck and because each finds other people hard. Their spread on this
    test set holds both, so the second is taken out of what resampled people would give.

    Args:
        freedom: degrees of freedom of ``covariance``.
    """
    shares = trainings.shares
    over_people, parts, known = float(shares @ covariance @ shares), [], True
    for members in trainings.populations:
        weight, n = float(np.sum(shares[members] ** 2)), len(members)
        if weight > 0 and n == 1:
            known = False
        elif weight > 0:
            own = covariance[np.ix_(members, members)]
            alike = (own.sum() - np.trace(own)) / (n * (n - 1))
            over_people -= weight * (np.trace(own) / n - alike)
            parts.append((weight * float(np.var(metrics[members], ddof=1)), n - 1))
    parts.append((max(over_people, 0.0), freedom))
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / part_freedom for part, part_freedom in parts)
    return Error(sqrt(variance), variance**2 / spread if spread > 0 else freedom, known)
