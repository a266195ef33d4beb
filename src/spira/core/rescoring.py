"""Clips whose frames are in memory -> their windows, as ``read_windows`` makes those on disk."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spira.core.windows import Windows, window_starts


def windows_of(clips: Sequence[Tensor], *, length: int, step: int, device: torch.device) -> Windows:
    """Every window of every clip, in one view.

    Args:
        clips: the frames of each, (n_frames, n_features).
        length: frames in a window.
        step: frames between starts.
    """
    offsets = [window_starts(len(clip), length, step) for clip in clips]
    whose = torch.tensor([i for i, starts in enumerate(offsets) for _ in starts])
    flat = torch.tensor([start for starts in offsets for start in starts])
    lengths = torch.tensor([len(clip) for clip in clips])
    firsts = torch.cumsum(lengths, 0) - lengths
    return Windows(
        frames=torch.cat(list(clips)).to(device),
        starts=(firsts[whose] + flat)[None].to(device),
        remaining=(lengths[whose] - flat).to(device),
        labels=torch.zeros(whose.numel(), device=device),  # nobody is told them
        clips=whose.to(device),
        length=length,
    )
