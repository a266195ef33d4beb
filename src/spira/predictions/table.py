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
    "model": pl.String,  # that scored the clip
    "fold": pl.String,  # whose training the model comes from
    "subset": pl.String,  # validation or test
    "condition": pl.String,
    "seed": pl.Int64,  # of that training; 0 for a baseline, in which nothing is drawn
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,  # 1 for patient
    "score": pl.Float64,  # probability of patient, [0, 1]
}


_OLD = {"model": "network", "fold": HOLDOUT}  # what a table has everywhere that was written before the column


def read_predictions(path: Path) -> pl.DataFrame:
    """One row a model, subset, condition, seed and clip, clips in the same order in each.

    Models stay in the order in which the file has them. A table from before there were folds, or several models, lacks
    that column; all its rows are of one.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    head = _head(path) if path.is_file() else list(_COLUMNS)
    lacking = {name: pl.lit(value) for name, value in _OLD.items() if name not in head}
    stored = {name: kind for name, kind in _COLUMNS.items() if name not in lacking}
    table = read_table(path, stored).with_columns(**lacking)
    by_model = table.partition_by("model", maintain_order=True)
    return pl.concat([part.sort("condition", "seed", "clip_id") for part in by_model]) if by_model else table


def models_in(table: pl.DataFrame) -> tuple[str, ...]:
    """The names of the models, in the order of the table of ``read_predictions``."""
    return tuple(table["model"].unique(maintain_order=True))


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def scored_clips(table: pl.DataFrame, subset: str, model: str) -> dict[str, ScoredClips]:
    """By condition, the clips of a subset as one model scored them, of all folds together.

    Args:
        table: of ``read_predictions``, in its order.
        subset: validation or test.
        model: one of ``models_in``.
    """
    conditions = {}
    rows = table.filter(pl.col("subset") == subset, pl.col("model") == model)
    for (condition,), part in rows.group_by("condition", maintain_order=True):
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
        models = wrong.select("model", "fold", "seed").unique().sort("model", "fold", "seed").rows()
        names = ", ".join(f"{model}/{fold}/{seed}" for model, fold, seed in models)
        raise DataError(f"{path}: scores must be finite, got {wrong['score'][0]} for {clips} from the models {names}")
    write_table(table.select(_COLUMNS.keys()), path)
