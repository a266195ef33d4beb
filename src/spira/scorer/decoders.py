"""Recordings as bytes or files -> waveforms, each decoded in a process that a bad file may end.

Bytes are decoded from memory: nobody's voice reaches a disk.
"""

import atexit
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spira.ingest.acceptance import IngestParams, Refusal
from spira.ingest.containers.headers import Header
from spira.ingest.mono import decoder_limits, read_mono, refuse_lost, shared_bytes
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Lost
from spira.ingest.sources import Member, as_file
from spira.scorer.answer import MACHINE, Refused

Source = bytes | Path | Member


@dataclass(frozen=True)
class _Sound:
    """A recording in memory, which no message and no log shows."""

    content: bytes = field(repr=False)


class Decoded(NamedTuple):
    """An accepted recording."""

    waveform: NDArray[np.float32]  # shape (time,)
    source_sample_rate: int  # Hz; of the file
    header: Header


@dataclass(frozen=True)
class _Read:
    """Decodes one recording, in a decoder's process."""

    sample_rate: int
    ingest: IngestParams

    def __call__(self, source: _Sound | Path | Member) -> Decoded | Refusal:
        with as_file(source.content if isinstance(source, _Sound) else source) as path:
            mono = read_mono(path, self.sample_rate, self.ingest)
        return mono if isinstance(mono, Refusal) else Decoded(mono.waveform, mono.source_sample_rate, mono.header)


class Decoders:
    """``decoders(source)`` -> a decoded recording, or why there is none; from as many threads as there are.

    They are forked here, so before torch starts its threads.
    """

    def __init__(self, sample_rate: int, p: IngestParams, n_processes: int) -> None:
        limits, n_shared = decoder_limits(p, p.max_seconds), shared_bytes(p.max_seconds, sample_rate)
        self._guard: Guard[_Sound | Path | Member, Decoded | Refusal] = Guard(
            _Read(sample_rate, p), limits, n_processes, n_shared
        )
        atexit.register(self.close)  # a server that loads a package never closes it, and would wait for them at its end

    def __call__(self, source: Source) -> Decoded | Refused:
        found = self._guard(_Sound(source) if isinstance(source, bytes) else source)
        if isinstance(found, Failed):
            return Refused(code=MACHINE, reason=f"the machine failed, and nothing is known of it: {found.reason}")
        if isinstance(found, Lost):
            found = refuse_lost(found)
        return Refused(code=found.code, reason=found.reason) if isinstance(found, Refusal) else found

    def close(self) -> None:
        """Ends them; once is enough."""
        atexit.unregister(self.close)
        self._guard.__exit__(None, None, None)
