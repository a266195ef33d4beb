"""All noise recordings in one array."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spira.base.array_types import Waveform


@dataclass(frozen=True)
class NoiseBank:
    """Every noise recording, end to end.

    Recording i is ``samples[starts[i]:starts[i] + lengths[i]]``.
    """

    samples: Waveform  # (time,), all recordings
    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def recording(self, index: int) -> Waveform:
        return self.samples[self.starts[index] : self.starts[index] + self.lengths[index]]

    @cached_property
    def peaks(self) -> list[np.float32]:
        """The largest |amplitude| of each recording, computed once: every excerpt is compared with it."""
        return [peak(self.recording(index)) for index in range(len(self.starts))]


def peak(samples: Waveform) -> np.float32:
    """The largest |amplitude|, without a copy of the samples."""
    return np.float32(max(samples.max(), -samples.min()))
