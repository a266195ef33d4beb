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
    "model": pl.String,  # its name
    "fold": pl.String,  # whose model scored the clip
    "subset": pl.String,  # validation or test
    "condition": pl.String,
    "seed": pl.Int64,
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,  # 1 for patient
    "score": pl.Float64,  # probability of patient, [0, 1]
}

_BEFORE = {"model": "network", "fold": HOLDOUT}  # of a table from before there was the column


def read_predictions(path: Path) -> pl.DataFrame:
    """One row a model, subset, condition, seed and clip: models in the file's order, clips in the same order in each.

    A table from before there were several models, or folds, lacks that column; all its clips are of one.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    head = _head(path) if path.is_file() else [*_COLUMNS]
    lacking = {name: pl.lit(only) for name, only in _BEFORE.items() if name not in head}
    table = read_table(path, {name: kind for name, kind in _COLUMNS.items() if name not in lacking})
    table = table.with_columns(**lacking)
    order = pl.col("model").cast(pl.Enum(models_in(table)))
    return table.sort(order, "condition", "seed", "clip_id")


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def models_in(table: pl.DataFrame) -> tuple[str, ...]:
    """The models' names in the order in which they are first met."""
    return tuple(table["model"].unique(maintain_order=True))


def scored_clips(table: pl.DataFrame, subset: str, model: str) -> dict[str, ScoredClips]:
    """By condition, the clips of a subset as one model scored them, of all folds together.

    Args:
        table: of ``read_predictions``, in its order.
        subset: validation or test.
        model: one of ``models_in``.
    """
    conditions = {}
    own = table.filter((pl.col("model") == model) & (pl.col("subset") == subset))
    for (condition,), part in own.group_by("condition", maintain_order=True):
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
