"""All noise recordings in one array."""

from collections.abc import Collection, Sequence
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
    groups: tuple[str, ...]  # see ``noise_groups``; recordings of one group are never parted

    def __len__(self) -> int:
        return len(self.starts)

    def recording(self, index: int) -> Waveform:
        return self.samples[self.starts[index] : self.starts[index] + self.lengths[index]]

    def keep(self, groups: Collection[str]) -> "NoiseBank":
        """The recordings of some groups, in the same order; the samples stay where they are."""
        kept = [i for i, group in enumerate(self.groups) if group in groups]
        return NoiseBank(
            self.samples,
            starts=tuple(self.starts[i] for i in kept),
            lengths=tuple(self.lengths[i] for i in kept),
            groups=tuple(self.groups[i] for i in kept),
        )

    @cached_property
    def peaks(self) -> list[np.float32]:
        """The largest |amplitude| of each recording, computed once: every excerpt is compared with it."""
        return [peak(self.recording(index)) for index in range(len(self.starts))]


def noise_groups(recordings: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """The group of each recording: its source where at least two are named, else the recording itself.

    Args:
        recordings: their names.
        sources: where each comes from, "" where that is unknown; such a recording is a group of its own.
    """
    several = len(set(sources) - {""}) > 1
    named = zip(recordings, sources, strict=True)
    return tuple(f"source:{source}" if several and source else f"recording:{name}" for name, source in named)


def peak(samples: Waveform) -> np.float32:
    """The largest |amplitude|, without a copy of the samples."""
    return np.float32(max(samples.max(), -samples.min()))
