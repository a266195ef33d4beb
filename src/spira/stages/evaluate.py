"""evaluate: the scores of every clip -> metrics with intervals, a table to read, and curves to plot."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from spira.adapters.predictions import read_predictions
from spira.adapters.tables import write_json, write_table
from spira.core.curves import mean_precision_recall, mean_roc, score_histogram, youden_threshold
from spira.core.metrics import EvaluateParams, Floats, Ints, auc, confusion, require_both_classes, spread, summarize
from spira.core.report import headline, markdown_table, origin
from spira.core.section import FolderName
from spira.errors import DataError, told
from spira.params import load


def run(
    corpus: str,
    evaluate: EvaluateParams,
    *,
    predictions: Path = Path("data/predictions.csv"),
    metrics: Path = Path("data/metrics.json"),
    evaluation: Path = Path("data/evaluation.json"),
    report: Path = Path("data/report.md"),
    plots: Path = Path("data/plots"),
) -> None:
    table = read_predictions(predictions)
    _refuse_incomplete(table, predictions)
    labels, scores, _ = _by_condition(table, "validation")[evaluate.threshold_condition]
    thresholds = [youden_threshold(labels, of_seed) for of_seed in scores]
    validation_auc = float(np.mean([auc(labels, of_seed) for of_seed in scores]))
    judged = _by_condition(table, "test")
    conditions = {}
    for condition, (labels, scores, speakers) in judged.items():
        conditions[condition] = summarize(labels, scores, speakers, thresholds, evaluate)
        _write_curves(plots, condition, labels, scores, thresholds)
    chosen = {"mean": float(np.mean(thresholds)), "sd": spread(thresholds)}
    _write_rounded(evaluation, {"corpus": origin(corpus), **conditions, "threshold": chosen})
    columns = headline(conditions, evaluate.threshold_condition, validation_auc)
    _write_rounded(metrics, {"corpus": origin(corpus), **columns})
    report.write_text(_report(origin(corpus), conditions, judged, len(thresholds), evaluate), encoding="utf-8")
    print(report.read_text(encoding="utf-8"))


def _refuse_incomplete(table: pl.DataFrame, path: Path) -> None:
    """Scores pair with clips by their place, so each clip has one under each condition by each seed."""
    n_each = table["condition"].n_unique() * table["seed"].n_unique()
    keys = table.select("condition", "seed", "clip_id")
    if not keys.n_unique() == table.height == n_each * table["clip_id"].n_unique():
        raise DataError(
            f"{path}: must have one score of each clip under each condition by each seed; dvc repro -f predict"
        )
    wrong = table.filter(~pl.col("score").is_between(0, 1).fill_null(False))
    if not wrong.is_empty():
        raise DataError(f"{path}: score must be in [0, 1], got {wrong['score'][0]} for clip {wrong['clip_id'][0]}")
    for subset in ("validation", "test"):
        require_both_classes(table.filter(pl.col("subset") == subset)["label"].to_numpy(), f"{path}: {subset}")


def _by_condition(table: pl.DataFrame, subset: str) -> dict[str, tuple[Ints, Floats, list[str]]]:
    """(labels of the clips, scores (n_seeds, n_clips), speakers of the clips) of a subset, by condition."""
    parts = {}
    for (condition,), part in table.filter(pl.col("subset") == subset).group_by("condition", maintain_order=True):
        seeds = part.partition_by("seed", maintain_order=True)
        scores = np.stack([of_seed["score"].to_numpy() for of_seed in seeds])
        parts[str(condition)] = (seeds[0]["label"].to_numpy(), scores, seeds[0]["speaker_id"].to_list())
    return parts


def _write_rounded(path: Path, tree: dict[str, Any]) -> None:
    """Scalars only, six decimals: ``dvc metrics diff`` drops lists, and nobody reads the seventh."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        return round(value, 6) if isinstance(value, float) else value

    write_json(rounded(tree), path)


def _report(
    corpus: str,
    conditions: dict[str, dict[str, float]],
    judged: dict[str, tuple[Ints, Floats, list[str]]],
    n_seeds: int,
    p: EvaluateParams,
) -> str:
    labels, _, speakers = judged[p.threshold_condition]
    patients = {speaker for speaker, label in zip(speakers, labels, strict=True) if label == 1}
    return (
        f"Corpus: {corpus}. Test: {len(set(speakers))} speakers ({len(patients)} patients), {labels.size} clips, "
        f"none of them heard in training. Mean over {n_seeds} seeds; in brackets the {100 * p.confidence:g}% interval "
        f"over resampled speakers. Thresholds were chosen on validation clips under `{p.threshold_condition}`.\n\n"
        f"{markdown_table(conditions)}"
    )


def _write_curves(plots: Path, condition: str, labels: Ints, scores: Floats, thresholds: list[float]) -> None:
    fpr, tpr = mean_roc(labels, scores)
    write_table(pl.DataFrame({"fpr": fpr, "tpr": tpr}).with_columns(pl.all().round(6)), plots / f"roc_{condition}.csv")
    recall, precision = mean_precision_recall(labels, scores)
    curve = pl.DataFrame({"recall": recall, "precision": precision}).with_columns(pl.all().round(6))
    write_table(curve, plots / f"precision_recall_{condition}.csv")
    score, controls, patients = score_histogram(labels, scores)
    histogram = pl.DataFrame({"score": score, "controls": controls, "patients": patients}).with_columns(
        pl.all().round(6)
    )
    write_table(histogram, plots / f"scores_{condition}.csv")
    pairs = pl.DataFrame(confusion(labels, scores, thresholds), schema=["actual", "predicted"], orient="row")
    write_table(pairs, plots / f"confusion_{condition}.csv")


if __name__ == "__main__":
    with told():
        run(load("corpus", FolderName), load("evaluate", EvaluateParams))
