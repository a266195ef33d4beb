"""Windows: slices of one length that cover a recording of any length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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


class Renderings(NamedTuple):
    """Where the frames of each clip, in each of its views, lie; those of one clip are neighbours.

    Each field has the shape (n_renderings,).
    """

    arrays: Tensor  # the array that holds the frames
    firsts: Tensor  # first frame in that array
    lengths: Tensor  # frames
    labels: Tensor  # 1.0 for patient
    clips: Tensor  # number of the clip, 0, 1, 2, ...
    views: Tensor  # number of the view
    weights: Tensor  # float64; weight of the view among those of its clip


def one_view_each(arrays: Tensor, firsts: Tensor, lengths: Tensor, labels: Tensor) -> Renderings:
    """Renderings of clips that have one view, each of weight 1; the arguments have the shape (n_clips,)."""
    n = len(lengths)
    zeros, ones = torch.zeros(n, dtype=torch.int64), torch.ones(n, dtype=torch.float64)
    return Renderings(arrays, firsts, lengths, labels, torch.arange(n), zeros, ones)


@dataclass(frozen=True)
class Windows:
    """Every window of every view of every clip, in this order: a view into their frames, never a copy.

    A window that reaches past its clip's end is filled up with zeros. What a network is given lives on the device
    of the frames; what only the host asks for (clips, views and weights) stays on the CPU, so that drawing views waits
    for no GPU.
    """

    frames: tuple[Tensor, ...]  # arrays of (n_frames, n_features); on a GPU one
    arrays: Tensor  # (n_windows,), in which of them each window lies
    starts: Tensor  # (n_windows,), first frame of each window in its array
    remaining: Tensor  # (n_windows,), frames of the rendering from the window's start to its end
    labels: Tensor  # (n_windows,), 1.0 for patient
    clips: Tensor  # (n_windows,), the clip that each window belongs to; on the CPU
    views: Tensor  # (n_windows,), and the view; on the CPU
    weights: Tensor  # (n_windows,), float64, weight of that view among those of its clip; on the CPU
    length: int  # frames in a window

    def __len__(self) -> int:
        return self.labels.numel()

    @property
    def device(self) -> torch.device:
        return self.starts.device

    def batch(self, windows: Tensor) -> Tensor:
        """The frames of some windows, shape (batch, length, n_features)."""
        return self._copy(windows) if self.device.type == "cpu" else self._gather(windows)

    def keep(self, windows: Tensor) -> "Windows":
        """Some windows, by their numbers on the CPU; the frames stay where they are."""
        there = windows.to(self.device, non_blocking=True)
        return replace(
            self,
            arrays=self.arrays[there],
            starts=self.starts[there],
            remaining=self.remaining[there],
            labels=self.labels[there],
            clips=self.clips[windows],
            views=self.views[windows],
            weights=self.weights[windows],
        )

    def _copy(self, windows: Tensor) -> Tensor:
        """Copies one window after the other."""
        batch = self.frames[0].new_empty(len(windows), self.length, self.frames[0].shape[1])
        slices = (self.arrays[windows], self.starts[windows], self.remaining[windows])
        for window, array, start, remaining in zip(batch, *(numbers.tolist() for numbers in slices), strict=True):
            n_frames = min(remaining, self.length)
            window[:n_frames] = self.frames[array][start : start + n_frames]
            window[n_frames:] = 0.0
        return batch

    def _gather(self, windows: Tensor) -> Tensor:
        """Indexes all windows at once, out of the one array: a GPU is never waited for."""
        offsets = torch.arange(self.length, device=self.device)
        rows = self.starts[windows][:, None] + offsets
        inside = offsets < self.remaining[windows][:, None]
        return self.frames[0][rows.where(inside, 0)].where(inside[:, :, None], 0.0)


def make_windows(
    frames: Sequence[Tensor], renderings: Renderings, *, length: int, step: int, device: torch.device
) -> Windows:
    """Cuts every rendering into windows, in the order of the renderings.

    Args:
        frames: of all renderings, in one array or more of (n_frames, n_features).
        renderings: where each lies.
        length: frames in a window.
        step: frames between starts.
        device: where the windows are to live. On the CPU the arrays are used as they are; elsewhere they become one.
    """
    r = renderings
    arrays, firsts = r.arrays, r.firsts
    if device.type != "cpu":
        frames, arrays, firsts = _in_one_array(frames, arrays, firsts, device)
    offsets = [window_starts(n_frames, length, step) for n_frames in r.lengths.tolist()]
    owners = torch.tensor([rendering for rendering, starts in enumerate(offsets) for _ in starts])
    flat = torch.tensor([start for starts in offsets for start in starts])
    return Windows(
        frames=tuple(frames),
        arrays=arrays[owners].to(device),
        starts=(firsts[owners] + flat).to(device),
        remaining=(r.lengths[owners] - flat).to(device),
        labels=r.labels[owners].to(device),
        clips=r.clips[owners],
        views=r.views[owners],
        weights=r.weights[owners],
        length=length,
    )


def _in_one_array(
    frames: Sequence[Tensor], arrays: Tensor, firsts: Tensor, device: torch.device
) -> tuple[tuple[Tensor], Tensor, Tensor]:
    """Puts all frames end to end on the device, which never holds them twice; and where the renderings are then."""
    sizes = [len(array) for array in frames]
    one = frames[0].new_empty(sum(sizes), frames[0].shape[1], device=device)
    for part, array in zip(one.split(sizes), frames, strict=True):
        part.copy_(array)
    begins = torch.tensor([0, *sizes]).cumsum(0)
    return (one,), torch.zeros_like(arrays), firsts + begins[arrays]


def _is_first(windows: Windows) -> Tensor:
    """Whether each window is the first of its rendering, (n_windows,), bool."""
    first = torch.ones_like(windows.clips, dtype=torch.bool)
    same_clip = windows.clips[1:] == windows.clips[:-1]
    first[1:] = ~(same_clip & (windows.views[1:] == windows.views[:-1]))
    return first


def first_of_each_rendering(windows: Windows) -> Windows:
    """Keeps the first window of each clip and view; ``moved_at_random`` then puts it anywhere in it."""
    return windows.keep(_is_first(windows).nonzero()[:, 0])


def moved_at_random(windows: Windows, rng: np.random.Generator) -> Windows:
    """Moves each window later by a uniform draw over the room that its clip leaves."""
    room: NDArray[Any] = (windows.remaining - windows.length).clamp(min=0).cpu().numpy()
    later = torch.from_numpy(rng.integers(0, room + 1)).to(windows.starts.device)
    return replace(windows, starts=windows.starts + later, remaining=windows.remaining - later)


def draw_views(windows: Windows, generator: torch.Generator) -> Windows:
    """The windows of one view of each clip, drawn with a probability proportional to its weight.

    ::

        weights of a clip's views   0.5    0.25   0.25
        cumulated              0 |------|-----|-----| 1     a uniform draw falls into one of them

    Args:
        windows: of clips of which each has a view with a weight above 0.
        generator: of one number a clip, on the CPU.
    """
    first = _is_first(windows)
    clips = windows.clips[first]
    table = _weights_by_clip(windows)
    cumulated = table.cumsum(dim=1)
    drawn = torch.rand(len(table), generator=generator, dtype=torch.float64)
    place = (cumulated <= drawn[:, None] * cumulated[:, -1:]).sum(dim=1)  # of the drawn view among those of its clip
    kept = _place_in_clip(clips) == place[clips]
    return windows.keep(kept[first.cumsum(0) - 1].nonzero()[:, 0])


def expected_windows(windows: Windows) -> float:
    """How many windows ``draw_views`` keeps on average."""
    totals = _weights_by_clip(windows).sum(dim=1)
    return float((windows.weights / totals[windows.clips]).sum())


def _weights_by_clip(windows: Windows) -> Tensor:
    """The weights of each clip's renderings, filled up with zeros: (n_clips, most renderings of a clip), float64."""
    first = _is_first(windows)
    clips = windows.clips[first]
    places = _place_in_clip(clips)
    table = torch.zeros(int(clips.max()) + 1, int(places.max()) + 1, dtype=torch.float64)
    table[clips, places] = windows.weights[first]
    return table


def _place_in_clip(clips: Tensor) -> Tensor:
    """0, 1, ... for the renderings of each clip, given the clip of each rendering, neighbours of one clip together."""
    counts = clips.bincount()
    return torch.arange(len(clips)) - (counts.cumsum(0) - counts)[clips]
