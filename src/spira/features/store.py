"""Frames on disk: arrays by subset and condition, and a table of the rows that each clip has in them."""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from spira.base.errors import DataError
from spira.base.system_errors import naming
from spira.base.tables import read_table, write_table
from spira.clips.arrays import ArrayWriter, read_array, require_finite
from spira.features.windows import Windows, make_windows

_INDEX = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "view": pl.Int64,
    "shard": pl.Int64,
    "start": pl.Int64,
    "n_frames": pl.Int64,
}
_CLIPS_A_SHARD = 256  # at least; what a file costs DVC is then little beside what its clips cost
_MOST_SHARDS = 16  # of an array; a stage then has less than 256 files


def assign_shards(clips: Sequence[str]) -> list[int]:
    """The number of the shard that each clip is stored in: by a hash of its name, so that one clip changes one shard.

    More clips have more shards, in steps that are far apart, for each step moves half of the clips.
    """
    n = min(_MOST_SHARDS, 1 << max(0, (len(clips) // _CLIPS_A_SHARD).bit_length() - 1))
    return [sha256(clip.encode()).digest()[0] % n for clip in clips]


def index_path(folder: Path, condition: str) -> Path:
    return folder / f"{condition}.csv"


def shard_path(folder: Path, condition: str, shard: int) -> Path:
    return folder / f"{condition}-{shard}.npy"


def write_shard(path: Path, n_features: int, clips: Sequence[tuple[str, int]], frames: Iterable[Tensor]) -> None:
    """Writes the frames of some clips and views end to end.

    Args:
        path: from ``shard_path``.
        n_features: columns.
        clips: the name and the number of frames of each clip.
        frames: (n_frames, n_features) of each clip; no more of them are taken than there are clips.

    Raises:
        DataError: some frames are not finite; the clip is named.
        ValueError: a clip has more or fewer frames than ``clips`` says.
    """
    with ArrayWriter(path, n_features) as writer:
        for (name, n_frames), rendered in zip(clips, frames, strict=False):
            if len(rendered) != n_frames:
                raise ValueError(f"{path}: {name} must have {n_frames} frames, got {len(rendered)}")
            require_finite(rendered.numpy(), [(name, 0, n_frames)], path)
            writer.append(rendered.numpy())
        if writer.n_rows != sum(n_frames for _, n_frames in clips):
            raise ValueError(f"{path}: must have the frames of {len(clips)} clips, got fewer")


def write_index(rows: Iterable[tuple[str, str, int, int, int, int]], folder: Path, condition: str) -> None:
    """Writes the table of an array's rows.

    A row has ``clip_id``, ``speaker_id``, ``label``, ``view``, ``shard`` and ``n_frames``. In a shard the rows' frames
    lie in the order of the rows.
    """
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

    A clip shorter than a window has one, which ``Windows.batch`` fills up with zeros.

    Args:
        folder: one subset's, such as ``data/features/train``.
        condition: such as ``noisy``.
        clips: names of the clips, in any order.
        length: frames in a window.
        step: frames between starts.
        device: where the frames are to live; on the CPU they stay in the memory map.

    Returns:
        The windows; and the table with ``clip_id``, ``speaker_id`` and ``label`` of each clip.

    Raises:
        DataError: a file is missing or damaged, lacks a clip, or holds NaN or infinity in one.
    """
    table = read_table(index_path(folder, condition), _INDEX)
    index = _only(table, clips, index_path(folder, condition))
    sizes = dict(table.group_by("shard").agg(pl.sum("n_frames")).rows())
    slices = index.select("shard", "clip_id", "start", "n_frames").rows_by_key("shard")
    numbers = {shard: number for number, shard in enumerate(sorted(slices))}
    views = index.partition_by("view", maintain_order=True)
    first = views[0]  # of a clip all views have the same length
    windows = make_windows(
        [_read_shard(shard_path(folder, condition, shard), sizes[shard], slices[shard]) for shard in numbers],
        torch.tensor([numbers[shard] for shard in first["shard"]]),
        torch.tensor([view["start"].to_list() for view in views]),
        torch.tensor(first["n_frames"].to_list()),
        torch.tensor(first["label"].to_list(), dtype=torch.float32),
        length=length,
        step=step,
        device=device,
    )
    return windows, first.select("clip_id", "speaker_id", "label")


def longest_clip(folder: Path, condition: str, clips: Collection[str]) -> int:
    """The number of frames of the longest of some clips under a condition."""
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
