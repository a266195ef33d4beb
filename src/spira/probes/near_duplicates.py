"""Which clips are nearly the same sound: the same recording at another level, through another codec, or cut shorter.

Each frame of a recording gives 32 bits: whether the difference between neighbouring bands of frequency grew since the
frame before. No gain changes them, and a codec changes few. Two clips that agree in most of the bits of a stretch at
one delay are one recording.

Source:
    Haitsma and Kalker, "A highly robust audio fingerprinting system", ISMIR 2002; bands and frames are theirs.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spira.base.array_types import Floats, Waveform
from spira.base.section import Seconds, Section
from spira.ingest.resampling import resample
from spira.probes.background import frames

_N_BITS = 32
_RATE = 5000  # Hz; the bands end at 2000
_LOW, _HIGH = 300.0, 2000.0  # Hz
_FRAME, _STEP = 1850, 58  # samples; 0.37 s, every 11.6 ms: neighbours overlap so far that an offset hardly matters

Prints = NDArray[np.uint32]  # (n_frames,)


class FingerprintParams(Section):
    min_seconds: Seconds  # of agreement
    max_bit_errors: float = Field(gt=0, lt=0.5)  # of the bits of that stretch; two strangers differ in half
    max_sharers: int = Field(gt=0, le=10_000)  # clips in which a frame's bits may occur and still point to one another

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.min_seconds * _RATE < 10 * _STEP:
            raise ValueError(f"min_seconds: must be at least 0.116, ten frames, got {self.min_seconds}")
        return self


class Pair(NamedTuple):
    """Two clips that are nearly the same sound."""

    first: int  # place in the list of clips
    second: int
    bit_errors: float  # share of the bits that differ where they overlap
    delay_seconds: float  # from the second's beginning to the first's


def fingerprint(waveform: Waveform, sample_rate: int) -> Prints:
    """32 bits a frame; empty for a recording of less than two frames (0.4 s)."""
    slow = resample(waveform, sample_rate, _RATE)
    if slow.size < _FRAME + _STEP:
        return np.zeros(0, dtype=np.uint32)
    energy = _energies(slow)
    grew = np.diff(np.diff(energy, axis=1), axis=0) > 0  # (n_frames - 1, 32)
    return np.asarray(np.packbits(grew, axis=1).view(">u4")[:, 0], dtype=np.uint32)


def _energies(slow: Waveform) -> Floats:
    """Log energy of each of 33 bands, evenly spaced in the logarithm of frequency, shape (n_frames, 33)."""
    taper = np.hanning(_FRAME).astype(np.float32)
    hertz = np.fft.rfftfreq(2048, 1 / _RATE)
    edges = np.searchsorted(hertz, np.geomspace(_LOW, _HIGH, _N_BITS + 2))
    cut = frames(slow, _FRAME, _STEP)
    parts = []
    for start in range(0, len(cut), 256):  # a few megabytes at once
        power = np.abs(np.fft.rfft(cut[start : start + 256] * taper, 2048, axis=1)) ** 2
        parts.append(np.add.reduceat(power, edges, axis=1)[:, :-1])
    return np.log(np.concatenate(parts).astype(np.float64) + 1e-20)


def near_duplicates(prints: Sequence[Prints], p: FingerprintParams) -> list[Pair]:
    """Every pair of clips that agree for ``p.min_seconds`` at some delay, in the order of the clips.

    Clips are compared only where a frame of both has the same 32 bits, so the work grows with the length of the
    corpus and not with the number of its pairs.
    """
    n_least, seconds = round(p.min_seconds * _RATE / _STEP), _STEP / _RATE
    found: dict[tuple[int, int], Pair] = {}
    for (first, second, delay), n_hits in sorted(_meetings(prints, p.max_sharers).items()):
        if n_hits < 2:
            continue  # of some thousand frames, two strangers may share one
        error = _bit_errors(prints[first], prints[second], delay, n_least)
        if error <= p.max_bit_errors and error < found.get((first, second), Pair(0, 0, 1.0, 0.0)).bit_errors:
            found[first, second] = Pair(first, second, error, delay * seconds)
    return [found[key] for key in sorted(found)]


def _meetings(prints: Sequence[Prints], max_sharers: int) -> Counter[tuple[int, int, int]]:
    """How often two clips have a frame with the same bits, by (first clip, second clip, frames between)."""
    bits = np.concatenate([np.zeros(0, dtype=np.uint32), *prints])
    clips = np.repeat(np.arange(len(prints)), [len(print_) for print_ in prints])
    places = np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(len(print_)) for print_ in prints)])
    order = np.argsort(bits, kind="stable")
    starts = np.flatnonzero(np.diff(bits[order], prepend=bits[order][:1] ^ np.uint32(1)))
    meetings: Counter[tuple[int, int, int]] = Counter()
    for group in np.split(order, starts[1:]) if bits.size else []:
        who = clips[group]
        if who.size < 2 or not 1 < np.unique(who).size <= max_sharers or who.size > 4 * max_sharers:
            continue  # silence and hum look the same everywhere
        at = places[group]
        for i in range(len(group)):
            for j in range(i + 1, len(group)):
                if who[i] != who[j]:  # the order is stable, so who[i] < who[j]
                    meetings[int(who[i]), int(who[j]), int(at[j] - at[i])] += 1
    return meetings


def _bit_errors(first: Prints, second: Prints, delay: int, n_least: int) -> float:
    """The share of bits that differ over the best stretch of ``n_least`` frames at a delay; 1 where none is so long."""
    start = max(0, -delay)
    end = min(len(first), len(second) - delay)
    if end - start < n_least:
        return 1.0
    differ = np.bitwise_count(first[start:end] ^ second[start + delay : end + delay]).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(differ)])
    return float((total[n_least:] - total[:-n_least]).min() / (n_least * _N_BITS))
