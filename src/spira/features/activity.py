"""Which frames of a recording are sound and which are pauses: one definition, for features and for the level of noise.

A frame is active where its energy lies within ``active_db`` of the loudest 0.2 s of its recording. Nothing here depends
on the gain of the recording, and pauses and silence around it change nothing.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spira.base.array_types import Float32s, Floats, Mask, Waveform

FLOOR = 1e-10  # power; -100 dB
_QUIET = np.float32(1e-4)  # power, of the active level; -40 dB: every cell of a pause, and the least of any other
_LEVEL = 1e-3  # power, of the waveform that an encoder is given; -30 dBFS, Resemblyzer's own
_REFERENCE_SECONDS = 0.2  # a syllable: a click is shorter, and must not become the reference
_FRAME_SECONDS, _STEP_SECONDS = 0.025, 0.010  # of a waveform


def active_frames(energy: Floats, step_seconds: float, active_db: float) -> Mask:
    """Whether each frame is active; none is where all are silent.

    Args:
        energy: of each frame, >= 0, shape (n_frames,), n_frames >= 1.
        step_seconds: from one frame to the next.
        active_db: how far below the reference, the maximum of the moving mean over 0.2 s, an active frame may lie.
    """
    length = min(max(1, round(_REFERENCE_SECONDS / step_seconds)), energy.size)
    reference = sliding_window_view(energy, length).mean(axis=1).max()
    active: Mask = (energy >= reference * 10 ** (-active_db / 10)) & (reference > 0)
    return active


def active_power(waveform: Waveform, sample_rate: int, active_db: float) -> float:
    """The mean square of a waveform over its active frames, of 25 ms every 10 ms; 0 where all is silent.

    Args:
        waveform: shape (time,), time >= 1; a shorter one is a single frame.
        sample_rate: Hz.
        active_db: see ``active_frames``.
    """
    energy, _, step = _energies(waveform, sample_rate)
    active = active_frames(energy, step / sample_rate, active_db)
    return float(energy[active].mean()) if active.any() else 0.0


def at_active_level(waveform: Waveform, sample_rate: int, active_db: float) -> Waveform:
    """The waveform from its first active frame to its last, scaled to an active level of -30 dBFS.

    So neither a gain nor silence around the sound changes it: beyond its ends a recording is taken to be silent, and
    the first active frame may begin there. Where all is silent, the waveform is given back as it is.

    Args:
        waveform: shape (time,), time >= 1.
        sample_rate: Hz.
        active_db: see ``active_frames``.

    Returns:
        Shape (time,), float32; its mean square over the active frames is 0.001.
    """
    around = 3 * round(_STEP_SECONDS * sample_rate)  # samples; whole steps, and more than a frame
    padded = np.pad(waveform, (around, around))
    energy, length, step = _energies(padded, sample_rate)
    active = active_frames(energy, step / sample_rate, active_db)
    if not active.any():
        return waveform
    places = np.flatnonzero(active)
    sound = padded[places[0] * step : places[-1] * step + length]
    return np.asarray(sound * np.float32(np.sqrt(_LEVEL / energy[active].mean())))


def _energies(waveform: Waveform, sample_rate: int) -> tuple[Floats, int, int]:
    """The mean square of each frame, (n_frames,); a frame's samples, and those from one to the next."""
    length, step = min(round(_FRAME_SECONDS * sample_rate), waveform.size), round(_STEP_SECONDS * sample_rate)
    sums = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    starts = np.arange(0, waveform.size - length + 1, step)
    return (sums[starts + length] - sums[starts]) / length, length, step


def relative_power(power: Float32s, step_seconds: float, active_db: float) -> Float32s:
    """A spectrum's power relative to its active level, from the first active frame to the last.

    The level is the mean energy of the active frames; an active cell is at least -40 dB, and every cell of an inactive
    frame between active ones is -40 dB: what is quieter is the recorder's noise, not the speaker. Where no frame is
    active, all are as inactive ones, and none is cut off.

    Args:
        power: shape (n_frames, n_bands); below ``FLOOR`` it counts as silence.
        step_seconds: from one frame to the next.
        active_db: see ``active_frames``; the energy of a frame is the mean of its bands.
    """
    energy = power.mean(axis=1, dtype=np.float64)
    active = active_frames(np.where(energy > FLOOR, energy, 0.0), step_seconds, active_db)
    if not active.any():
        return np.full_like(power, _QUIET)
    places = np.flatnonzero(active)
    sound = slice(places[0], places[-1] + 1)
    level = np.float32(energy[active].mean())
    relative = np.maximum(np.maximum(power[sound], np.float32(FLOOR)) / level, _QUIET)
    relative[~active[sound]] = _QUIET
    return relative
