"""Frames on disk: arrays by subset and condition, and a table of the rows that each clip has in them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from spira.base.errors import DataError
from spira.base.system_errors import naming
from spira.base.tables import read_table, write_table
from spira.clips.arrays import ArrayWriter, read_array, require_finite
from spira.features.windows import Renderings, Windows, make_windows

_INDEX = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "view": pl.Int64,
    "weight": pl.Float64,
    "shard": pl.Int64,
    "start": pl.Int64,
    "n_frames": pl.Int64,
}


def index_path(folder: Path, condition: str) -> Path:
    return folder / f"{condition}.csv"


def shard_path(folder: Path, condition: str, shard: int) -> Path:
    return folder / f"{condition}-{shard}.npy"


def write_shard(path: Path, n_features: int, clips: Sequence[str], frames: Iterable[Tensor]) -> list[int]:
    """Writes the frames of some renderings end to end; returns the number of frames of each.

    Args:
        path: from ``shard_path``.
        n_features: columns.
        clips: the name of each rendering's clip.
        frames: (n_frames, n_features) of each; no more of them are taken than there are clips.

    Raises:
        DataError: some frames are not finite; the clip is named.
        ValueError: there are fewer renderings than clips.
    """
    lengths = []
    with ArrayWriter(path, n_features) as writer:
        for name, rendered in zip(clips, frames, strict=False):
            require_finite(rendered.numpy(), [(name, 0, len(rendered))], path)
            writer.append(rendered.numpy())
            lengths.append(len(rendered))
        if len(lengths) != len(clips):
            raise ValueError(f"{path}: must have the frames of {len(clips)} renderings, got {len(lengths)}")
    return lengths


class IndexRow(NamedTuple):
    """One clip in one view."""

    clip_id: str
    speaker_id: str
    label: int
    view: int
    weight: float  # among the views of its clip
    shard: int
    n_frames: int


def write_index(rows: Iterable[IndexRow], folder: Path, condition: str) -> None:
    """Writes the table of an array's rows; in a shard the rows' frames lie in the order of the rows."""
    schema = {name: kind for name, kind in _INDEX.items() if name != "start"}
    table = pl.DataFrame(list(rows), schema=schema, orient="row")
    before = pl.col("n_frames").cum_sum().over("shard") - pl.col("n_frames")
    write_table(table.with_columns(start=before).select(*_INDEX), index_path(folder, condition))
    written = {shard_path(folder, condition, shard) for shard in table["shard"].unique()}
    for path in set(folder.glob(f"{condition}-*.npy")) - written:  # of a run with more shards, where DVC was not asked
        _remove(path)


def remove_index(folder: Path, condition: str) -> None:
    """Removes an array's table, before its first shard is written: an old table never describes new shards."""
    _remove(index_path(folder, condition))


def _remove(path: Path) -> None:
    with naming(path, "removed"):
        path.unlink(missing_ok=True)


def condition_files(folder: Path, condition: str) -> list[Path]:
    """The files of one array: its table, and every shard."""
    return [index_path(folder, condition), *sorted(folder.glob(f"{condition}-*.npy"))]


def read_windows(
    folder: Path, condition: str, clips: Collection[str], *, length: int, step: int, device: torch.device
) -> tuple[Windows, pl.DataFrame]:
    """Reads every window of some clips under a condition, and the table of the clips in the order of ``Windows.clips``.

    A rendering shorter than a window has one, which ``Windows.batch`` fills up with zeros.

    Args:
        folder: one subset's, such as ``data/features/train``.
        condition: such as ``noisy``, or ``views`` of training clips.
        clips: names of the clips, in any order.
        length: frames in a window.
        step: frames between starts.
        device: where the frames are to live; on the CPU they stay in the memory map.

    Returns:
        The windows of every view; and the table with ``clip_id``, ``speaker_id`` and ``label`` of each clip.

    Raises:
        DataError: a file is missing or damaged, lacks a clip, or holds NaN or infinity in one.
    """
    index, arrays = _read(folder, condition, clips)
    numbers = {shard: number for number, shard in enumerate(arrays)}
    renderings = Renderings(
        arrays=torch.tensor([numbers[shard] for shard in index["shard"]]),
        firsts=torch.tensor(index["start"].to_list()),
        lengths=torch.tensor(index["n_frames"].to_list()),
        labels=torch.tensor(index["label"].to_list(), dtype=torch.float32),
        clips=torch.tensor(index["clip"].to_list()),
        views=torch.tensor(index["view"].to_list()),
        weights=torch.tensor(index["weight"].to_list(), dtype=torch.float64),
    )
    windows = make_windows(list(arrays.values()), renderings, length=length, step=step, device=device)
    return windows, index.unique("clip", maintain_order=True).select("clip_id", "speaker_id", "label")


