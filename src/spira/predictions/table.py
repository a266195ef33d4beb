"""data/predictions.csv: the table of scores that predict writes, and evaluate, probe and compare read.

A baseline has the seed 0 and no other: nothing in it is drawn.
"""

from pathlib import Path

import numpy as np
import polars as pl

from spira.base.errors import DataError
from spira.base.section import HOLDOUT
from spira.base.tables import read_table, write_table
from spira.predictions.scored import ScoredClips

PREDICTIONS = "data/predictions.csv"
_COLUMNS: dict[str, type[pl.DataType]] = {
    "model": pl.String,  # its name in params.yaml
    "fold": pl.String,  # whose model scored the clip
    "subset": pl.String,  # validation or test
    "condition": pl.String,
    "seed": pl.Int64,  # 0 for a baseline
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,  # 1 for patient
    "score": pl.Float64,  # probability of patient, [0, 1]
}
_BEFORE = {"model": "network", "fold": HOLDOUT}  # what a table says that is older than the column


def read_predictions(path: Path) -> pl.DataFrame:
    """One row a model, subset, condition, seed and clip; clips in the same order in each, models in the file's order.

    A table from before there were several models, or folds, lacks that column: all is of one ``network``, in one fold.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    head = _head(path) if path.is_file() else list(_COLUMNS)
    missing = {name: pl.lit(value) for name, value in _BEFORE.items() if name not in head}
    table = read_table(path, {name: kind for name, kind in _COLUMNS.items() if name not in missing})
    table = table.with_columns(**missing).select(_COLUMNS.keys())
    models = table.partition_by("model", maintain_order=True)
    return pl.concat([table.clear(), *(model.sort("condition", "seed", "clip_id") for model in models)])


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def models_in(table: pl.DataFrame) -> tuple[str, ...]:
    """The names of the models, in the order in which they first appear."""
    return tuple(table["model"].unique(maintain_order=True))


def scored_clips(table: pl.DataFrame, subset: str, model: str) -> dict[str, ScoredClips]:
    """By condition, the clips of a subset as one model scored them, of all folds together.

    Args:
        table: of ``read_predictions``, in its order.
        subset: validation or test.
        model: its name.
    """
    conditions = {}
    own = table.filter((pl.col("subset") == subset) & (pl.col("model") == model))
    for (condition,), part in own.group_by("condition", maintain_order=True):
        seeds = part.partition_by("seed", maintain_order=True)
        clips, speakers, folds = (tuple(seeds[0][name]) for name in ("clip_id", "speaker_id", "fold"))
        labels, scores = seeds[0]["label"].to_numpy(), np.stack([seed["score"].to_numpy() for seed in seeds])
        drawn = part["seed"].max() != 0
        conditions[str(condition)] = ScoredClips(clips, speakers, folds, labels, scores, drawn=drawn)
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
