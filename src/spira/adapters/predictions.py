"""The table of scores that predict writes, and evaluate and the report read."""

from pathlib import Path

import polars as pl

from spira.adapters.tables import read_table, write_table

PREDICTIONS = "data/predictions.csv"
_COLUMNS: dict[str, type[pl.DataType]] = {
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

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    return read_table(path, _COLUMNS).sort("condition", "seed", "clip_id")


def write_predictions(table: pl.DataFrame, path: Path) -> None:
    """The table's columns of predictions, in the order that readers expect."""
    write_table(table.select(_COLUMNS.keys()), path)
