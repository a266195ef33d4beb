"""Sections of params.yaml for features and windows; `check` reads them without importing torch."""

from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from spira.base.errors import ParamKeyError
from spira.base.section import Seconds, Section
from spira.encoders.params import EmbeddingParams


class FeatureParams(Section):
    kind: Literal["mfcc", "mel", "spectrogram", "embedding"]
    n_fft: int = Field(gt=0, le=16_384)  # samples; what its spectrum is folded by grows with the square
    win_length: int = Field(gt=0, le=16_384)  # samples
    hop_length: int = Field(gt=0, le=16_384)  # samples
    n_mels: int = Field(gt=0, le=8193)  # bands of mfcc and mel
    n_mfcc: int = Field(gt=0, le=8193)  # coefficients of mfcc
    f_min: float = Field(ge=0, le=24_000)  # Hz
    f_max: float = Field(gt=0, le=24_000)  # Hz
    normalize: Literal["none", "active"]  # active: to the recording's active level, without the silence around it
    active_db: float = Field(gt=0, le=60)  # an active frame is within it of the loudest 0.2 s

    @model_validator(mode="after")
    def _layout(self) -> Self:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length: must not exceed n_fft={self.n_fft}, got {self.win_length}")
        if self.hop_length > self.win_length:
            raise ValueError(
                f"hop_length: must not exceed win_length={self.win_length}, or samples are skipped, "
                f"got {self.hop_length}"
            )
        if self.n_mels > self.n_bins:
            raise ValueError(f"n_mels: must be in [1, {self.n_bins}] for n_fft={self.n_fft}, got {self.n_mels}")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc: must be in [1, {self.n_mels}] for n_mels={self.n_mels}, got {self.n_mfcc}")
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min: must be below f_max={self.f_max}, got {self.f_min}")
        return self

    @property
    def n_bins(self) -> int:
        """Bins of a one-sided spectrum, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def bins(self, sample_rate: int) -> slice:
        """The bins of a spectrogram whose centre lies in [f_min, f_max]."""
        hz = np.arange(self.n_bins) * sample_rate / self.n_fft
        inside = np.flatnonzero((hz >= self.f_min) & (hz <= self.f_max))
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def n_features(self, sample_rate: int) -> int:
        """Numbers in one frame of a spectrum; ``frame_shape`` has those of every kind."""
        if self.kind == "spectrogram":
            return len(range(self.n_bins)[self.bins(sample_rate)])
        return self.n_mfcc if self.kind == "mfcc" else self.n_mels


class FrameShape(NamedTuple):
    """What every frame of a recording is, whatever it is made from."""

    n_features: int  # numbers in a frame
    hop_length: int  # samples from one frame to the next
    context: int  # samples of a recording that its first frame is made from; 0 where frames are centred and reach out

    def n_frames(self, n_samples: int) -> int:
        """Frames of a recording of so many samples."""
        return 1 + max(0, n_samples - self.context) // self.hop_length


def frame_shape(features: FeatureParams, embedding: EmbeddingParams, sample_rate: int) -> FrameShape:
    """The shape of the frames that `features` asks for; `embedding` is read where it asks for one."""
    if features.kind == "embedding":
        return FrameShape(*embedding.layout)
    return FrameShape(features.n_features(sample_rate), features.hop_length, 0)


class WindowParams(Section):
    seconds: Seconds  # length of one window
    step_seconds: Seconds  # from one start to the next

    @model_validator(mode="after")
    def _overlap(self) -> Self:
        if self.step_seconds > self.seconds:
            raise ValueError(f"step_seconds: must not exceed seconds={self.seconds}, got {self.step_seconds}")
        if self.step_seconds < self.seconds / 100:
            raise ValueError(
                f"step_seconds: must be at least a hundredth of seconds={self.seconds}, or there are too many "
                f"windows, got {self.step_seconds}"
            )
        return self

    def samples(self, sample_rate: int) -> int:
        """Length of a window in samples."""
        return round(self.seconds * sample_rate)

    def frames(self, sample_rate: int, shape: FrameShape) -> tuple[int, int]:
        """(length, step) in feature frames of this shape; a window of t samples has 1 + (t - context) // hop_length.

        Raises:
            ParamKeyError: the step is shorter than one frame, or the window than a frame's context.
        """
        if self.samples(sample_rate) < shape.context:
            shortest = shape.context / sample_rate
            raise ParamKeyError(
                "windows.seconds", f"must be at least {shortest} s, from which one frame is made, got {self.seconds}"
            )
        step = round(self.step_seconds * sample_rate) // shape.hop_length
        if step < 1:
            shortest = shape.hop_length / sample_rate
            raise ParamKeyError("windows.step_seconds", f"must be at least {shortest} s, got {self.step_seconds}")
        return shape.n_frames(self.samples(sample_rate)), step
