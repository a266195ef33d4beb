"""Speakers drawn anew, many times -> how far a metric may be from what other people would give.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes

# How often each clip counts, (n_resamples, n_clips), or None for once -> by name, the metric of every seed:
# (n_seeds, n_resamples), or (n_seeds,).
Measure = Callable[[Floats | None], Mapping[str, Floats]]
_BLOCK = 1 << 20  # weights that a thread holds at once; 8 MB, so that scores are seldom sorted anew
_N_THREADS = 2  # numpy lets go of Python's lock


@dataclass(frozen=True)
class Resamples:
    """How often each speaker was drawn in each resample, and whose each clip is."""

    counts: NDArray[np.uint16]  # (n_resamples, n_speakers); one who has clips of both classes is two
    whose: Ints  # (n_clips,)
    labels: Ints  # (n_clips,)

    @property
    def n_fewest(self) -> int:
        """The speakers of the class that has fewer: as many independent draws as the weaker half of the evidence."""
        return min(np.unique(self.whose[self.labels == label]).size for label in (0, 1))

    def of(self, clips: NDArray[np.bool_]) -> "Resamples":
        """The same resamples of everybody, as some of the clips see them."""
        return replace(self, whose=self.whose[clips], labels=self.labels[clips])

    def weights(self, start: int, stop: int) -> Floats:
        """How often each clip counts in some of the resamples, shape (stop - start, n_clips)."""
        return np.take(self.counts[start:stop], self.whose, axis=1).astype(np.float64)

    def measured(self, measure: Measure) -> dict[str, Floats]:
        """By name, the metric of every seed in every resample, (n_seeds, n_resamples): NaN where nothing determines it.

        A block of resamples at a time, two at once; neither changes a number.
        """
        n_resamples, step = len(self.counts), max(1, _BLOCK // self.whose.size)

        def part(start: int) -> Mapping[str, Floats]:
            with np.errstate(invalid="ignore"):  # 0 / 0: a resample that drew nobody of a class
                return measure(self.weights(start, min(start + step, n_resamples)))

        with ThreadPoolExecutor(_N_THREADS) as pool:
            parts = list(pool.map(part, range(0, n_resamples, step)))
        return {name: np.concatenate([of[name] for of in parts], axis=-1) for name in parts[0]}


def speaker_resamples(labels: Ints, groups: Sequence[str], n_resamples: int, seed: int) -> Resamples:
    """Speakers drawn with replacement, ``n_resamples`` times.

    Patients and controls are drawn apart, so that every resample holds as many of
    each as the study did; a speaker brings all of their clips.

    Source:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, on resampling the independent unit.
    """
    require_both_classes(labels, "speaker_resamples")
    rng = np.random.default_rng(seed)
    _, who = np.unique(np.asarray(groups), return_inverse=True)
    speakers, whose = np.unique(2 * who + labels, return_inverse=True)
    counts = np.zeros((n_resamples, speakers.size), dtype=np.uint16)
    for label in (0, 1):
        members = np.flatnonzero(speakers % 2 == label)
        for row in counts:
            row[members] = np.bincount(rng.integers(members.size, size=members.size), minlength=members.size)
    return Resamples(counts, whose, labels)


def share_interval(share: float, resampled: Floats, n_fewest: int, confidence: float) -> tuple[float, float]:
    """The score interval of a mean in [0, 1], as of so many independent draws as its resamples vary like.

    A resampled mean varies too little, by (n - 1) / n in its variance, and its spread is itself an estimate:
    hence t. Where it does not vary at all, as where every call is right, each speaker counts as one draw, so that
    the interval is never a point. Percentiles of the resamples hold the truth too seldom: ``make bench-coverage``.

    Args:
        share: the mean, over seeds too.
        resampled: the same of each resample, (n_resamples,).
        n_fewest: of ``Resamples``. One speaker says nothing of another: [0, 1].

    Source:
        Wilson, JASA, 1927, with the effective sample size and t of Korn and Graubard, Survey Methodology, 1998; for
        AUC, Kottas, Kuss and Zapf, BMC Medical Research Methodology, 2014.
    """
    if n_fewest < 2:
        return 0.0, 1.0
    variance, expected = float(resampled.var()) * n_fewest / (n_fewest - 1), float(resampled.mean())
    draws = expected * (1 - expected) / variance if variance > np.finfo(float).eps else n_fewest
    reach = float(stdtrit(n_fewest - 1, 0.5 + confidence / 2)) ** 2 / draws
    centre = (share + reach / 2) / (1 + reach)
    half = sqrt(reach * (share * (1 - share) + reach / 4)) / (1 + reach)
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def difference_interval(difference: float, resampled: Floats, n_fewest: int, confidence: float) -> tuple[float, float]:
    """The t interval of a difference between two shares, as ``spira.compare.paired`` has it for two revisions.

    Args: those of ``share_interval``.
    """
    if n_fewest < 2:
        return -1.0, 1.0
    error = sqrt(float(resampled.var()) * n_fewest / (n_fewest - 1))
    reach = float(stdtrit(n_fewest - 1, 0.5 + confidence / 2)) * error
    return max(difference - reach, -1.0), min(difference + reach, 1.0)
