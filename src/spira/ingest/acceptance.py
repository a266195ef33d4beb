"""Acceptance of recordings: limits on headers and samples, and the reasons of refusals."""

from dataclasses import dataclass
from math import ceil
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spira.base.array_types import Waveform
from spira.base.section import Section

_PIECE = 2**18  # frames

Code = Literal[
    "missing",
    "undecodable",
    "unsupported",
    "empty",
    "truncated",
    "trailing",
    "sample_rate",
    "channels",
    "not_finite",
    "out_of_range",
    "too_short",
    "too_long",
    "too_large",
    "silent",
    "near_silent",
    "clipped",
    "duplicate",
    "speaker_conflict",
    "label_conflict",
]


class IngestParams(Section):
    min_sample_rate: int = Field(gt=0, le=10**7)  # Hz
    max_sample_rate: int = Field(gt=0, le=10**7)  # Hz
    max_channels: int = Field(ge=1, le=64)
    min_seconds: float = Field(gt=0, le=86400)
    max_seconds: float = Field(gt=0, le=86400)
    max_noise_seconds: float = Field(gt=0, le=86400)  # noise recordings may be longer than speech
    max_frames: int = Field(ge=1, le=10**10)  # samples a channel, at any rate
    min_peak: float = Field(gt=0, lt=1)  # full scale is 1; below it, near silence
    max_clipped: float = Field(gt=0, le=1)  # fraction of the samples at the highest or the lowest value
    max_decode_seconds: int = Field(ge=1, le=3600)  # of a core's time for each minute that a recording may last
    max_decode_megabytes: int = Field(ge=64, le=10**6)  # of memory for one recording
    personal_data: Literal["refuse", "pseudonymise"]  # in names of files and speakers
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
    """Why a recording is refused: a code to count by, and a sentence to act on."""

    code: Code
    reason: str


def most_frames(sample_rate: int, p: IngestParams, max_seconds: float) -> int:
    """Samples a channel in the longest recording that is accepted at this rate."""
    return min(int(max_seconds * sample_rate), p.max_frames)


def refuse_header(
    n_frames: int | None,
    sample_rate: int,
    n_channels: int,
    p: IngestParams,
    max_seconds: float,
    seconds_key: str = "max_seconds",
) -> Refusal | None:
    """Refuses a file by its header, before a sample is decoded; every limit is named that it breaks, with its key.

    Args:
        n_frames: samples a channel, as the header says; None where it does not.
        sample_rate: Hz, as the header says.
        n_channels: channels, as the header says.
        p: the limits.
        max_seconds: the longest recording accepted.
        seconds_key: what ``max_seconds`` is called in ``p``.
    """
    found: list[Refusal] = []

    def refuse(code: Code, key: str, expected: str, got: str) -> None:
        found.append(Refusal(code, f"expected {expected}, got {got} (ingest.{key})"))

    if not p.min_sample_rate <= sample_rate <= p.max_sample_rate:
        key = "min_sample_rate" if sample_rate < p.min_sample_rate else "max_sample_rate"
        refuse("sample_rate", key, f"{p.min_sample_rate} to {p.max_sample_rate} Hz", f"{sample_rate} Hz")
    if not 1 <= n_channels <= p.max_channels:
        refuse("channels", "max_channels", f"1 to {p.max_channels} channels", str(n_channels))
    if n_frames == 0:
        found.append(Refusal("empty", "a header and no samples"))
    elif n_frames is not None:
        seconds, megabytes = n_frames / max(sample_rate, 1), ceil(_bytes_to_decode(n_frames, n_channels) / 2**20)
        if seconds < p.min_seconds:
            refuse("too_short", "min_seconds", f"at least {p.min_seconds} s", f"{seconds:.3f} s")
        if seconds > max_seconds:
            refuse("too_long", seconds_key, f"at most {max_seconds} s", f"{seconds:.3f} s")
        if n_frames > p.max_frames:
            refuse("too_long", "max_frames", f"at most {p.max_frames} samples a channel", str(n_frames))
        if megabytes > p.max_decode_megabytes:
            most = f"at most {p.max_decode_megabytes} MB of memory to decode it"
            refuse("too_large", "max_decode_megabytes", most, f"about {megabytes} MB")
    return Refusal(found[0].code, "; ".join(refusal.reason for refusal in found)) if found else None


