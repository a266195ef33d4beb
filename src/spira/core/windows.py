"""How a recording of any length becomes slices of one length."""

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

    frames: Tensor  # (n_frames, n_features), on the device
    starts: Tensor  # (n_views, n_windows), first frame of each window
    remaining: Tensor  # (n_windows,), frames of the clip from the window's start to the clip's end
    labels: Tensor  # (n_windows,), 1.0 for patient
    clips: Tensor  # (n_windows,), which clip each window is of
    length: int  # frames in a window

    def __len__(self) -> int:
        return self.labels.numel()

    def batch(self, windows: Tensor, views: Tensor) -> Tensor:
        """The frames of some windows, shape (batch, length, n_features)."""
        offsets = torch.arange(self.length, device=self.starts.device)
        rows = self.starts[views, windows][:, None] + offsets
        inside = offsets < self.remaining[windows][:, None]
        if inside.device.type == "cpu" and inside.all():  # the same numbers sooner; a GPU would have to be waited for
            return self.frames[rows]
        return self.frames[rows.where(inside, 0)].where(inside[:, :, None], 0.0)


def windows_of(frames: Tensor, firsts: Tensor, lengths: Tensor, labels: Tensor, *, length: int, step: int) -> Windows:
    """Every window of every clip in every view, clip by clip; on the device of ``frames``.

    Args:
        frames: of all clips and views, (n_frames, n_features).
        firsts: where each clip begins in each view, (n_views, n_clips).
        lengths: frames of each clip, (n_clips,).
        labels: of each clip, (n_clips,); 1.0 for patient.
        length: frames in a window.
        step: frames between starts.
    """
    offsets = [window_starts(n_frames, length, step) for n_frames in lengths.tolist()]
    whose = torch.tensor([clip for clip, starts in enumerate(offsets) for _ in starts])
    flat = torch.tensor([start for starts in offsets for start in starts])
    return Windows(
        frames=frames,
        starts=(firsts[:, whose] + flat).to(frames.device),
        remaining=(lengths[whose] - flat).to(frames.device),
        labels=labels[whose].to(frames.device),
        clips=whose.to(frames.device),
        length=length,
    )


def first_of_each_clip(windows: Windows) -> Windows:
    """One window a clip, the first; ``moved_at_random`` then puts it anywhere in the clip."""
    first = torch.ones_like(windows.clips, dtype=torch.bool)
    first[1:] = windows.clips[1:] != windows.clips[:-1]
    return replace(
        windows,
        starts=windows.starts[:, first],
        remaining=windows.remaining[first],
        labels=windows.labels[first],
        clips=windows.clips[first],
    )


def moved_at_random(windows: Windows, rng: np.random.Generator) -> Windows:
    """Each window later by an even draw over all that its clip leaves room for, the same in every view."""
    room: NDArray[Any] = (windows.remaining - windows.length).clamp(min=0).cpu().numpy()
    later = torch.from_numpy(rng.integers(0, room + 1)).to(windows.starts.device)
    return replace(windows, starts=windows.starts + later, remaining=windows.remaining - later)
