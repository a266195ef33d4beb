"""evaluate: the scores of every clip -> metrics with intervals, a table to read, and curves to plot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from spira.adapters.predictions import ONLY_FOLD, Scored, read_predictions, scored
from spira.adapters.tables import write_json, write_table
from spira.core.curves import mean_precision_recall, mean_roc, score_histogram, thresholds_of_folds
from spira.core.metrics import (
    EvaluateParams,
    Floats,
    Ints,
    auc,
    confusion,
    places,
    require_both_classes,
    spread,
    summarize,
)
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
    chosen_by = scored(table, "validation")[evaluate.threshold_condition]
    of_folds = thresholds_of_folds(chosen_by.labels, chosen_by.scores, chosen_by.folds)
    judged = scored(table, "test")
    conditions = {}
    for condition, (_, speakers, folds, labels, scores) in judged.items():
        thresholds = np.stack([of_folds[fold] for fold in folds], axis=1)
        conditions[condition] = summarize(labels, scores, speakers, thresholds, evaluate)
        _write_curves(plots, condition, labels, scores, thresholds)
    every = np.concatenate(list(of_folds.values()))
    threshold = {"mean": float(np.mean(every)), "sd": spread(every)}
    by_fold = _by_fold(judged[evaluate.threshold_condition], of_folds)
    _write_rounded(evaluation, {"corpus": origin(corpus), **conditions, "threshold": threshold, **by_fold})
    validation_auc = float(np.mean(list(_aucs(chosen_by).values())))
    columns = headline(conditions, evaluate.threshold_condition, validation_auc)
    _write_rounded(metrics, {"corpus": origin(corpus), **columns})
    said = _report(origin(corpus), conditions, judged[evaluate.threshold_condition], evaluate)
    report.write_text(said, encoding="utf-8")
    print(said)


def _refuse_incomplete(table: pl.DataFrame, path: Path) -> None:
    """Scores pair with clips by their place, so each clip has one under each condition by each seed."""
    n_each = table["condition"].n_unique() * table["seed"].n_unique()
    once = table.select("fold", "condition", "seed", "clip_id").n_unique() == table.height  # none chooses and judges
    for part in table.partition_by("subset"):
        keys, n_clips = part.select("condition", "seed", "clip_id"), part["clip_id"].n_unique()
        once &= keys.n_unique() == part.height == n_each * n_clips == n_each * part["fold", "clip_id"].n_unique()
    if not once:
        raise DataError(
            f"{path}: must have one score of each clip under each condition by each seed; dvc repro -f predict"
        )
    wrong = table.filter(~pl.col("score").is_between(0, 1).fill_null(False))
    if not wrong.is_empty():
        raise DataError(f"{path}: score must be in [0, 1], got {wrong['score'][0]} for clip {wrong['clip_id'][0]}")
    for fold in sorted(set(table["fold"])):
        for subset in ("validation", "test"):
            part = table.filter((pl.col("fold") == fold) & (pl.col("subset") == subset))
            where = subset if fold == ONLY_FOLD else f"{subset} of fold {fold}"
            require_both_classes(part["label"].to_numpy(), f"{path}: {where}")


def _aucs(of: Scored) -> dict[str, Floats]:
    """By fold, the AUC of each seed among the clips of that fold."""
    return {
        fold: np.array([auc(of.labels[clips], of_seed[clips]) for of_seed in of.scores])
        for fold, clips in places(of.folds).items()
    }


def _by_fold(judged: Scored, of_folds: Mapping[str, Floats]) -> dict[str, dict[str, dict[str, float]]]:
    """What each fold found by itself, so that one which stands out is seen; nothing where there is but one."""
    if set(of_folds) == {ONLY_FOLD}:
        return {}
    aucs = _aucs(judged)
    found = {
        fold: {"auc": float(aucs[fold].mean()), "threshold": float(of_folds[fold].mean())}
        for fold in sorted(aucs, key=lambda name: (len(name), name))
    }
    return {"folds": found}


def _write_rounded(path: Path, tree: dict[str, Any]) -> None:
    """Scalars only, six decimals: ``dvc metrics diff`` drops lists, and nobody reads the seventh."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        return round(value, 6) if isinstance(value, float) else value

    write_json(rounded(tree), path)


def _report(corpus: str, conditions: dict[str, dict[str, float]], judged: Scored, p: EvaluateParams) -> str:
    patients = {speaker for speaker, label in zip(judged.speakers, judged.labels, strict=True) if label == 1}
    people = f"{len(set(judged.speakers))} speakers ({len(patients)} patients), {judged.labels.size} clips"
    tested, chosen = f"Test: {people}, none of them heard in training.", "validation clips"
    if (n_folds := len(set(judged.folds))) > 1:
        tested = f"{n_folds}-fold cross-validation: {people}, each judged by the model that did not hear its speaker."
        chosen = "each fold's own validation clips"
    return (
        f"Corpus: {corpus}. {tested} Mean over {len(judged.scores)} seeds; in brackets the "
        f"{100 * p.confidence:g}% interval over resampled speakers. Thresholds were chosen on {chosen} under "
        f"`{p.threshold_condition}`.\n\n{markdown_table(conditions)}"
    )


def _write_curves(plots: Path, condition: str, labels: Ints, scores: Floats, thresholds: Floats) -> None:
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
