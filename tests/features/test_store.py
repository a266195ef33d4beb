"""A clip's name alone decides its shard, and every window read back is its own clip's."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch

from spira.base.errors import DataError
from spira.features.store import (
    assign_shards,
    condition_files,
    read_windows,
    remove_index,
    shard_path,
    write_index,
    write_shard,
)

CPU = torch.device("cpu")


NAMES = [f"patient_{i:05}.wav" for i in range(16_000)]


@pytest.mark.parametrize(("n_clips", "expected"), [(1, 1), (511, 1), (512, 2), (1024, 4), (4096, 16), (16_000, 16)])
def test_a_larger_corpus_has_more_shards_up_to_a_few(n_clips: int, expected: int) -> None:
    """Each is a file that DVC looks at: one for a small corpus, and 16 at most."""
    assert set(assign_shards(NAMES[:n_clips])) == set(range(expected))


@pytest.mark.parametrize("n_clips", [512, 1024, 2048, 4096])
def test_a_clip_moves_only_where_its_shard_is_cut_in_two(n_clips: int) -> None:
    """Half of a shard's clips stay, and the others have a shard of their own: no clip comes from a third."""
    before, after = assign_shards(NAMES[: n_clips - 1]), assign_shards(NAMES[:n_clips])
    n = max(before) + 1
    assert {new - old for old, new in zip(before, after, strict=False)} == {0, n}


def test_a_clips_shard_is_its_names() -> None:
    """Not that of its place, nor of its neighbours."""
    known = dict(zip(NAMES, assign_shards(NAMES), strict=True))
    some = NAMES[::-3]
    assert assign_shards(some) == [known[name] for name in some]


def test_shards_are_of_one_size() -> None:
    """Within a tenth, of names as a corpus has them."""
    counts = torch.bincount(torch.tensor(assign_shards(NAMES)), minlength=16)
    assert 900 < counts.min() <= counts.max() < 1100


def write(folder: Path, n_clips: int, n: int) -> pl.DataFrame:
    """Clips of 3 to 5 frames in n shards and two views; each frame holds its clip, view and number."""
    rows = [(f"{i}.wav", f"s{i}", i % 2, view, i * i % n, 3 + i % 3) for view in (0, 1) for i in range(n_clips)]
    for shard in {row[4] for row in rows}:
        own = [(int(clip[:-4]), view, n_frames) for clip, _, _, view, of, n_frames in rows if of == shard]
        frames = (torch.tensor([[i, view, k] for k in range(n_frames)]).float() for i, view, n_frames in own)
        write_shard(shard_path(folder, "noisy", shard), 3, [(f"{i}.wav", n_frames) for i, _, n_frames in own], frames)
    write_index(rows, folder, "noisy")
    return pl.read_csv(folder / "noisy.csv")


@pytest.mark.parametrize("n", [1, 4, 16])
def test_each_window_is_its_clips_own(n: int, tmp_path: Path) -> None:
    """Of any choice of clips, in the index's order, whichever shards they lie in."""
    write(tmp_path, 20, n)
    wanted = [f"{i}.wav" for i in (17, 3, 4, 12)]
    windows, clips = read_windows(tmp_path, "noisy", wanted, length=3, step=1, device=CPU)
    assert clips["clip_id"].to_list() == ["3.wav", "4.wav", "12.wav", "17.wav"]
    assert clips["label"].to_list() == [1, 0, 0, 1]
    assert len(windows.frames) == len({i * i % n for i in (17, 3, 4, 12)})  # no other file was opened
    expected = [(i, view, k) for view in (0, 1) for i in (3, 4, 12, 17) for k in range(i % 3 + 1)]
    every = torch.arange(len(windows))
    for view in (0, 1):
        batch = windows.batch(every, torch.full_like(every, view))
        first = [tuple(map(int, window[0])) for window in batch]
        assert first == [place for place in expected if place[1] == view]
        assert all(torch.equal(a[1:, 2] - a[:-1, 2], torch.ones(2)) for a in batch)  # one frame after the other


def test_rows_of_the_index_are_places_end_to_end(tmp_path: Path) -> None:
    """Of each shard, in the order of the rows: nothing between, and nothing twice."""
    for _, of in write(tmp_path, 30, 4).group_by("shard"):
        places = of.sort("start").select("start", "n_frames").rows()
        assert places[0][0] == 0
        assert all(start + n == after for (start, n), (after, _) in pairwise(places))


def test_a_run_with_fewer_shards_leaves_none_of_the_others(tmp_path: Path) -> None:
    """Where no DVC took them away; of another condition nothing goes."""
    (tmp_path / "noisy_controls-3.npy").touch()
    write(tmp_path, 20, 4)
    assert [path.name for path in condition_files(tmp_path, "noisy")] == ["noisy.csv", "noisy-0.npy", "noisy-1.npy"]
    write(tmp_path, 20, 1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["noisy-0.npy", "noisy.csv", "noisy_controls-3.npy"]


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    """And which command makes it."""
    write(tmp_path, 20, 4)
    shard_path(tmp_path, "noisy", 1).unlink()
    with pytest.raises(DataError, match=r"noisy-1\.npy: no such file; run the stage that writes it: dvc repro"):
        read_windows(tmp_path, "noisy", [f"{i}.wav" for i in range(20)], length=3, step=1, device=CPU)


def test_a_shard_of_another_run_is_refused(tmp_path: Path) -> None:
    """By its number of frames."""
    write(tmp_path, 20, 4)
    write_shard(tmp_path / "noisy-1.npy", 3, [("0.wav", 70)], [torch.zeros(70, 3)])
    with pytest.raises(
        DataError, match=r"noisy-1\.npy: its table noisy\.csv lists 80 frames, but it has 70; run: dvc repro feat"
    ):
        read_windows(tmp_path, "noisy", ["1.wav"], length=3, step=1, device=CPU)


@pytest.mark.parametrize("n_frames", [[5, 4], [5], [5, 6], [4, 6]])
def test_more_or_fewer_frames_than_announced_are_a_defect(n_frames: list[int], tmp_path: Path) -> None:
    """Of each clip: else the next one would be used in its place."""
    frames = [torch.zeros(n, 3) for n in n_frames]
    with pytest.raises(ValueError, match=r"noisy-0\.npy: .*must have"):
        write_shard(tmp_path / "noisy-0.npy", 3, [("a.wav", 5), ("b.wav", 5)], frames)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_takes_its_own_frames_alone(tmp_path: Path) -> None:
    """What is left is of the next."""
    frames = iter([torch.full((5, 3), float(i)) for i in range(3)])
    write_shard(tmp_path / "noisy-0.npy", 3, [("a.wav", 5), ("b.wav", 5)], frames)
    assert next(frames)[0, 0] == 2


def test_an_index_of_older_shards_is_removed(tmp_path: Path) -> None:
    """And no file else."""
    write(tmp_path, 4, 1)
    remove_index(tmp_path, "noisy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy-0.npy"]
