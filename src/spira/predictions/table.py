"""data/predictions.csv: the table of scores that predict writes, and evaluate, probe and compare read."""

from pathlib import Path

import numpy as np
import polars as pl

from spira.base.errors import DataError
from spira.base.section import HOLDOUT
from spira.base.tables import read_table, write_table
from spira.predictions.scored import ScoredClips

PREDICTIONS = "data/predictions.csv"
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


def read_predictions(path: Path) -> pl.DataFrame:
    """One row a subset, condition, seed and clip, clips in the same order in each.

    A table from before there were folds lacks that column; all its clips are in one fold.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    columns = dict(_COLUMNS)
    if old := path.is_file() and "fold" not in _head(path):
        columns.pop("fold")
    table = read_table(path, columns)
    return (table.with_columns(fold=pl.lit(HOLDOUT)) if old else table).sort("condition", "seed", "clip_id")


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def scored_clips(table: pl.DataFrame, subset: str) -> dict[str, ScoredClips]:
    """By condition, the clips of a subset, of all folds together.

    Args:
        table: of ``read_predictions``, in its order.
        subset: validation or test.
    """
    conditions = {}
    for (condition,), part in table.filter(pl.col("subset") == subset).group_by("condition", maintain_order=True):
        seeds = part.partition_by("seed", maintain_order=True)
        clips, speakers, folds = (tuple(seeds[0][name]) for name in ("clip_id", "speaker_id", "fold"))
        scores = np.stack([seed["score"].to_numpy() for seed in seeds])
        conditions[str(condition)] = ScoredClips(clips, speakers, folds, seeds[0]["label"].to_numpy(), scores)
    return conditions


def write_predictions(table: pl.DataFrame, path: Path) -> None:
    """Write the columns of predictions, in the order that readers expect.

    Raises:
        DataError: a score is not finite; the clips and the models are named, and nothing is written.
    """
    wrong = table.filter(~pl.col("score").is_finite())
    if len(wrong):
        clips = ", ".join(wrong["clip_id"].unique().sort().head(20))
        models = wrong.select("fold", "seed").unique().sort("fold", "seed").rows()
        names = ", ".join(f"{fold}/{seed}" for fold, seed in models)
        raise DataError(f"{path}: scores must be finite, got {wrong['score'][0]} for {clips} from the models {names}")
    write_table(table.select(_COLUMNS.keys()), path)
