"""Frames on disk: one array a subset and condition, and a table that says which rows are whose."""

import shutil
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import torch
from torch import Tensor

from spira.adapters.arrays import ArrayWriter, read_array, require_finite
from spira.adapters.outputs import sum_of, whole
from spira.adapters.tables import read_table, write_table
from spira.core.windows import Windows, windows_of
from spira.errors import DataError

_INDEX = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "view": pl.Int64,
    "start": pl.Int64,
    "n_frames": pl.Int64,
}


class FrameWriter:
    """``folder/<condition>.npy`` and ``.csv``: the frames of every clip and view, end to end."""

    def __init__(self, folder: Path, condition: str, n_features: int) -> None:
        self._index = folder / f"{condition}.csv"
        self._array = ArrayWriter(folder / f"{condition}.npy", n_features)
        self._rows: list[tuple[str, str, int, int, int, int]] = []

    def __enter__(self) -> Self:
        self._array.__enter__()
        return self

    def append(self, clip_id: str, speaker_id: str, label: int, view: int, frames: Tensor) -> None:
        require_finite(frames.numpy(), [(clip_id, 0, len(frames))], self._array.path)
        start = self._array.append(frames.numpy())
        self._rows.append((clip_id, speaker_id, label, view, start, len(frames)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._array.__exit__(kind, error, trace)
        if kind is None:
            write_table(pl.DataFrame(self._rows, schema=_INDEX, orient="row"), self._index)


def copy_frames(source: Path, target: Path, condition: str) -> None:
    """The same clips under the same condition for another subset, with the checksums that they had."""
    for name in (f"{condition}.npy", f"{condition}.csv"):
        for path in (target / name, sum_of(target / name)):
            with (source / path.name).open("rb") as read, whole(path, summed=False) as written:
                shutil.copyfileobj(read, written, 1 << 20)


def read_windows(
    folder: Path, condition: str, clips: Collection[str], *, length: int, step: int, device: torch.device
) -> tuple[Windows, pl.DataFrame]:
    """Every window of some clips of a subset under a condition, and the clips in the order of ``Windows.clips``.

    A clip shorter than a window has one, which ``Windows.batch`` fills up with zeros.

    Args:
        folder: of one subset, such as ``data/features/train``.
        condition: such as ``noisy``.
        clips: which; their order here is nothing.
        length: frames in a window.
        step: frames between starts.
        device: where the frames are to live; on the CPU they stay in the memory map.

    Returns:
        The windows; and the table with ``clip_id``, ``speaker_id`` and ``label`` of each clip.

    Raises:
        DataError: a file is missing or damaged, lacks a clip, or holds NaN or infinity in one.
    """
    index, path = _index_of(folder, condition, clips), folder / f"{condition}.npy"
    array = read_array(path)
    require_finite(array, index.select("clip_id", "start", "n_frames").rows(), path)
    frames = torch.from_numpy(array).to(device)
    views = index.partition_by("view", maintain_order=True)
    heard = views[0]
    firsts = torch.tensor([view["start"].to_list() for view in views])
    lengths = torch.tensor(heard["n_frames"].to_list())
    labels = torch.tensor(heard["label"].to_list(), dtype=torch.float32)
    windows = windows_of(frames, firsts, lengths, labels, length=length, step=step)
    return windows, heard.select("clip_id", "speaker_id", "label")


def longest_clip(folder: Path, condition: str, clips: Collection[str]) -> int:
    """Frames of the longest of some clips of a subset under a condition."""
    return int(max(_index_of(folder, condition, clips)["n_frames"]))


def _index_of(folder: Path, condition: str, clips: Collection[str]) -> pl.DataFrame:
    path, wanted = folder / f"{condition}.csv", set(clips)
    index = read_table(path, _INDEX).filter(pl.col("clip_id").is_in(wanted))
    if lacking := wanted - set(index["clip_id"]):
        raise DataError(f"{path}: lacks {len(lacking)} clips of this fold, such as {min(lacking)}; dvc repro featurize")
    return index
