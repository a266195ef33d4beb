"""The training, validation and test clips of each fold, on disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spira.base.tables import read_table, write_table

_FOLD = {"clip_id": pl.String, "subset": pl.String}
_SUBSETS = {"fold": pl.String, **_FOLD}


class FoldClips(NamedTuple):
    """Names of the clips of one fold, by subset."""

    train: list[str]
    validation: list[str]
    test: list[str]


def write_subsets(clips: Sequence[str], by_fold: Mapping[str, Sequence[str]], subsets: Path, folds: Path) -> None:
    """Writes one table of all clips, and one for each fold without its test clips: a new test clip leaves it as it is.

    Args:
        clips: shape (n_clips,).
        by_fold: the subset of each clip.
        subsets: the table of all.
        folds: the folder of the tables.
    """
    tables = [pl.DataFrame([[fold] * len(clips), clips, subset], schema=_SUBSETS) for fold, subset in by_fold.items()]
    write_table(pl.concat(tables), subsets)
    for old in folds.glob("*.csv"):
        old.unlink()
    for name, table in zip(by_fold, tables, strict=True):
        write_table(table.filter(pl.col("subset") != "test").select(_FOLD.keys()), folds / f"{name}.csv")


def read_subsets(path: Path) -> dict[str, FoldClips]:
    """Reads the clips by fold, in the order of the file."""
    parts = read_table(path, _SUBSETS).partition_by("fold", maintain_order=True, as_dict=True)
    return {str(name): _clips(part) for (name,), part in parts.items()}


def read_fold(folds: Path, fold: str) -> FoldClips:
    """Reads the training and validation clips of one fold; ``test`` is empty."""
    return _clips(read_table(folds / f"{fold}.csv", _FOLD))


def _clips(table: pl.DataFrame) -> FoldClips:
    return FoldClips(*(table.filter(pl.col("subset") == subset)["clip_id"].to_list() for subset in FoldClips._fields))
