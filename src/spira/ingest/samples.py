"""Samples of an open sound file, read front to back and held to what its header promises and to the limits."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from spira.ingest.acceptance import IngestParams, Refusal, most_frames, refuse_clipped, refuse_header, refuse_samples
from spira.ingest.containers.endings import MEND
from spira.ingest.containers.streams import SoundFile

_BLOCK = 1152  # frames; one of MP3's
_READ = 64 * _BLOCK  # frames at once; each call costs as much as decoding 500
_NO_CODEC = ("WAV", "WAVEX")  # as most recordings are; no block can fail to decode
_STEP = np.float32(2**-15)  # of 16 bits, where full scale is 1

Samples = tuple[NDArray[np.float32], int]  # (n_frames, n_channels), Hz


class RecordingLimits(NamedTuple):
    """Limits of a recording, and the name of the key that limits its length."""

    p: IngestParams
    max_seconds: float
    seconds_key: str


def read_samples(
    file: SoundFile,
    limits: RecordingLimits,
    promised: int | None,
    is_padded: Callable[[], bool] = lambda: True,
) -> Samples | Refusal:
    """Every sample, or the first limit or promise that the file breaks.

    Args:
        file: at its beginning.
        limits: what is accepted.
        promised: frames that its header promises; None where it does not say.
        is_padded: whether the file ends in padding, asked where it cannot be decoded to its end.
    """
    rate, n_channels = file.samplerate, file.channels
    p, longest = limits.p, most_frames(rate, limits.p, limits.max_seconds)
    refusal = refuse_header(promised, rate, n_channels, *limits)
    if refusal is not None:
        return refusal
    samples, broke = _read(file, 1 + (longest if promised is None else promised))
    if promised is None and len(samples) > longest:
        return _too_long(longest, limits)
    if promised is None:
        refusal = refuse_header(len(samples), rate, n_channels, *limits)
    elif len(samples) < promised - (_BLOCK if file.format == "MP3" else 0):  # some count the block that has the count
        refusal = Refusal("truncated", f"the header promises {promised} frames, {len(samples)} can be decoded")
    elif len(samples) > promised:
        refusal = Refusal("trailing", f"the header promises {promised} frames, and more follow: {MEND}")
    if refusal is None and broke and not is_padded():
        follows = f"what follows frame {len(samples)} cannot be decoded"
        refusal = Refusal("truncated", follows) if promised is None else Refusal("trailing", f"{follows}: {MEND}")
    refusal = refusal or refuse_samples(samples, p.min_peak) or refuse_clipped(samples, p.max_clipped)
    return refusal or (samples, rate)


def _too_long(longest: int, limits: RecordingLimits) -> Refusal:
    """The refusal of a file that is too long and does not say how long it is."""
    if longest < limits.p.max_frames:
        return Refusal("too_long", f"expected at most {limits.max_seconds} s, got more (ingest.{limits.seconds_key})")
    return Refusal("too_long", f"expected at most {longest} samples a channel, got more (ingest.max_frames)")


def _read(file: SoundFile, n_frames: int) -> tuple[NDArray[np.float32], bool]:
    """Reads up to ``n_frames``; fewer where the file ends, or breaks: then the second is True."""
    samples = np.full((min(file.frames, n_frames), file.channels), np.nan, np.float32)
    read = _int16_reader(file) if file.subtype == "PCM_16" and file.format in _NO_CODEC else file.read
    n_read = 0
    try:
        while n_new := len(read(out=samples[n_read : n_read + _READ])):
            n_read += n_new
    except soundfile.LibsndfileError:  # in a block whose count is lost with it
        return samples[: int(np.argmax(np.isnan(np.append(samples[:, 0], np.nan))))], True
    return samples[:n_read], False


def _int16_reader(file: SoundFile) -> Callable[..., NDArray[np.float32]]:
    """``file.read`` of 16-bit integers into float32: the same numbers in a third of libsndfile's time."""
    block = np.empty((_READ, file.channels), np.int16)

    def read(out: NDArray[np.float32]) -> NDArray[np.float32]:
        integers = file.read(out=block[: len(out)])
        np.multiply(integers, _STEP, out=out[: len(integers)])
        return out[: len(integers)]

    return read
