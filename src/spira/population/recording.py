"""A recording -> a few numbers of its sound, in which a new room, recorder or population shows; none is of a person.

They describe the machine's side of a recording: the model's features take level and silence out, and these keep them.
"""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spira.base.array_types import Floats, Waveform
from spira.features.activity import active_frames

_FLOOR = 1e-10  # power; -100 dB: digital silence has a level too
_LEAST_SHARE = 1e-8  # of a spectrum's power in a band; -80 dB
_FRAME_SECONDS, _STEP_SECONDS = 0.025, 0.010
_QUIET = 0.1  # quantile of the frames' levels that is taken for the noise floor
_ROLLOFF = 0.99  # share of the power below it
_N_BANDS = 6  # each an octave, the highest ends at half the rate; the lowest takes in all below it
_FULL = 0.99  # of a recording's peak; samples beyond it were probably clipped, where they are many

_OCTAVES = tuple(f"octave_{i}_db" for i in range(_N_BANDS))  # low to high
_LABELS = {
    "level_db": "level of the active frames (dB of full scale)",
    "noise_floor_db": "noise floor (dB of full scale)",
    "snr_db": "level above the noise floor (dB)",
    "rolloff_khz": "frequency below which 99 % of the power lies (kHz)",
    "seconds": "duration (s)",
    "clipped_percent": "samples within 1 % of the peak (%)",
    "active_percent": "frames that are active, as those of speech (%)",
}
NUMBERS = (*_LABELS, *_OCTAVES)


def label(name: str, sample_rate: int) -> str:
    """What a page calls one of the numbers."""
    if name in _LABELS:
        return _LABELS[name]
    high = sample_rate / 2 / 2 ** (_N_BANDS - 1 - _OCTAVES.index(name))
    low = 0 if name == _OCTAVES[0] else high / 2
    return f"power from {low:g} to {high:g} Hz (dB of all)"


def describe(waveform: Waveform, sample_rate: int, active_db: float) -> dict[str, float]:
    """The numbers of one recording, in the order of ``NUMBERS``; all finite.

    Args:
        waveform: shape (time,), time >= 1; a recording that ingest accepts.
        sample_rate: Hz.
        active_db: how far below its loudest 0.2 s a frame is active; see ``features.activity``.
    """
    length = min(round(_FRAME_SECONDS * sample_rate), waveform.size)
    step = round(_STEP_SECONDS * sample_rate)
    frames = sliding_window_view(waveform, length)[::step]
    energy = np.square(frames, dtype=np.float64).mean(axis=1)
    active = active_frames(energy, step / sample_rate, active_db)
    sound = frames[active] if active.any() else frames
    level = _db(energy[active].mean() if active.any() else 0.0)
    floor = _db(np.quantile(energy, _QUIET))
    power = (np.abs(np.fft.rfft(sound * np.hanning(length).astype(np.float32), axis=1)) ** 2).mean(axis=0)
    peak = np.abs(waveform).max()
    found = [
        level,
        floor,
        level - floor,
        float(np.searchsorted(np.cumsum(power), _ROLLOFF * power.sum())) / length * sample_rate / 1000,
        waveform.size / sample_rate,
        100 * float((np.abs(waveform) >= _FULL * peak).mean()) if peak > 0 else 0.0,
        100 * float(active.mean()),
        *_octaves(power),
    ]
    return dict(zip(NUMBERS, found, strict=True))


def _octaves(power: Floats) -> list[float]:
    """The share of the power in each octave, low to high, in dB."""
    edges = [0, *(round((len(power) - 1) / 2**i) for i in reversed(range(_N_BANDS)))]
    shares = [power[low:high].sum() for low, high in pairwise(edges)]
    total = max(float(sum(shares)), _FLOOR)
    return [10 * float(np.log10(max(share / total, _LEAST_SHARE))) for share in shares]


def _db(power: float) -> float:
    return 10 * float(np.log10(max(power, _FLOOR)))