def read_renderings(folder: Path, condition: str, clips: Collection[str]) -> tuple[list[Tensor], pl.DataFrame]:
    """Reads the whole of some clips, in every view, under a condition: what a model of whole recordings is given.

    Args:
        folder: one subset's, such as ``data/features/train``.
        condition: such as ``noisy``, or ``views`` of training clips.
        clips: names of the clips, in any order.

    Returns:
        The frames of each rendering, (n_frames, n_features), in the memory map; and the table with ``clip_id``,
        ``speaker_id``, ``label``, ``view`` and ``weight`` of each, in the same order: clip by clip.

    Raises:
        DataError: as ``read_windows``.
    """
    index, arrays = _read(folder, condition, clips)
    rows = index.select("shard", "start", "n_frames").rows()
    frames = [arrays[shard][start : start + n_frames] for shard, start, n_frames in rows]
    return frames, index.select("clip_id", "speaker_id", "label", "view", "weight")


def read_index(folder: Path, condition: str, clips: Collection[str]) -> pl.DataFrame:
    """The rows of some clips, clip by clip in the order of the table, in every view: their shard, and their facts.

    Raises:
        DataError: the table is missing or damaged, or lacks a clip.
    """
    return _indexed(read_table(index_path(folder, condition), _INDEX), clips, index_path(folder, condition))


def _indexed(table: pl.DataFrame, clips: Collection[str], path: Path) -> pl.DataFrame:
    index = _only(table, clips, path)
    numbers = {clip: number for number, clip in enumerate(dict.fromkeys(index["clip_id"]))}
    return index.with_columns(clip=pl.Series([numbers[clip] for clip in index["clip_id"]])).sort("clip", "view")


def _read(folder: Path, condition: str, clips: Collection[str]) -> tuple[pl.DataFrame, dict[int, Tensor]]:
    """The index of some clips, with the number of each row's clip in ``clip``, clip by clip; and the shards by number.

    Clips are numbered in the order of the table.
    """
    table = read_table(index_path(folder, condition), _INDEX)
    index = _indexed(table, clips, index_path(folder, condition))
    sizes = dict(table.group_by("shard").agg(pl.sum("n_frames")).rows())
    slices = index.select("shard", "clip_id", "start", "n_frames").rows_by_key("shard")
    paths = {shard: shard_path(folder, condition, shard) for shard in sorted(slices)}
    return index, {shard: _read_shard(path, sizes[shard], slices[shard]) for shard, path in paths.items()}


def longest_clip(folder: Path, condition: str, clips: Collection[str]) -> int:
    """The number of frames of the longest of some clips, in any view, under a condition."""
    path = index_path(folder, condition)
    return int(max(_only(read_table(path, _INDEX), clips, path)["n_frames"]))


def _read_shard(path: Path, n_frames: int, slices: Iterable[tuple[str, int, int]]) -> Tensor:
    array = read_array(path)
    if len(array) != n_frames:
        raise DataError(
            f"{path}: its table {path.stem.rpartition('-')[0]}.csv lists {n_frames} frames, but it has {len(array)}; "
            "run: dvc repro featurize"
        )
    require_finite(array, slices, path)
    return torch.from_numpy(array)


def _only(table: pl.DataFrame, clips: Collection[str], path: Path) -> pl.DataFrame:
    wanted = set(clips)
    index = table.filter(pl.col("clip_id").is_in(wanted))
    if lacking := wanted - set(index["clip_id"]):
        raise DataError(
            f"{path}: {len(lacking)} clips of this fold are missing, such as {min(lacking)}; run: dvc repro featurize"
        )
    return index
