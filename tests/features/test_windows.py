"""Windows have one length, and together they hold every sample of their recording."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spira.base.errors import ParamError
from spira.features.params import FrameShape, WindowParams
from spira.features.windows import (
    Renderings,
    Windows,
    _in_one_array,
    draw_views,
    expected_windows,
    first_of_each_rendering,
    make_windows,
    moved_at_random,
    one_view_each,
    window_starts,
)

CPU = torch.device("cpu")
CENTRED = FrameShape(n_features=40, hop_length=160, context=0)


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
    assert WindowParams(seconds=4.0, step_seconds=1.0).frames(16_000, CENTRED) == (401, 100)


def test_a_step_shorter_than_a_frame_is_refused() -> None:
    """Windows that start in the same frame would be the same window twice."""
    with pytest.raises(ParamError, match=r"windows\.step_seconds: must be at least 0\.01 s, got 0\.005"):
        WindowParams(seconds=0.4, step_seconds=0.005).frames(16_000, CENTRED)


def make_clips(*n_frames: int, length: int) -> Windows:
    """One window a clip; the frame at position i of the array holds the number i + 1."""
    held = torch.tensor(n_frames)
    renderings = one_view_each(torch.zeros_like(held), held.cumsum(0) - held, held, torch.zeros(len(held)))
    frames = torch.arange(1.0, 1 + sum(n_frames))[:, None]
    every = make_windows([frames], renderings, length=length, step=length, device=CPU)
    return first_of_each_rendering(every)


def in_views(
    lengths: list[list[int]], weights: list[list[float]], *, length: int, step: int = 2, device: torch.device = CPU
) -> Windows:
    """A list of views, of so many frames, for each clip; in two arrays in turn, each frame with a number of its own."""
    held = torch.tensor([n for clip in lengths for n in clip])
    arrays = torch.arange(len(held)) % 2
    sizes = [int(held[arrays == array].sum()) for array in (0, 1)]
    firsts = torch.stack([held.where(arrays == array, 0).cumsum(0) for array in (0, 1)])[
        arrays, torch.arange(len(held))
    ]
    clips = torch.tensor([i for i, clip in enumerate(lengths) for _ in clip])
    renderings = Renderings(
        arrays=arrays,
        firsts=firsts - held,
        lengths=held,
        labels=clips % 2.0,
        clips=clips,
        views=torch.tensor([view for clip in lengths for view in range(len(clip))]),
        weights=torch.tensor([weight for clip in weights for weight in clip], dtype=torch.float64),
    )
    frames = torch.arange(1.0, 1 + sum(sizes))[:, None].split(sizes)
    return make_windows(frames, renderings, length=length, step=step, device=device)


def test_a_batch_holds_the_frames_of_its_own_view() -> None:
    """Views of other lengths have other numbers of windows, each of its own frames: never of its neighbour's."""
    windows = in_views([[6, 4, 3]], [[0.5, 0.25, 0.25]], length=4)
    assert windows.views.tolist() == [0, 0, 1, 2]
    assert windows.clips.tolist() == [0, 0, 0, 0]
    assert windows.weights.tolist() == [0.5, 0.5, 0.25, 0.25]
    batch = windows.batch(torch.tensor([3, 1, 2, 0]))[:, :, 0]
    assert batch.tolist() == [[7, 8, 9, 0], [3, 4, 5, 6], [10, 11, 12, 13], [1, 2, 3, 4]]


def test_a_window_longer_than_its_clip_is_filled_with_zeros() -> None:
    """And never with the clip that happens to lie behind it in the array; nor beyond the array's end."""
    batch = make_clips(3, 2, length=4).batch(torch.tensor([0, 1]))
    assert batch[:, :, 0].tolist() == [[1, 2, 3, 0], [4, 5, 0, 0]]


VIEWS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=2, max_size=5)


@given(lengths=VIEWS, length=st.integers(2, 6), data=st.data())
def test_windows_are_the_same_however_their_frames_are_kept(
    lengths: list[list[int]], length: int, data: st.DataObject
) -> None:
    """In several arrays, copied one by one; and in one, all gathered at once, as on a GPU."""
    several = in_views(lengths, [[1.0] * len(clip) for clip in lengths], length=length)
    frames, arrays, starts = _in_one_array(several.frames, several.arrays, several.starts, CPU)
    assert torch.equal(frames[0], torch.cat(several.frames))
    one = replace(several, frames=frames, arrays=arrays, starts=starts)
    n = data.draw(st.integers(1, 8))
    windows = torch.tensor(data.draw(st.lists(st.integers(0, len(several) - 1), min_size=n, max_size=n)))
    expected = one._gather(windows)
    assert torch.equal(several.batch(windows), expected)
    assert torch.equal(one.batch(windows), expected)


