"""What a recording must be before anything is learnt from it."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from spira.core.section import Section

Waveform = NDArray[np.float32]

Code = Literal[
    "missing",
    "undecodable",
    "unsupported",
    "empty",
    "truncated",
    "sample_rate",
    "channels",
    "not_finite",
    "out_of_range",
    "too_short",
    "too_long",
    "silent",
    "near_silent",
    "duplicate",
    "speaker_conflict",
    "label_conflict",
]


class IngestParams(Section):
    min_sample_rate: PositiveInt  # Hz
    max_sample_rate: PositiveInt  # Hz
    max_channels: PositiveInt
    min_seconds: PositiveFloat
    max_seconds: PositiveFloat
    max_noise_seconds: PositiveFloat  # noise recordings may be longer than speech
    min_peak: float = Field(gt=0, lt=1)  # full scale is 1; below it, near silence
    max_rejected: float = Field(ge=0, le=1)  # fraction of the corpus's rows

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.min_sample_rate > self.max_sample_rate:
            raise ValueError(
                f"min_sample_rate: must not exceed max_sample_rate={self.max_sample_rate}, got {self.min_sample_rate}"
            )
        if self.min_seconds > min(self.max_seconds, self.max_noise_seconds):
            raise ValueError(f"min_seconds: must not exceed max_seconds and max_noise_seconds, got {self.min_seconds}")
        return self


@dataclass(frozen=True)
class Refusal:
    """Why a recording is not used: a code to count by, and a sentence to act on."""

    code: Code
    reason: str


def refuse_header(
    n_frames: int, sample_rate: int, n_channels: int, p: IngestParams, max_seconds: float
) -> Refusal | None:
    """What a file's header alone rules out, before a sample is decoded.

    Args:
        n_frames: samples a channel, as the header says.
        sample_rate: Hz, as the header says.
        n_channels: channels, as the header says.
        p: the limits.
        max_seconds: the longest recording accepted.
    """
    if not p.min_sample_rate <= sample_rate <= p.max_sample_rate:
        expected = f"{p.min_sample_rate} to {p.max_sample_rate} Hz"
        return Refusal("sample_rate", f"expected {expected}, got {sample_rate} Hz")
    if not 1 <= n_channels <= p.max_channels:
        return Refusal("channels", f"expected 1 to {p.max_channels} channels, got {n_channels}")
    if n_frames == 0:
        return Refusal("empty", "a header and no samples")
    seconds = n_frames / sample_rate
    if seconds < p.min_seconds:
        return Refusal("too_short", f"expected at least {p.min_seconds} s, got {seconds:.3f} s")
    if seconds > max_seconds:
        return Refusal("too_long", f"expected at most {max_seconds} s, got {seconds:.3f} s")
    return None


def refuse_samples(samples: Waveform, min_peak: float) -> Refusal | None:
    """What only the samples can rule out.

    Args:
        samples: shape (n_frames, n_channels) or (n_frames,), n_frames >= 1.
        min_peak: the least half swing, from lowest to highest sample of a channel, that counts as a recording.
    """
    if not np.isfinite(samples).all():
        n_bad = int(np.count_nonzero(~np.isfinite(samples)))
        return Refusal("not_finite", f"{n_bad} of {samples.size} samples are NaN or infinite")
    swing = float(np.ptp(samples, axis=0).max()) / 2  # an offset is no sound, whatever its level
    if swing == 0:
        return Refusal("silent", f"every sample is {samples.flat[0]:g}: a muted microphone")
    if swing < min_peak:
        return Refusal("near_silent", f"expected a peak of at least {min_peak}, got {swing:.6f} of full scale")
    peak = float(np.abs(samples).max())
    if peak > 16:  # float files may pass 1 honestly; 24 dB over full scale is integers written as floats
        return Refusal("out_of_range", f"expected samples in [-1, 1], got a peak of {peak:g}")
    return None
