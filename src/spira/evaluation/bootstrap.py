"""Resampled speakers -> intervals: how far a metric may be from what other people would give.

Scores, labels, speakers and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from spira.base.array_types import Floats, Ints, Mask
from spira.evaluation.metrics import require_both_classes

# Weights of the clips, (n_resamples, n_clips), or None: each counts once. -> By name, the metric of every seed:
# (n_seeds, n_resamples), or (n_seeds,).
Measure = Callable[[Floats | None], Mapping[str, Floats]]
_BLOCK = 1 << 20  # weights that a thread holds at once; 8 MB, so that scores are seldom sorted anew
_ROUNDING = 1e-9  # by which a mean of many shares may pass 0 or 1
_N_THREADS = 2  # numpy lets go of Python's lock


@dataclass(frozen=True)
class Resamples:
    """How often each speaker was drawn in each resample, and which speaker each clip belongs to."""

    counts: NDArray[np.uint16]  # (n_resamples, n_speakers); a speaker with clips of both classes is two
    speaker: Ints  # (n_clips,), a column of counts
    labels: Ints  # (n_clips,)

    @property
    def class_sizes(self) -> tuple[int, int]:
        """(controls, patients): the number of speakers of each class."""
        controls, patients = (np.unique(self.speaker[self.labels == label]).size for label in (0, 1))
        return controls, patients

    @property
    def n_fewest(self) -> int:
        """The number of speakers in the smaller class: the independent draws of the weaker half of the evidence."""
        return min(self.class_sizes)

    def subset(self, members: Mask) -> "Resamples":
        """The same draws of all speakers, for the clips that are members."""
        return replace(self, speaker=self.speaker[members], labels=self.labels[members])

    def weights(self, start: int, stop: int) -> Floats:
        """How often each clip counts in the resamples from start to stop, shape (stop - start, n_clips)."""
        return np.take(self.counts[start:stop], self.speaker, axis=1).astype(np.float64)

    def measure(self, measure: Measure) -> dict[str, Floats]:
        """By name, the metric of every seed in every resample, (n_seeds, n_resamples): NaN where it is not determined.

        It works on a block of resamples at a time, two blocks at once; neither changes a number.
        """
        n_resamples, step = len(self.counts), max(1, _BLOCK // self.speaker.size)

        def block(start: int) -> Mapping[str, Floats]:
            with np.errstate(invalid="ignore"):  # 0 / 0: a resample without a class
                return measure(self.weights(start, min(start + step, n_resamples)))

        with ThreadPoolExecutor(_N_THREADS) as pool:
            parts = list(pool.map(block, range(0, n_resamples, step)))
        return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def speaker_resamples(labels: Ints, speakers: Sequence[str], n_resamples: int, seed: int) -> Resamples:
    """Draws of the speakers with replacement, ``n_resamples`` times.

    Patients and controls are drawn separately, so that every resample has as many of
    each as the study; a speaker brings all of their clips.

    Source:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, on resampling the independent unit.
    """
    require_both_classes(labels, "speaker_resamples")
    rng = np.random.default_rng(seed)
    _, number = np.unique(np.asarray(speakers), return_inverse=True)
    speakers_by_class, speaker = np.unique(2 * number + labels, return_inverse=True)
    counts = np.zeros((n_resamples, speakers_by_class.size), dtype=np.uint16)
    for label in (0, 1):
        members = np.flatnonzero(speakers_by_class % 2 == label)
        for row in counts:
            row[members] = np.bincount(rng.integers(members.size, size=members.size), minlength=members.size)
    return Resamples(counts, speaker, labels)


def share_interval(share: float, resampled: Floats, n_fewest: int, confidence: float) -> tuple[float, float]:
    """The score interval of a mean in [0, 1], for as many independent draws as the variance of its resamples implies.

    A resampled mean varies too little, by (n - 1) / n in its variance, and its spread is itself an estimate:
    hence t. Where it does not vary at all, as where every clip is classified correctly, each speaker counts as one
    draw, so the interval is never a point. Percentiles of the resamples contain the truth too seldom:
    ``make bench-coverage``.

    Args:
        share: the mean, over seeds too.
        resampled: the same mean in each resample, (n_resamples,).
        n_fewest: speakers in the smaller class. With one, the interval is [0, 1].
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: the mean, or one of the resamples, is not in [0, 1]: a metric that may be negative has the
            ``signed_interval``.

    Source:
        Wilson, JASA, 1927, with the effective sample size and t of Korn and Graubard, Survey Methodology, 1998; for
        AUC, Kottas, Kuss and Zapf, BMC Medical Research Methodology, 2014.
    """
    values = np.append(resampled, share)
    if values.min() < -_ROUNDING or values.max() > 1 + _ROUNDING:
        raise ValueError(f"share_interval: expected a metric in [0, 1], got {values.min():g} to {values.max():g}")
    if n_fewest < 2:
        return 0.0, 1.0
    variance, expected = float(resampled.var()) * n_fewest / (n_fewest - 1), float(resampled.mean())
    draws = expected * (1 - expected) / variance if variance > np.finfo(float).eps else n_fewest
    reach = float(stdtrit(n_fewest - 1, 0.5 + confidence / 2)) ** 2 / draws
    centre = (share + reach / 2) / (1 + reach)
    half = sqrt(reach * (share * (1 - share) + reach / 4)) / (1 + reach)
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def signed_interval(value: float, resampled: Floats, n_fewest: int, confidence: float) -> tuple[float, float]:
    """The score interval of a mean in [-1, 1], such as a correlation's: that of (value + 1) / 2, stretched back."""
    lo, hi = share_interval((value + 1) / 2, (resampled + 1) / 2, n_fewest, confidence)
    return 2 * lo - 1, 2 * hi - 1


def difference_interval(difference: float, resampled: Floats, n_fewest: int, confidence: float) -> tuple[float, float]:
    """The t interval of a difference between two shares in [0, 1]; the arguments are those of ``share_interval``."""
    if n_fewest < 2:
        return -1.0, 1.0
    error = sqrt(float(resampled.var()) * n_fewest / (n_fewest - 1))
    reach = float(stdtrit(n_fewest - 1, 0.5 + confidence / 2)) * error
    return max(difference - reach, -1.0), min(difference + reach, 1.0)