TWO_VIEWS = [[3, 3], [5, 4], [4, 4], [6, 1]], [[0.5, 0.5]] * 4


def test_elsewhere_than_on_the_cpu_the_arrays_become_one() -> None:
    """Windows begin where their array begins in it. (The device ``meta`` has shapes and no numbers.)"""
    here = in_views(*TWO_VIEWS, length=4)
    there = in_views(*TWO_VIEWS, length=4, device=torch.device("meta"))
    assert [tuple(array.shape) for array in there.frames] == [(30, 1)]
    assert {tensor.device.type for tensor in (there.starts, there.remaining, there.labels, there.arrays)} == {"meta"}
    assert {tensor.device.type for tensor in (there.clips, there.views, there.weights)} == {"cpu"}
    assert there.starts.shape == here.starts.shape


def test_a_random_window_lies_anywhere_in_its_clip_and_nowhere_else() -> None:
    """Every start that leaves a whole window is drawn; a clip with no room stays."""
    windows = make_clips(9, 4, 3, length=4)
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(200):
        moved = moved_at_random(windows, rng)
        later = moved.starts - windows.starts
        assert torch.equal(moved.remaining + later, windows.remaining)
        seen.add(tuple(later.tolist()))
    assert seen == {(start, 0, 0) for start in range(6)}


def test_one_window_a_rendering_is_its_first() -> None:
    """Of each clip in each view; it begins where the rendering does, and knows all of it."""
    windows = in_views([[8, 4], [4], [6]], [[0.5, 0.5], [1.0], [1.0]], length=4)
    first = first_of_each_rendering(windows)
    assert windows.clips.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert first.clips.tolist() == [0, 0, 1, 2]
    assert first.views.tolist() == [0, 1, 0, 0]
    assert first.starts.tolist() == [0, 0, 8, 4]
    assert first.arrays.tolist() == [0, 1, 0, 1]
    assert first.remaining.tolist() == [8, 4, 4, 6]
    assert first.labels.tolist() == [0, 0, 1, 0]


WEIGHTED = [[0.5, 0.25, 0.0, 0.25], [1.0], [3.0, 1.0]], [[9, 4, 5, 5], [6], [2, 8]]


def test_an_epoch_has_one_view_of_each_clip_as_often_as_it_weighs() -> None:
    """Every window of that view and none of another; the weights of a clip need not sum to 1."""
    weights, lengths = WEIGHTED
    windows = in_views(lengths, weights, length=4)
    generator = torch.Generator().manual_seed(0)
    counts = [[0] * len(clip) for clip in weights]
    n_draws, n_windows = 4000, 0
    for _ in range(n_draws):
        drawn = draw_views(windows, generator)
        pairs = dict.fromkeys(zip(drawn.clips.tolist(), drawn.views.tolist(), strict=True))
        assert [clip for clip, _ in pairs] == [0, 1, 2]
        for clip, view in pairs:
            counts[clip][view] += 1
            of_view = (drawn.clips == clip) & (drawn.views == view)
            assert int(of_view.sum()) == len(window_starts(lengths[clip][view], 4, 2))
        n_windows += len(drawn)
    for found, weight in zip(counts, weights, strict=True):
        expected = np.array(weight) / sum(weight)
        np.testing.assert_allclose(np.array(found) / n_draws, expected, atol=4 * 0.5 / n_draws**0.5)
    assert counts[0][2] == 0
    assert n_windows / n_draws == pytest.approx(expected_windows(windows), abs=0.1)


def test_the_view_of_one_clip_says_nothing_of_anothers() -> None:
    """Of two clips with two views each pair comes as often."""
    windows = in_views([[4, 4], [4, 4]], [[0.5, 0.5]] * 2, length=4)
    generator = torch.Generator().manual_seed(0)
    pairs = Counter(tuple(draw_views(windows, generator).views.tolist()) for _ in range(2000))
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert min(pairs.values()) > 400


def test_the_same_generator_draws_the_same_views() -> None:
    """And another one others."""
    windows = in_views([[4, 4]] * 30, [[0.5, 0.5]] * 30, length=4)
    drawn = [draw_views(windows, torch.Generator().manual_seed(seed)).views.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@given(lengths=VIEWS)
def test_clips_of_one_view_are_all_drawn(lengths: list[list[int]]) -> None:
    """As many windows as there are, in their order, whatever their clips weigh."""
    windows = in_views([[n] for clip in lengths for n in clip], [[0.3] for clip in lengths for _ in clip], length=3)
    assert draw_views(windows, torch.Generator()).starts.tolist() == windows.starts.tolist()
    assert expected_windows(windows) == pytest.approx(len(windows))
