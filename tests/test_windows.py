"""core.windows: slices of one length that together are the recording."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spira.core.windows import WindowParams, Windows, window_starts
from spira.errors import ParamError


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
        WindowParams(seconds=4.0, step_seconds=0.005).frames(16_000, 160)


def test_a_batch_holds_the_frames_that_its_starts_name() -> None:
    """A window is a view of the clip's own frames in the view asked for, never of its neighbour's."""
    frames = torch.arange(24.0).reshape(12, 2)  # one clip of 6 frames in each of two views
    windows = Windows(
        frames=frames,
        starts=torch.tensor([[0, 2], [6, 8]]),
        labels=torch.tensor([1.0, 1.0]),
        clips=torch.tensor([0, 0]),
        length=4,
    )
    batch = windows.batch(torch.tensor([1, 0]), torch.tensor([0, 1]))
    assert torch.equal(batch, torch.stack([frames[2:6], frames[6:10]]))
