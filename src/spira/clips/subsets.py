"""Which clips teach, choose and judge in each fold, on disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spira.base.tables import read_table, write_table

_LEARNING = {"clip_id": pl.String, "subset": pl.String}
_SUBSETS = {"fold": pl.String, **_LEARNING}


class Clips(NamedTuple):
    """Of one fold."""

    train: list[str]
    validation: list[str]
    test: list[str]


def write_subsets(clips: Sequence[str], chosen: Mapping[str, Sequence[str]], subsets: Path, folds: Path) -> None:
    """One table of all; and a table a fold of what its training may hear, which a new test clip leaves as it is.

    Args:
        clips: shape (n_clips,).
        chosen: by fold, the subset of each clip.
        subsets: the table of all.
        folds: the folder of the tables.
    """
    tables = [pl.DataFrame([[name] * len(clips), clips, of], schema=_SUBSETS) for name, of in chosen.items()]
    write_table(pl.concat(tables), subsets)
    for old in folds.glob("*.csv"):
        old.unlink()
    for name, table in zip(chosen, tables, strict=True):
        write_table(table.filter(pl.col("subset") != "test").select(_LEARNING.keys()), folds / f"{name}.csv")


def read_subsets(path: Path) -> dict[str, Clips]:
    """By fold, in the order of the file."""
    parts = read_table(path, _SUBSETS).partition_by("fold", maintain_order=True, as_dict=True)
    return {str(name): _clips(part) for (name,), part in parts.items()}


def read_learning(folds: Path, fold: str) -> Clips:
    """What the training of one fold may hear; ``test`` is empty."""
    return _clips(read_table(folds / f"{fold}.csv", _LEARNING))


def _clips(table: pl.DataFrame) -> Clips:
    return Clips(*(table.filter(pl.col("subset") == subset)["clip_id"].to_list() for subset in Clips._fields))
