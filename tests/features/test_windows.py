"""Windows have one length, and together they hold every sample of their recording."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spira.base.errors import ParamError
from spira.features.params import WindowParams
from spira.features.windows import (
    Windows,
    _in_one_array,
    first_of_each_clip,
    make_windows,
    moved_at_random,
    window_starts,
)


@pytest.mark.parametrize("time", [1, 3, 4, 5, 7, 8, 9, 100])
@pytest.mark.parametrize(("length", "step"), [(4, 4), (4, 2), (4, 3), (1, 1)])
def test_every_sample_is_in_some_window(time: int, length: int, step: int) -> None:
    """No tail is dropped, at any length of clip: the defect of ``range(length, time, step)``."""
    covered = {sample for start in window_starts(time, length, step) for sample in range(start, start + length)}
    assert covered >= set(range(time))


@given(time=st.integers(1, 10_000), length=st.integers(1, 500), data=st.data())
def test_starts_are_as_the_docstring_counts_them(time: int, length: int, data: st.DataObject) -> None:
    """1 + ceil(max(0, time - length) / step) increasing starts, the last window ending with the clip."""
    step = data.draw(st.integers(1, length))
    starts = window_starts(time, length, step)
    assert len(starts) == 1 + -(-max(0, time - length) // step)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] + length == max(time, length)


def test_eight_seconds_give_five_windows_of_four() -> None:
    """SPIRA's loop gave 4 windows of the 5 that 8.0 s hold, and an error for 4.0 s."""
    assert window_starts(8 * 16_000, 4 * 16_000, 16_000) == [0, 16_000, 32_000, 48_000, 64_000]
    assert window_starts(4 * 16_000, 4 * 16_000, 16_000) == [0]


def test_a_window_of_four_seconds_has_401_frames() -> None:
    """64,000 samples at a hop of 160 are 1 + 400 centred frames, and a step of 1 s is 100."""
    assert WindowParams(seconds=4.0, step_seconds=1.0).frames(16_000, 160) == (401, 100)


def test_a_step_shorter_than_a_frame_is_refused() -> None:
    """Windows that start in the same frame would be the same window twice."""
    with pytest.raises(ParamError, match=r"windows\.step_seconds: must be at least 0\.01 s, got 0\.005"):
        WindowParams(seconds=0.4, step_seconds=0.005).frames(16_000, 160)


def test_a_batch_holds_the_frames_that_its_starts_name() -> None:
    """A window is a view of the clip's own frames in the view asked for, never of its neighbour's."""
    frames = torch.arange(24.0).reshape(12, 2)  # one clip of 6 frames in each of two views
    windows = Windows(
        frames=(frames,),
        arrays=torch.tensor([0, 0]),
        starts=torch.tensor([[0, 2], [6, 8]]),
        remaining=torch.tensor([6, 4]),
        labels=torch.tensor([1.0, 1.0]),
        clips=torch.tensor([0, 0]),
        length=4,
    )
    batch = windows.batch(torch.tensor([1, 0]), torch.tensor([0, 1]))
    assert torch.equal(batch, torch.stack([frames[2:6], frames[6:10]]))


def make_clips(*n_frames: int, length: int, n_views: int = 1) -> Windows:
    """One window a clip; the frame at position i of the array holds the number i."""
    firsts = torch.tensor([0, *n_frames]).cumsum(0)
    return Windows(
        frames=(torch.arange(1.0, 1 + n_views * float(firsts[-1]))[:, None],),
        arrays=torch.zeros(len(n_frames), dtype=torch.int64),
        starts=torch.stack([firsts[:-1] + view * firsts[-1] for view in range(n_views)]),
        remaining=torch.tensor(n_frames),
        labels=torch.zeros(len(n_frames)),
        clips=torch.arange(len(n_frames)),
        length=length,
    )


