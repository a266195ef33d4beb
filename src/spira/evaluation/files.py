"""Refuse predictions that cannot be evaluated; write metrics as JSON, plots and the worst clips as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from spira.base.array_types import CLASSES, Floats
from spira.base.errors import DataError
from spira.base.section import HOLDOUT
from spira.base.tables import read_json, write_json, write_sheet, write_table
from spira.evaluation.metrics import require_both_classes
from spira.evaluation.results import Evaluation, written_number
from spira.evaluation.worst_clips import WorstClip
from spira.predictions.scored import ScoredClips


def refuse_incomplete(table: pl.DataFrame, path: Path) -> None:
    """Raise where the table cannot be evaluated: scores pair with clips by position, so none may be missing or twice.

    Raises:
        DataError: a clip lacks a score under some condition by some seed of a model, or has two; two models did not
            score the same clips under the same conditions; a clip is both in validation and in test of a fold; a
            score is no probability; a fold's validation or test clips are of one class.
    """
    models = table.partition_by("model", maintain_order=True)
    for model in filter(_incomplete, models):
        raise DataError(
            f"{path}: must have one score of each clip under each condition by each seed, has not of the model "
            f"{model['model'][0]}; dvc repro -f predict"
        )
    for model in models[1:]:
        if not _scored(model).equals(_scored(models[0])):
            names = f"{models[0]['model'][0]} and {model['model'][0]}"
            raise DataError(
                f"{path}: every model must score the same clips under the same conditions, {names} do not; dvc repro "
                "-f predict"
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
            where = subset if fold == HOLDOUT else f"{subset} of fold {fold}"
            require_both_classes(part["label"].to_numpy(), f"{path}: {where}")


def _incomplete(model: pl.DataFrame) -> bool:
    """Whether some clip lacks a score of this model, or has two."""
    n_each = model["condition"].n_unique() * model["seed"].n_unique()
    once = model.select("fold", "condition", "seed", "clip_id").n_unique() == model.height  # in one subset of a fold
    for part in model.partition_by("subset"):
        keys, n_clips = part.select("condition", "seed", "clip_id"), part["clip_id"].n_unique()
        once &= keys.n_unique() == part.height == n_each * n_clips == n_each * part["fold", "clip_id"].n_unique()
    return not once


def _scored(model: pl.DataFrame) -> pl.DataFrame:
    """What one seed of a model scored, and of whom, in one order."""
    columns = ["subset", "fold", "condition", "clip_id", "speaker_id", "label"]
    return model.select(columns).unique().sort(columns)


def write_numbers(tree: Mapping[str, Any], path: Path) -> None:
    """Write a tree of scalars, its numbers as ``written_number`` gives them; ``dvc metrics diff`` would drop a list."""

    def written(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: written(inner) for key, inner in value.items()}
        return written_number(value) if isinstance(value, float) else value

    write_json(written(tree), path)


def write_evaluation(found: Evaluation, path: Path) -> None:
    """data/evaluation.json: six decimals, and a word where a number is not determined."""
    write_json(found.model_dump(mode="json"), path)


def read_evaluation(path: Path) -> Evaluation:
    """What ``write_evaluation`` wrote.

    Raises:
        DataError: the file is missing, or has another form than this version of the code writes.
    """
    try:
        return Evaluation.model_validate(read_json(path))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{path}: {key}: {problem['msg']}; another version wrote it: dvc repro evaluate") from error


def write_worst(worst: Sequence[WorstClip], test: ScoredClips, facts: Mapping[str, Sequence[str]], path: Path) -> None:
    """data/worst_clips.csv: a row a clip, with its name, so this file is DVC's and never git's.

    Args:
        worst: what ``worst_clips`` returns.
        test: the test clips whose positions it names.
        facts: by column, what is known of each test clip.
    """
    rows = [
        {
            "clip_id": test.clips[wrong.position],
            "speaker_id": test.speakers[wrong.position],
            "label": CLASSES[test.labels[wrong.position]],
            **{name: round(getattr(wrong, name), 6) for name in WorstClip._fields if name != "position"},
            **{name: cells[wrong.position] for name, cells in facts.items()},
        }
        for wrong in worst
    ]
    names = ["clip_id", "speaker_id", "label", *WorstClip._fields[1:], *facts]
    write_sheet(pl.DataFrame(rows, schema=names), path)


def write_plots(plots: Mapping[str, Mapping[str, Floats | Sequence[str]]], condition: str, folder: Path) -> None:
    """A CSV file a plot, ``<plot>_<condition>.csv``, numbers to six decimals."""
    for name, columns in plots.items():
        table = pl.DataFrame(dict(columns)).with_columns(pl.col(pl.Float64).round(6))
        write_table(table, folder / f"{name}_{condition}.csv")