def _bytes_to_decode(n_frames: int, n_channels: int) -> int:
    """Memory to decode a file: float32 samples of every channel, their mean, that resampled, and the decoder's own."""
    return 4 * n_frames * (n_channels + 2) + 2**24


def refuse_samples(samples: Waveform, min_peak: float) -> Refusal | None:
    """Refuses a recording by its samples.

    Args:
        samples: shape (n_frames, n_channels) or (n_frames,), n_frames >= 1.
        min_peak: the least half swing, from lowest to highest sample of a channel, that counts as a recording.
    """
    low, high = _extremes(samples)
    if not np.isfinite([low, high]).all():
        n_bad = sum(int(np.count_nonzero(~np.isfinite(piece))) for piece in _pieces(samples))
        return Refusal("not_finite", f"{n_bad} of {samples.size} samples are NaN or infinite")
    swing = float((high - low).max()) / 2  # an offset is no sound, whatever its level
    if swing == 0:
        return Refusal("silent", f"every sample is {samples.flat[0]:g}: a muted microphone")
    if swing < min_peak:
        return Refusal(
            "near_silent", f"expected a peak of at least {min_peak}, got {swing:.6f} of full scale (ingest.min_peak)"
        )
    peak = float(max(high.max(), -low.min()))
    if peak > 16:  # float files may pass 1 honestly; 24 dB over full scale is integers written as floats
        return Refusal("out_of_range", f"expected samples in [-1, 1], got a peak of {peak:g}")
    return None


def refuse_clipped(samples: Waveform, max_clipped: float) -> Refusal | None:
    """Refuses a recording that was too loud for its recorder, whether or not it was made softer afterwards.

    Args:
        samples: as decoded, before anything rounds its corners; shape (n_frames, n_channels), not silent.
        max_clipped: the largest fraction of a channel's samples within a thousandth of its extremes.
            Speech that fits has one in 100,000 there, speech 18 dB too loud a tenth, a pure tone 3 %
            (11 % where eight bits hold it in few steps), a square wave all of them.
    """
    clipped = max(_fraction_at_extremes(channel, max_clipped) for channel in samples.T)
    if clipped > max_clipped:
        most = f"at most {max_clipped:.0%} of samples at the extremes"
        return Refusal("clipped", f"expected {most}, got {clipped:.0%} (ingest.max_clipped)")
    return None


def _fraction_at_extremes(channel: Waveform, enough: float) -> float:
    """The fraction of a channel's samples at its extremes; 0 where it is surely not more than ``enough``."""
    low, high = float(channel.min()), float(channel.max())
    if high - low < 0.2:  # so soft that eight bits may hold it in a few steps; or not plugged in
        return 0.0
    middle, reach = (high + low) / 2, 0.999 * (high - low) / 2
    # each sample at an extreme is this far from the middle, so that the mean square bounds how many there are:
    # of speech so few that they need not be counted, in a fifth of the time
    pieces = _pieces(channel)
    mean_square = sum(float(np.vdot(piece, piece)) for piece in pieces) / len(channel)
    if 1.01 * ((np.sqrt(mean_square) + abs(middle)) / reach) ** 2 <= enough:  # float32 sums a piece to within 1 %
        return 0.0
    top, bottom = middle + reach, middle - reach
    return sum(np.count_nonzero(piece >= top) + np.count_nonzero(piece <= bottom) for piece in pieces) / len(channel)


def _extremes(samples: Waveform) -> NDArray[np.float32]:
    """The lowest and the highest sample of each channel, shape (2, n_channels).

    Channel by channel, since NumPy takes 30 times as long for the two columns at once.
    """
    return np.array([(channel.min(), channel.max()) for channel in np.atleast_2d(samples.T)]).T


def _pieces(samples: Waveform) -> list[Waveform]:
    """Views of a long recording, so that computing on it needs little memory at once."""
    return [samples[start : start + _PIECE] for start in range(0, len(samples), _PIECE)]