def test_a_window_longer_than_its_clip_is_filled_with_zeros() -> None:
    """And never with the clip that happens to lie behind it in the array; nor beyond the array's end."""
    windows = make_clips(3, 2, length=4)
    batch = windows.batch(torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert batch[:, :, 0].tolist() == [[1, 2, 3, 0], [4, 5, 0, 0]]


def in_arrays(lengths: list[list[int]], *, length: int, device: str = "cpu") -> Windows:
    """Clips of so many frames in each of so many arrays, in two views; every frame holds a number of its own."""
    arrays = torch.tensor([number for number, held in enumerate(lengths) for _ in held])
    firsts = torch.tensor([sum(held[:i]) for held in lengths for i in range(len(held))])
    sizes = torch.tensor([sum(held) for held in lengths])
    frames = torch.arange(1.0, 1 + 2 * int(sizes.sum()))[:, None].split((2 * sizes).tolist())
    held = torch.tensor([n for of in lengths for n in of])
    views = torch.stack([firsts, firsts + sizes[arrays]])
    labels = torch.zeros(len(held))
    return make_windows(frames, arrays, views, held, labels, length=length, step=2, device=torch.device(device))


@given(
    lengths=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4),
    length=st.integers(1, 6),
    data=st.data(),
)
def test_windows_are_the_same_however_their_frames_are_kept(
    lengths: list[list[int]], length: int, data: st.DataObject
) -> None:
    """In several arrays, copied one by one; and in one, all gathered at once, as on a GPU."""
    length = max(length, 2)  # the step
    several = in_arrays(lengths, length=length)
    cpu = torch.device("cpu")
    frames, arrays, starts = _in_one_array(several.frames, several.arrays, several.starts, cpu)
    assert torch.equal(frames[0], torch.cat(several.frames))
    one = replace(several, frames=frames, arrays=arrays, starts=starts)
    n = data.draw(st.integers(1, 8))
    windows = torch.tensor(data.draw(st.lists(st.integers(0, len(several) - 1), min_size=n, max_size=n)))
    views = torch.tensor(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    expected = one._gather(windows, views)
    assert torch.equal(several.batch(windows, views), expected)
    assert torch.equal(one.batch(windows, views), expected)


def test_elsewhere_than_on_the_cpu_the_arrays_become_one() -> None:
    """Windows begin where their array begins in it. (The device ``meta`` has shapes and no numbers.)"""
    here = in_arrays([[3, 5], [4], [6]], length=4)
    there = in_arrays([[3, 5], [4], [6]], length=4, device="meta")
    assert [tuple(array.shape) for array in there.frames] == [(2 * 18, 1)]
    assert {tensor.device.type for tensor in (there.starts, there.remaining, there.clips, there.arrays)} == {"meta"}
    assert there.starts.shape == here.starts.shape


@pytest.mark.cuda
def test_a_gpu_reads_the_same_windows() -> None:
    """Out of the one array that all were put into."""
    here, there = (in_arrays([[3, 5], [4], [6, 1]], length=4, device=device) for device in ("cpu", "cuda"))
    windows = torch.arange(len(here))
    for view in (0, 1):
        views = torch.full_like(windows, view)
        assert torch.equal(there.batch(windows.cuda(), views.cuda()).cpu(), here.batch(windows, views))


def test_a_random_window_lies_anywhere_in_its_clip_and_nowhere_else() -> None:
    """Every start that leaves a whole window is drawn; a clip with no room stays; all views move alike."""
    windows = make_clips(9, 4, 3, length=4, n_views=2)
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(200):
        moved = moved_at_random(windows, rng)
        later = moved.starts - windows.starts
        assert torch.equal(later[0], later[1])
        assert torch.equal(moved.remaining + later[0], windows.remaining)
        seen.add(tuple(later[0].tolist()))
    assert seen == {(start, 0, 0) for start in range(6)}


def test_one_window_a_clip_is_its_first() -> None:
    """Clips of 3, 1 and 2 windows; the first begins where the clip does, and knows all of the clip."""
    windows = Windows(
        frames=(torch.zeros(60, 1),),
        arrays=torch.tensor([0, 0, 0, 0, 1, 1]),
        starts=torch.tensor([[0, 2, 4, 10, 20, 22]]),
        remaining=torch.tensor([8, 6, 4, 4, 6, 4]),
        labels=torch.tensor([1.0, 1, 1, 0, 1, 1]),
        clips=torch.tensor([0, 0, 0, 1, 2, 2]),
        length=4,
    )
    first = first_of_each_clip(windows)
    assert first.starts.tolist() == [[0, 10, 20]]
    assert first.arrays.tolist() == [0, 0, 1]
    assert first.remaining.tolist() == [8, 4, 6]
    assert first.labels.tolist() == [1, 0, 1]
    assert first.clips.tolist() == [0, 1, 2]
