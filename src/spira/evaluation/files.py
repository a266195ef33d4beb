"""What evaluate reads, refused where nothing can be judged by it; and what it found: numbers as JSON, plots as CSV."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import polars as pl

from spira.base.array_types import Floats
from spira.base.errors import DataError
from spira.base.tables import read_json, write_json, write_sheet, write_table
from spira.evaluation.metrics import CLASSES, UNDETERMINED, require_both_classes
from spira.evaluation.worst_clips import Wrong
from spira.predictions.table import ONLY_FOLD, Scored


def refuse_incomplete(table: pl.DataFrame, path: Path) -> None:
    """Scores pair with clips by their place, so each clip has one under each condition by each seed.

    Raises:
        DataError: it has not, a score is no probability, or a fold's validation or test clips are of one class.
    """
    n_each = table["condition"].n_unique() * table["seed"].n_unique()
    once = table.select("fold", "condition", "seed", "clip_id").n_unique() == table.height  # none chooses and judges
    for part in table.partition_by("subset"):
        keys, n_clips = part.select("condition", "seed", "clip_id"), part["clip_id"].n_unique()
        once &= keys.n_unique() == part.height == n_each * n_clips == n_each * part["fold", "clip_id"].n_unique()
    if not once:
        raise DataError(
            f"{path}: must have one score of each clip under each condition by each seed; dvc repro -f predict"
        )
    wrong = table.filter(~pl.col("label").is_in([0, 1]).fill_null(False))
    if not wrong.is_empty():
        raise DataError(f"{path}: label must be 0 or 1, got {wrong['label'][0]} for clip {wrong['clip_id'][0]}")
    wrong = table.filter(~pl.col("score").is_between(0, 1).fill_null(False))
    if not wrong.is_empty():
        raise DataError(f"{path}: score must be in [0, 1], got {wrong['score'][0]} for clip {wrong['clip_id'][0]}")
    for fold in sorted(set(table["fold"])):
        for subset in ("validation", "test"):
            part = table.filter((pl.col("fold") == fold) & (pl.col("subset") == subset))
            where = subset if fold == ONLY_FOLD else f"{subset} of fold {fold}"
            require_both_classes(part["label"].to_numpy(), f"{path}: {where}")


def write_numbers(tree: Mapping[str, Any], path: Path) -> None:
    """Scalars only, six decimals: ``dvc metrics diff`` drops lists, and nobody reads the seventh; NaN is a word."""

    def rounded(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: rounded(inner) for key, inner in value.items()}
        if isinstance(value, float):
            return UNDETERMINED if isnan(value) else round(value, 6)
        return value

    write_json(rounded(tree), path)


def read_numbers(path: Path) -> dict[str, Any]:
    """What ``write_numbers`` wrote, its words for what is undetermined as NaN again."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: number(inner) for key, inner in value.items()}
        return nan if value == UNDETERMINED else value

    tree: dict[str, Any] = number(read_json(path))
    return tree


def write_worst(worst: Sequence[Wrong], of: Scored, facts: Mapping[str, Sequence[str]], path: Path) -> None:
    """A row a clip, named: this file is DVC's, never git's.

    Args:
        of: whom the places in ``worst`` speak of.
        facts: by column, what is known of each of those clips.
    """
    rows = [
        {
            "clip_id": of.clips[wrong.clip],
            "speaker_id": of.speakers[wrong.clip],
            "label": CLASSES[of.labels[wrong.clip]],
            **{name: round(getattr(wrong, name), 6) for name in Wrong._fields if name != "clip"},
            **{name: cells[wrong.clip] for name, cells in facts.items()},
        }
        for wrong in worst
    ]
    names = ["clip_id", "speaker_id", "label", *Wrong._fields[1:], *facts]
    write_sheet(pl.DataFrame(rows, schema=names), path)


def write_plots(plots: Mapping[str, Mapping[str, Floats | Sequence[str]]], condition: str, folder: Path) -> None:
    """A CSV file a plot, ``<plot>_<condition>.csv``, numbers to six decimals."""
    for name, columns in plots.items():
        table = pl.DataFrame(dict(columns)).with_columns(pl.col(pl.Float64).round(6))
        write_table(table, folder / f"{name}_{condition}.csv")
