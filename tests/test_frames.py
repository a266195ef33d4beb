"""adapters.frames: clips spread over shards by their names, and found again."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spira.adapters.frames import files_of, n_shards, read_windows, shard_of, shard_path, write_index, write_shard
from spira.errors import DataError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("n_clips", "expected"), [(1, 1), (511, 1), (512, 2), (1024, 4), (4096, 16), (10**6, 16)])
def test_a_larger_corpus_has_more_shards_up_to_a_few(n_clips: int, expected: int) -> None:
    """Each is a file that DVC looks at: one for a small corpus, and 16 at most."""
    assert n_shards(n_clips) == expected


@given(clip=st.text(min_size=1), n=st.sampled_from([1, 2, 4, 8]))
def test_a_clip_moves_only_where_its_shard_is_cut_in_two(clip: str, n: int) -> None:
    """Half of a shard's clips stay, and the others have a shard of their own: no clip comes from a third."""
    assert shard_of(clip, 2 * n) in (shard_of(clip, n), shard_of(clip, n) + n)


def test_shards_are_of_one_size() -> None:
    """Within a tenth, of names as a corpus has them."""
    counts = torch.bincount(torch.tensor([shard_of(f"patient_{i:05}.wav", 16) for i in range(16_000)]), minlength=16)
    assert 900 < counts.min() <= counts.max() < 1100


def write(folder: Path, n_clips: int, n: int) -> pl.DataFrame:
    """Clips of 3 to 5 frames in n shards and two views; each frame holds its clip, view and number."""
    rows = [
        (f"{i}.wav", f"s{i}", i % 2, view, shard_of(f"{i}.wav", n), 3 + i % 3)
        for view in (0, 1)
        for i in range(n_clips)
    ]
    for shard in {row[4] for row in rows}:
        frames = (
            (clip, torch.tensor([[int(clip[:-4]), view, k] for k in range(n_frames)]).float())
            for clip, _, _, view, of, n_frames in rows
            if of == shard
        )
        write_shard(shard_path(folder, "noisy", shard), 3, frames)
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
    assert len(windows.frames) == len({shard_of(clip, n) for clip in wanted})  # no other file was opened
    expected = [(i, view, k) for view in (0, 1) for i in (3, 4, 12, 17) for k in range(i % 3 + 1)]
    every = torch.arange(len(windows))
    for view in (0, 1):
        heard = windows.batch(every, torch.full_like(every, view))
        first = [tuple(map(int, window[0])) for window in heard]
        assert first == [place for place in expected if place[1] == view]
        assert all(torch.equal(a[1:, 2] - a[:-1, 2], torch.ones(2)) for a in heard)  # one frame after the other


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
    assert len(files_of(tmp_path, "noisy")) == 5
    write(tmp_path, 20, 1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "noisy-0.npy", "noisy-0.npy.sha256", "noisy.csv", "noisy.csv.sha256", "noisy_controls-3.npy"
    ]  # fmt: skip


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    """And which command makes it."""
    write(tmp_path, 20, 4)
    shard_path(tmp_path, "noisy", 2).unlink()
    with pytest.raises(DataError, match=r"noisy-2\.npy: no such file; run the stage that writes it: dvc repro"):
        read_windows(tmp_path, "noisy", [f"{i}.wav" for i in range(20)], length=3, step=1, device=CPU)
