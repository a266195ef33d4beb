"""A recording -> a few statistics of its sound that know neither breathing nor words.

Each function gives one row of a matrix, shape (n_statistics,), in the order of its docstring; levels in dB.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spira.base.array_types import Floats, Ints, Mask, Waveform
from spira.probes.background import FLOOR, BackgroundParams, frames, levels, quiet_frames

_LOWEST_HZ = 50.0  # where the first band of a spectrum begins
_LEAST_OFFSET = 1e-4  # of full scale: -80 dB


def statistics(
    waveform: Waveform,
    sample_rate: int,
    quiet: BackgroundParams,
    n_bands: int,
    edge_seconds: float,
    background_seconds: float,
) -> Mapping[str, Floats]:
    """The statistics of one recording, by kind.

    The background is measured in as much silence of every recording, that nearest to its ends. All of it would say how
    much there is, and whether breath is drawn in it: pauses between words are a symptom, not a room.

    Args:
        waveform: shape (time,).
        quiet: what counts as background.
        n_bands: of a spectrum, evenly spaced in the logarithm of frequency.
        edge_seconds: of sound at either end.
        background_seconds: of silence, at most.
    """
    edge = round(edge_seconds * sample_rate)
    loudness = levels(waveform, sample_rate, quiet)
    cut = _cut(waveform, sample_rate, quiet)
    power = _spectra(cut)
    silent = quiet_frames(loudness, quiet)
    room = outermost(silent, round(background_seconds / quiet.step_seconds))
    return {
        "level": _level(waveform, loudness, silent, room, cut, power, sample_rate),
        "spectrum": _shape(_bands(power.mean(axis=0), sample_rate, n_bands)),
        "background": _background(power[room], sample_rate, n_bands),
        "edges": np.concatenate(
            [
                _bands(_spectra(_cut(part, sample_rate, quiet)).mean(axis=0), sample_rate, n_bands)
                for part in (waveform[:edge], waveform[-edge:])
            ]
        ),
    }


def outermost(silent: Mask, n_frames: int) -> Ints:
    """Places of the silent frames that are nearest to either end of the recording, at most ``n_frames``, rising."""
    places = np.flatnonzero(silent)
    depths = np.minimum(places, silent.size - 1 - places)
    return np.sort(places[np.argsort(depths, kind="stable")[: max(1, n_frames)]])


def _level(
    waveform: Waveform,
    loudness: Floats,
    silent: Mask,
    room: Ints,
    cut: NDArray[np.float32],
    power: Floats,
    sample_rate: int,
) -> Floats:
    """Peak, level of what is not background, noise floor, bandwidth in kHz, offset from zero.

    The offset is that of the silence: over a whole recording it would say how much of it is speech. Under -80 dB it
    counts as none.
    """
    speech = loudness[~silent]
    total = np.cumsum(power.mean(axis=0))
    widest = np.searchsorted(total, 0.999 * total[-1]) / (power.shape[1] - 1) * sample_rate / 2000
    peak = 20 * np.log10(np.abs(waveform).max() + np.sqrt(FLOOR))
    offset = 20 * np.log10(max(abs(float(cut[room].mean(dtype=np.float64))), _LEAST_OFFSET))
    loud = np.median(speech) if speech.size else np.median(loudness)
    return np.array([peak, loud, np.median(loudness[room]), widest, offset])


def _cut(waveform: Waveform, sample_rate: int, p: BackgroundParams) -> NDArray[np.float32]:
    """The frames whose levels are ``levels``, shape (n_frames, length)."""
    return frames(waveform, round(p.frame_seconds * sample_rate), round(p.step_seconds * sample_rate))


def _spectra(cut: NDArray[np.float32]) -> Floats:
    """Power by frame and frequency from 0 Hz to half the rate, shape (n_frames, n_frequencies)."""
    length = cut.shape[1]
    tapered = cut * np.hanning(length).astype(np.float32)
    return np.asarray(np.abs(np.fft.rfft(tapered, axis=1)) ** 2 / length, dtype=np.float64)


def _bands(power: Floats, sample_rate: int, n_bands: int) -> Floats:
    """Mean power in dB of each band, low to high, shape (..., n_bands)."""
    n_frequencies = power.shape[-1]
    hertz = np.geomspace(_LOWEST_HZ, sample_rate / 2, n_bands + 1)
    edges = np.round(hertz / (sample_rate / 2) * (n_frequencies - 1)).astype(int)
    parts = [power[..., low : max(low + 1, high)].mean(axis=-1) for low, high in pairwise(edges)]
    return np.asarray(10 * np.log10(np.stack(parts, axis=-1) + FLOOR))


def _shape(bands: Floats) -> Floats:
    """The bands without their mean level, which has a probe of its own."""
    return np.asarray(bands - bands.mean())


def _background(power: Floats, sample_rate: int, n_bands: int) -> Floats:
    """Mean level and standard deviation of each band over these quiet frames."""
    each = _bands(power, sample_rate, n_bands)
    return np.concatenate([_bands(power.mean(axis=0), sample_rate, n_bands), each.std(axis=0)])
