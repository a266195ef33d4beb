"""One recording -> a mono waveform at one rate, or the reason why it is refused: for a corpus and in use alike."""

from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spira.ingest.acceptance import Code, IngestParams, Refusal, refuse_samples
from spira.ingest.containers.headers import Header
from spira.ingest.decoding import decode
from spira.ingest.resampling import resample, to_mono
from spira.ingest.sandbox_worker import Limits, Lost

_MARGIN = 2**12  # bytes; a resampler may round its length up


class Mono(NamedTuple):
    """An accepted recording."""

    waveform: NDArray[np.float32]  # shape (time,)
    source_sample_rate: int  # Hz; of the file
    header: Header
    comments: list[str]  # of the file; they may name people


def read_mono(path: Path, sample_rate: int, p: IngestParams, seconds_key: str = "max_seconds") -> Mono | Refusal:
    """Decodes, checks, downmixes and resamples one file.

    Args:
        path: the file; its format is taken from its content.
        sample_rate: Hz; of the waveform.
        p: the limits.
        seconds_key: the key of ``p`` that limits the length.

    Raises:
        OSError, MachineError: the machine failed, and nothing is known about the file.
    """
    decoded = decode(path, p, getattr(p, seconds_key), seconds_key)
    if isinstance(decoded, Refusal):
        return decoded
    samples, rate, header, comments = decoded
    mono = to_mono(samples)
    del decoded, samples  # memory for the resampler: a limit on it holds
    waveform = np.ascontiguousarray(resample(mono, rate, sample_rate))
    refusal = refuse_samples(waveform, p.min_peak)  # channels may cancel out; all sound may lie above Nyquist
    if refusal is not None:
        return Refusal(refusal.code, f"once mono at {sample_rate} Hz: {refusal.reason}")
    return Mono(waveform, rate, header, comments)


def decoder_limits(p: IngestParams, max_seconds: float) -> Limits:
    """What ``read_mono`` of one file may use of a sandbox, where recordings may last ``max_seconds``."""
    return Limits(ceil(p.max_decode_seconds * max_seconds / 60), p.max_decode_megabytes)


def shared_bytes(max_seconds: float, sample_rate: int) -> int:
    """Of the longest waveform that ``read_mono`` returns."""
    return 4 * ceil(max_seconds * sample_rate) + _MARGIN


def refuse_lost(lost: Lost) -> Refusal:
    """The refusal of a file that ended its decoder, with the key where a limit did."""
    key = {"megabytes": " (ingest.max_decode_megabytes)", "cpu_seconds": " (ingest.max_decode_seconds)"}
    code: Code = "too_large" if lost.limit == "megabytes" else "undecodable"
    return Refusal(code, f"its decoder {lost.reason}{key.get(lost.limit, '')}")
