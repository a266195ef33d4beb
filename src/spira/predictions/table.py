"""The table of scores that predict writes, and evaluate and the report read."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spira.base.errors import DataError
from spira.base.tables import read_table, write_table

PREDICTIONS = "data/predictions.csv"
ONLY_FOLD = "holdout"  # of a corpus that is cut once, and of tables from before there were others
_COLUMNS: dict[str, type[pl.DataType]] = {
    "fold": pl.String,  # whose model scored the clip
    "subset": pl.String,  # validation or test
    "condition": pl.String,
    "seed": pl.Int64,
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,  # 1 for patient
    "score": pl.Float64,  # probability of patient, [0, 1]
}


class Scored(NamedTuple):
    """The clips of a subset under one condition, and what every seed's models said of them."""

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    folds: tuple[str, ...]  # whose model it was, of each clip
    labels: NDArray[np.int64]  # (n_clips,)
    scores: NDArray[np.float64]  # (n_seeds, n_clips)


def read_predictions(path: Path) -> pl.DataFrame:
    """One row a subset, condition, seed and clip, clips in the same order in each.

    A table without the column ``fold``, from before there were folds, is of one fold.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    columns = dict(_COLUMNS)
    if old := path.is_file() and "fold" not in _head(path):
        columns.pop("fold")
    table = read_table(path, columns)
    return (table.with_columns(fold=pl.lit(ONLY_FOLD)) if old else table).sort("condition", "seed", "clip_id")


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def scored(table: pl.DataFrame, subset: str) -> dict[str, Scored]:
    """By condition, the scores of a subset, clips of all folds together.

    Args:
        table: of ``read_predictions``, in its order.
    """
    parts = {}
    for (condition,), part in table.filter(pl.col("subset") == subset).group_by("condition", maintain_order=True):
        seeds = part.partition_by("seed", maintain_order=True)
        clips, speakers, folds = (tuple(seeds[0][name]) for name in ("clip_id", "speaker_id", "fold"))
        scores = np.stack([of_seed["score"].to_numpy() for of_seed in seeds])
        parts[str(condition)] = Scored(clips, speakers, folds, seeds[0]["label"].to_numpy(), scores)
    return parts


def write_predictions(table: pl.DataFrame, path: Path) -> None:
    """The table's columns of predictions, in the order that readers expect.

    Raises:
        DataError: a score is not finite; the clips and the models are named, and nothing is written.
    """
    odd = table.filter(~pl.col("score").is_finite())
    if len(odd):
        clips = ", ".join(odd["clip_id"].unique().sort().head(20))
        whose = ", ".join(
            f"{fold}/{seed}" for fold, seed in odd.select("fold", "seed").unique().sort("fold", "seed").rows()
        )
        raise DataError(f"{path}: scores must be finite, got {odd['score'][0]} of {clips} by the models of {whose}")
    write_table(table.select(_COLUMNS.keys()), path)
