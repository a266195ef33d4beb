"""A recording -> the same recording in another form, or over another speaker's background.

The *background* of a clip is the sound of its silent parts, found by energy. To *swap* it, the silent parts are set to
zero, the background under the speech is reduced by spectral subtraction, and another clip's background, repeated as
often as needed, is added to the whole clip at its own level.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from spira.base.array_types import Floats, Waveform
from spira.base.section import Count, Seconds, Section, Seed
from spira.probes.background import BackgroundParams, background, frames, looped, quiet_samples

Alteration = Literal["louder", "inverted", "padded", "trimmed", "noise_added", "own_class_noise", "other_class_noise"]
FORMS: tuple[Alteration, ...] = ("louder", "inverted", "padded", "trimmed")  # that say nothing of the speaker
SWAPS: tuple[Alteration, ...] = ("own_class_noise", "other_class_noise")
ADDED: Alteration = "noise_added"  # recordings of noise, as featurize adds them
_LENGTH, _STEP = 512, 128  # samples of the STFT that takes the background down
_FLOOR = 0.1  # of amplitude, under which no cell of it is taken: -20 dB


class AlterParams(Section):
    seed: Seed  # of whose background is taken
    n_clips: Count  # of the test clips, at most
    gain_db: float = Field(gt=0, le=60)  # by which a clip is made louder
    pad_seconds: float = Field(gt=0, le=60)  # of its own background, added at either end
    n_noises: int = Field(gt=0, le=100)  # recordings summed onto a clip, whatever the model was trained with
    min_background_seconds: Seconds  # of a clip whose background is lent to others


def in_form(
    waveform: Waveform, form: Alteration, sample_rate: int, quiet: BackgroundParams, p: AlterParams
) -> Waveform:
    """One of ``FORMS`` of a recording, shape (time,) or, where it is padded or trimmed, another length."""
    if form == "louder":
        return np.asarray(waveform * np.float32(10 ** (p.gain_db / 20)), dtype=np.float32)
    if form == "inverted":
        return -waveform
    if form == "padded":
        room = looped(background(waveform, sample_rate, quiet), round(p.pad_seconds * sample_rate))
        return np.concatenate([room, waveform, room]).astype(np.float32)
    spoken = np.flatnonzero(~quiet_samples(waveform, sample_rate, quiet))
    return waveform[spoken[0] : spoken[-1] + 1] if spoken.size else waveform


def swapped(waveform: Waveform, other: Waveform, sample_rate: int, quiet: BackgroundParams) -> Waveform:
    """The speech of a recording over another's background.

    Args:
        waveform: shape (time,).
        other: the other's background, of any length >= 1.

    Returns:
        Shape (time,), float32.
    """
    silent = quiet_samples(waveform, sample_rate, quiet)
    return without(waveform, silent) + looped(other, waveform.size)


def without(waveform: Waveform, silent: NDArray[np.bool_]) -> Waveform:
    """What is not background: nothing where ``silent``, and elsewhere less by the mean power of what is.

    Source:
        Boll, "Suppression of acoustic noise in speech using spectral subtraction", 1979.
    """
    ends = (_LENGTH, _LENGTH + (-waveform.size) % _STEP)
    cut = frames(np.pad(waveform, ends), _LENGTH, _STEP)
    quiet = frames(np.pad(silent.astype(np.float32), ends, mode="edge"), _LENGTH, _STEP).mean(axis=1) > 0.5
    inside = np.arange(len(cut)) * _STEP
    own = quiet & (inside >= _LENGTH) & (inside < waveform.size)  # frames of the recording, not of the padding
    taper = np.sqrt(np.hanning(_LENGTH + 1)[:-1])
    cells = np.fft.rfft(cut * taper, axis=1)
    power = np.abs(cells) ** 2
    noise = power[own].mean(axis=0) if own.any() else np.zeros(power.shape[1])
    gains = np.sqrt(np.maximum(1 - noise / np.maximum(power, 1e-20), _FLOOR**2))
    gains[quiet] = 0
    return _overlapped(np.fft.irfft(cells * gains, _LENGTH, axis=1) * taper)[_LENGTH : _LENGTH + waveform.size]


def _overlapped(cut: Floats) -> Waveform:
    """Frames added up where they lie; the squares of the tapers that overlap at a sample sum to 2."""
    whole = np.zeros((len(cut) - 1) * _STEP + _LENGTH)
    for i, frame in enumerate(cut):
        whole[i * _STEP : i * _STEP + _LENGTH] += frame
    return (whole / 2).astype(np.float32)
