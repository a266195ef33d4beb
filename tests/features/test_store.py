"""Every window read back is its own clip's, whichever shard it lies in."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch

from spira.base.errors import DataError
from spira.features.store import (
    IndexRow,
    condition_files,
    read_renderings,
    read_windows,
    remove_index,
    shard_path,
    write_index,
    write_shard,
)

CPU = torch.device("cpu")


def write(folder: Path, n_clips: int, n: int) -> pl.DataFrame:
    """Clips of 3 to 5 frames, one more in view 1, in n shards; each frame holds its clip, view and number."""
    rows = [
        IndexRow(f"{i}.wav", f"s{i}", i % 2, view, (0.75, 0.25)[view], i * i % n, 3 + i % 3 + view)
        for view in (1, 0)
        for i in range(n_clips)
    ]
    for shard in {row.shard for row in rows}:
        own = [row for row in rows if row.shard == shard]
        frames = (torch.tensor([[int(r.clip_id[:-4]), r.view, k] for k in range(r.n_frames)]).float() for r in own)
        n_frames = write_shard(shard_path(folder, "noisy", shard), 3, [row.clip_id for row in own], frames)
        assert n_frames == [row.n_frames for row in own]
    write_index(rows, folder, "noisy")
    return pl.read_csv(folder / "noisy.csv")


WANTED = [f"{i}.wav" for i in (17, 3, 4, 12)]


@pytest.mark.parametrize("n", [1, 4, 16])
def test_each_window_is_its_clips_own(n: int, tmp_path: Path) -> None:
    """Of any choice of clips, in the index's order, whichever shards they lie in; view by view."""
    write(tmp_path, 20, n)
    windows, clips = read_windows(tmp_path, "noisy", WANTED, length=3, step=1, device=CPU)
    assert clips["clip_id"].to_list() == ["3.wav", "4.wav", "12.wav", "17.wav"]
    assert clips["label"].to_list() == [1, 0, 0, 1]
    assert len(windows.frames) == len({i * i % n for i in (17, 3, 4, 12)})  # no other file was opened
    expected = [(i, view, k) for i in (3, 4, 12, 17) for view in (0, 1) for k in range(i % 3 + 1 + view)]
    batch = windows.batch(torch.arange(len(windows)))
    assert [tuple(map(int, window[0])) for window in batch] == expected
    assert all(torch.equal(a[1:, 2] - a[:-1, 2], torch.ones(2)) for a in batch)  # one frame after the other
    assert windows.views.tolist() == [view for _, view, _ in expected]
    assert windows.weights.tolist() == [(0.75, 0.25)[view] for _, view, _ in expected]
    assert [clips["clip_id"][clip] for clip in windows.clips.tolist()] == [f"{i}.wav" for i, _, _ in expected]


@pytest.mark.parametrize("n", [1, 4])
def test_each_rendering_is_its_clips_own(n: int, tmp_path: Path) -> None:
    """From its first frame to its last, in the order of the table: clip by clip, view by view."""
    write(tmp_path, 20, n)
    renderings, table = read_renderings(tmp_path, "noisy", WANTED)
    expected = [(i, view) for i in (3, 4, 12, 17) for view in (0, 1)]
    assert table.rows() == [(f"{i}.wav", f"s{i}", i % 2, view, (0.75, 0.25)[view]) for i, view in expected]
    assert table.columns == ["clip_id", "speaker_id", "label", "view", "weight"]
    for frames, (i, view) in zip(renderings, expected, strict=True):
        assert frames.tolist() == [[i, view, k] for k in range(3 + i % 3 + view)]


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
    n = sum(row["n_frames"] for row in pl.read_csv(tmp_path / "noisy.csv").rows(named=True) if row["shard"] == 1)
    write_shard(tmp_path / "noisy-1.npy", 3, ["0.wav"], [torch.zeros(70, 3)])
    with pytest.raises(
        DataError, match=rf"noisy-1\.npy: its table noisy\.csv lists {n} frames, but it has 70; run: dvc repro feat"
    ):
        read_windows(tmp_path, "noisy", ["1.wav"], length=3, step=1, device=CPU)


def test_fewer_renderings_than_clips_are_a_defect(tmp_path: Path) -> None:
    """Else the table would name frames that are not there."""
    with pytest.raises(ValueError, match=r"noisy-0\.npy: must have the frames of 2 renderings, got 1"):
        write_shard(tmp_path / "noisy-0.npy", 3, ["a.wav", "b.wav"], [torch.zeros(5, 3)])
    assert list(tmp_path.iterdir()) == []


def test_a_shard_takes_its_own_frames_alone(tmp_path: Path) -> None:
    """What is left is of the next."""
    frames = iter([torch.full((5 + i, 3), float(i)) for i in range(3)])
    assert write_shard(tmp_path / "noisy-0.npy", 3, ["a.wav", "b.wav"], frames) == [5, 6]
    assert next(frames)[0, 0] == 2


def test_an_index_of_older_shards_is_removed(tmp_path: Path) -> None:
    """And no file else."""
    write(tmp_path, 4, 1)
    remove_index(tmp_path, "noisy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy-0.npy"]
