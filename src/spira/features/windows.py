"""Windows: slices of one length that cover a recording of any length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def window_starts(time: int, length: int, step: int) -> list[int]:
    """Starts of the windows that together cover every sample.

    Window i starts at i * step. The last one is moved back to end with the
    recording rather than dropped or padded::

        |------- recording ------|
        [ 0      ]
             [ 1      ]
                       [ last    ]   starts at time - length, maybe < step later

    A recording shorter than one window has one window, which starts at 0.

    Args:
        time: samples (or frames) in the recording, >= 1.
        length: samples in a window, >= 1.
        step: samples between starts, 1 <= step <= length.

    Returns:
        1 + ceil(max(0, time - length) / step) increasing starts.
    """
    last = max(0, time - length)
    return [*range(0, last, step), last]


@dataclass(frozen=True)
class Windows:
    """Every window of a subset: a view into its frames, never a copy.

    ``starts`` has one row a view, for a clip's noisy renderings have one length. A window
    that reaches past its clip's end is filled up with zeros.
    """

    frames: tuple[Tensor, ...]  # arrays of (n_frames, n_features); on a GPU one
    arrays: Tensor  # (n_windows,), in which of them each window lies, in every view
    starts: Tensor  # (n_views, n_windows), first frame of each window in its array
    remaining: Tensor  # (n_windows,), frames of the clip from the window's start to the clip's end
    labels: Tensor  # (n_windows,), 1.0 for patient
    clips: Tensor  # (n_windows,), the clip that each window belongs to
    length: int  # frames in a window

    def __len__(self) -> int:
        return self.labels.numel()

    @property
    def device(self) -> torch.device:
        return self.starts.device

    def batch(self, windows: Tensor, views: Tensor) -> Tensor:
        """The frames of some windows, shape (batch, length, n_features)."""
        return self._copy(windows, views) if self.device.type == "cpu" else self._gather(windows, views)

    def _copy(self, windows: Tensor, views: Tensor) -> Tensor:
        """Copies one window after the other."""
        batch = self.frames[0].new_empty(len(windows), self.length, self.frames[0].shape[1])
        slices = (self.arrays[windows], self.starts[views, windows], self.remaining[windows])
        for window, array, start, remaining in zip(batch, *(numbers.tolist() for numbers in slices), strict=True):
            n_frames = min(remaining, self.length)
            window[:n_frames] = self.frames[array][start : start + n_frames]
            window[n_frames:] = 0.0
        return batch

    def _gather(self, windows: Tensor, views: Tensor) -> Tensor:
        """Indexes all windows at once, out of the one array: a GPU is never waited for."""
        offsets = torch.arange(self.length, device=self.device)
        rows = self.starts[views, windows][:, None] + offsets
        inside = offsets < self.remaining[windows][:, None]
        return self.frames[0][rows.where(inside, 0)].where(inside[:, :, None], 0.0)


def make_windows(
    frames: Sequence[Tensor],
    arrays: Tensor,
    firsts: Tensor,
    lengths: Tensor,
    labels: Tensor,
    *,
    length: int,
    step: int,
    device: torch.device,
) -> Windows:
    """Cuts every clip, in every view, into windows; clip by clip.

    Args:
        frames: of all clips and views, in one array or more of (n_frames, n_features).
        arrays: in which of them each clip lies, (n_clips,).
        firsts: where each clip begins in its array in each view, (n_views, n_clips).
        lengths: frames of each clip, (n_clips,).
        labels: of each clip, (n_clips,); 1.0 for patient.
        length: frames in a window.
        step: frames between starts.
        device: where the windows are to live. On the CPU the arrays are used as they are; elsewhere they become one.
    """
    if device.type != "cpu":
        frames, arrays, firsts = _in_one_array(frames, arrays, firsts, device)
    offsets = [window_starts(n_frames, length, step) for n_frames in lengths.tolist()]
    owners = torch.tensor([clip for clip, starts in enumerate(offsets) for _ in starts])
    flat = torch.tensor([start for starts in offsets for start in starts])
    return Windows(
        frames=tuple(frames),
        arrays=arrays[owners].to(device),
        starts=(firsts[:, owners] + flat).to(device),
        remaining=(lengths[owners] - flat).to(device),
        labels=labels[owners].to(device),
        clips=owners.to(device),
        length=length,
    )


def _in_one_array(
    frames: Sequence[Tensor], arrays: Tensor, firsts: Tensor, device: torch.device
) -> tuple[tuple[Tensor], Tensor, Tensor]:
    """Puts all frames end to end on the device, which never holds them twice; and where the clips are then."""
    sizes = [len(array) for array in frames]
    one = frames[0].new_empty(sum(sizes), frames[0].shape[1], device=device)
    for part, array in zip(one.split(sizes), frames, strict=True):
        part.copy_(array)
    begins = torch.tensor([0, *sizes]).cumsum(0)
    return (one,), torch.zeros_like(arrays), firsts + begins[arrays]


def first_of_each_clip(windows: Windows) -> Windows:
    """Keeps the first window of each clip; ``moved_at_random`` then puts it anywhere in the clip."""
    first = torch.ones_like(windows.clips, dtype=torch.bool)
    first[1:] = windows.clips[1:] != windows.clips[:-1]
    return replace(
        windows,
        arrays=windows.arrays[first],
        starts=windows.starts[:, first],
        remaining=windows.remaining[first],
        labels=windows.labels[first],
        clips=windows.clips[first],
    )


def moved_at_random(windows: Windows, rng: np.random.Generator) -> Windows:
    """Moves each window later by a uniform draw over the room that its clip leaves, the same in every view."""
    room: NDArray[Any] = (windows.remaining - windows.length).clamp(min=0).cpu().numpy()
    later = torch.from_numpy(rng.integers(0, room + 1)).to(windows.starts.device)
    return replace(windows, starts=windows.starts + later, remaining=windows.remaining - later)
