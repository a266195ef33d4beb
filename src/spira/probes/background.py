"""The silent parts of a recording, found by energy alone, and the background noise in them.

A trained voice detector would count breathing as voice or as silence by rules that nobody can see. This one knows only
that speech is loud against the rest of the same recording, so its result can be checked by eye.
"""

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spira.base.array_types import Floats, Mask, Waveform
from spira.base.section import Section

FLOOR = 1e-10  # of power: -100 dB, as in features/spectra.py


class BackgroundParams(Section):
    frame_seconds: float = Field(ge=0.001, le=1)  # whose energy is one number
    step_seconds: float = Field(ge=0.001, le=1)  # from one frame to the next
    loud: float = Field(gt=0, lt=1)  # the quantile of a clip's frame levels that is speech for certain
    below_db: float = Field(gt=0, le=200)  # a frame this far below it is background
    guard_seconds: float = Field(ge=0, le=60)  # next to speech that is no background yet
    least: float = Field(gt=0, lt=1)  # the share of a clip's frames that is background at least: its quietest

    @model_validator(mode="after")
    def _overlap(self) -> Self:
        if self.frame_seconds > 20 * self.step_seconds:  # every sample is copied into each frame that it is in
            most = 20 * self.step_seconds
            raise ValueError(f"frame_seconds: must not exceed 20 * step_seconds={most:g}, got {self.frame_seconds}")
        return self


def frames(waveform: Waveform, length: int, step: int) -> NDArray[np.float32]:
    """Slices of ``length`` samples every ``step``, shape (n_frames, length); a shorter waveform is padded to one."""
    padded = np.pad(waveform, (0, max(0, length - waveform.size)))
    return sliding_window_view(padded, length)[::step]


def levels(waveform: Waveform, sample_rate: int, p: BackgroundParams) -> Floats:
    """Energy of each frame in dB of full scale, shape (n_frames,), at least -100."""
    cut = frames(waveform, round(p.frame_seconds * sample_rate), round(p.step_seconds * sample_rate))
    return np.asarray(10 * np.log10(np.mean(cut.astype(np.float64) ** 2, axis=1) + FLOOR))


def quiet_frames(loudness: Floats, p: BackgroundParams) -> Mask:
    """Which frames are background, shape (n_frames,); at least one is.

    ::

        level   ____/^^^^^\\______/^^\\___
        speech      |-----|      |--|
        guard     |-|     |-|  |-|  |-|
        quiet   --|         |--|      |--

    Where that leaves too little, as in a clip that is noisy throughout, its quietest frames are taken instead.
    """
    speech = loudness >= np.quantile(loudness, p.loud) - p.below_db
    reach = round(p.guard_seconds / p.step_seconds)
    near = np.convolve(speech, np.ones(2 * reach + 1), mode="same") > 0.5 if loudness.size > 2 * reach else speech
    quiet = ~np.asarray(near, dtype=np.bool_)
    n_least = max(1, round(p.least * loudness.size))
    if quiet.sum() >= n_least:
        return quiet
    quietest = np.zeros(loudness.size, dtype=np.bool_)
    quietest[np.argsort(loudness, kind="stable")[:n_least]] = True
    return quietest


def quiet_samples(waveform: Waveform, sample_rate: int, p: BackgroundParams) -> Mask:
    """Which samples are background, shape (time,): those whose nearest frame is."""
    quiet = quiet_frames(levels(waveform, sample_rate, p), p)
    length, step = round(p.frame_seconds * sample_rate), round(p.step_seconds * sample_rate)
    nearest = np.clip((np.arange(waveform.size) - length // 2 + step // 2) // step, 0, quiet.size - 1)
    return np.asarray(quiet[nearest])


def background(waveform: Waveform, sample_rate: int, p: BackgroundParams) -> Waveform:
    """The silent parts of a recording end to end, each faded in and out over a frame, so that no joint clicks."""
    quiet = quiet_samples(waveform, sample_rate, p)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    fade = round(p.frame_seconds * sample_rate)
    joined = np.zeros(0, dtype=np.float32)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        joined = _joined(joined, waveform[start:end], min(fade, joined.size, int(end - start)))
    return joined


def _joined(first: Waveform, second: Waveform, overlap: int) -> Waveform:
    """Two sounds joined; over ``overlap`` samples the first fades into the second at even power."""
    if overlap == 0:
        return np.concatenate([first, second]).astype(np.float32)
    turn = np.linspace(0, np.pi / 2, overlap, dtype=np.float32)
    mixed = first[-overlap:] * np.cos(turn) + second[:overlap] * np.sin(turn)
    return np.concatenate([first[:-overlap], mixed, second[overlap:]]).astype(np.float32)


def looped(sound: Waveform, time: int) -> Waveform:
    """``time`` samples of a sound that begins again where it ends."""
    return np.tile(sound, -(-time // max(1, sound.size)))[:time]
