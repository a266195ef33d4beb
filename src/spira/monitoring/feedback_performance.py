"""Labelled people -> AUC, sensitivity, specificity and calibration, beside those of the test set.

Conventions:
    scores     mean over a person's recordings, in [0, 1]. Shape (n_people,).
    labels     1 for patient, 0 for control. Shape (n_people,).
    weights    how many people who were answered alike a person with a label stands for. Shape (n_people,).
    A score at or above the threshold is positive, inside the inconclusive band too, as ``evaluate`` counts.

Where those who were answered positive are labelled more often than the others, sensitivity among the labelled is too
high and specificity too low; where the inconclusive are, both are too low, for they are answered wrongly more often.
The weights correct for it, as far as the answer alone decides whose truth becomes known.

Source:
    Begg and Greenes, "Assessment of diagnostic tests when disease verification is subject to selection bias",
    Biometrics, 1983.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spira.base.array_types import Floats, Ints, Mask
from spira.base.errors import DataError
from spira.evaluation.bootstrap import speaker_resamples
from spira.evaluation.calibrators import reliability
from spira.evaluation.intervals import estimates
from spira.evaluation.metrics import at_threshold, auc
from spira.monitoring.confidence_sequence import Group, Share, fall, group, least_fall, share
from spira.monitoring.feedback_params import FeedbackParams
from spira.monitoring.feedback_result import (
    Bin,
    Calibrated,
    Compared,
    Decile,
    Interval,
    Metric,
    Performance,
    Watch,
    Watched,
)

_METRICS: tuple[Metric, ...] = ("auc", "sensitivity", "specificity")
_WATCHED: dict[Watch, int] = {"sensitivity": 1, "specificity": 0}  # by name, the class whose people it counts
_N_DECILES = 10


class Labelled(NamedTuple):
    """People whose truth is known."""

    scores: Floats
    labels: Ints
    weights: Floats

    @property
    def class_sizes(self) -> tuple[int, int]:
        """(controls, patients)."""
        n_patients = int(self.labels.sum())
        return self.labels.size - n_patients, n_patients


def labelled_people(patients: Sequence[float], controls: Sequence[float]) -> Labelled:
    """The people of the test set by their scores; each stands for themselves.

    Raises:
        DataError: a class has nobody.
    """
    if not patients or not controls:
        raise DataError(
            f"reference.json: promise: must have patients and controls, got {len(patients)} and {len(controls)}"
        )
    labels = np.repeat([1, 0], [len(patients), len(controls)])
    return Labelled(np.array([*patients, *controls], dtype=np.float64), labels, np.ones(labels.size))


def performance(promised: Labelled, used: Labelled, threshold: float, p: FeedbackParams) -> Performance:
    """What the champion does in use, beside what it did on its test set; both must have both classes."""
    before, now = (_metrics(people, threshold, p) for people in (promised, used))
    watched: dict[Watch, Watched] = {}
    for name, label in _WATCHED.items():
        shares = [_share(people, label, threshold) for people in (promised, used)]
        sizes = promised.class_sizes[label], used.class_sizes[label]
        watched[name] = _watched(before[name].value, now[name].value, shares[0], shares[1], sizes, p)
    return Performance(
        metrics={name: Compared(promised=before[name], used=now[name]) for name in _METRICS},
        watched=watched,
        calibration_promised=_calibrated(promised, p.n_bins),
        calibration_used=_calibrated(used, p.n_bins),
    )


def _metrics(people: Labelled, threshold: float, p: FeedbackParams) -> dict[Metric, Interval]:
    names = [str(i) for i in range(people.labels.size)]  # everybody is resampled by themselves
    resamples = speaker_resamples(people.labels, names, p.n_resamples, p.seed)
    thresholds = np.full(people.labels.size, threshold)

    def measure(drawn: Floats | None) -> dict[str, Floats]:
        weights = people.weights if drawn is None else drawn * people.weights
        found = at_threshold(people.labels, people.scores, thresholds, weights)
        found["auc"] = auc(people.labels, people.scores, weights)
        return {name: found[name][None] for name in _METRICS}

    found = estimates(measure, resamples, p.confidence)
    return {name: Interval(value=found[name].mean, lo=found[name].lo, hi=found[name].hi) for name in _METRICS}


def _watched(promised: float, used: float, before: Share, now: Share, n: tuple[int, int], p: FeedbackParams) -> Watched:
    """A share by its two estimates, plain and with one more right and one more wrong."""
    bounds = fall(before, now, alpha=p.alpha, tightest=p.tightest)
    least = least_fall(before, alpha=p.alpha, tightest=p.tightest) + promised - before.value
    return Watched(
        n_promised=n[0],
        n_used=n[1],
        fall=promised - used,
        lo=max(-1.0, float(bounds.lo)),
        hi=min(1.0, float(bounds.hi)),
        least_fall=float(least),
    )


def _share(people: Labelled, label: int, threshold: float) -> Share:
    """Of one class, the share that was answered rightly."""
    positive = people.scores >= threshold
    right = positive if label == 1 else ~positive
    own = people.labels == label
    return share(*(_group(people, own & side, side) for side in (right, ~right)))


def _group(people: Labelled, own: Mask, side: Mask) -> Group:
    """Where there is nobody, one more would have the mean weight of their side of the threshold, or of the other."""
    otherwise = people.weights[side if side.any() else ~side].mean()
    return group(own.astype(np.int64), people.weights, np.asarray(otherwise))


def _calibrated(people: Labelled, n_bins: int) -> Calibrated:
    columns = reliability(people.labels, people.scores, n_bins)
    bins = [
        Bin(mean_score=score, share_patients=patients, people=n)
        for score, patients, n in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return Calibrated(
        mean_score=float(np.average(people.scores, weights=people.weights)),
        share_patients=float(np.average(people.labels, weights=people.weights)),
        bins=tuple(bins),
    )


def deciles(scores: Floats, known: Mask) -> list[Decile]:
    """Tenths of the people by score, the lowest first; people of one score are in one tenth, and none is empty.

    Args:
        scores: of everybody who was answered, shape (n_people,).
        known: whose truth is known.
    """
    if not scores.size:
        return []
    edges = np.quantile(scores, np.arange(1, _N_DECILES) / _N_DECILES)
    tenth = np.searchsorted(edges, scores, side="left")
    return [
        Decile(
            low=float(scores[own].min()),
            high=float(scores[own].max()),
            mean=float(scores[own].mean()),
            answered=int(own.sum()),
            labelled=int(known[own].sum()),
        )
        for own in (tenth == i for i in range(_N_DECILES))
        if own.any()
    ]
