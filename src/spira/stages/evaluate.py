"""evaluate: the scores of every clip -> metrics with intervals and curves to plot."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from spira.base.array_types import Floats
from spira.base.params import load
from spira.base.section import FolderName
from spira.base.stage_process import as_stage
from spira.clips.recordings import FACTS, clip_facts
from spira.evaluation.bootstrap import Resamples, speaker_resamples
from spira.evaluation.calibration import calibrated, calibrators_of_folds
from spira.evaluation.conditions import by_question, judge
from spira.evaluation.conditions import plots as plots_of
from spira.evaluation.files import refuse_incomplete, write_numbers, write_plots, write_worst
from spira.evaluation.intervals import summarize
from spira.evaluation.metrics import auc, places, spread
from spira.evaluation.origin import origin
from spira.evaluation.params import EvaluateParams
from spira.evaluation.subgroups import subgroups, values_of
from spira.evaluation.thresholds import of_each_clip, thresholds_of_folds
from spira.evaluation.worst_clips import worst_clips
from spira.predictions.table import ONLY_FOLD, Scored, read_predictions, scored
from spira.report.headline import headline, markdown_table


def run(
    corpus: str,
    evaluate: EvaluateParams,
    *,
    predictions: Path = Path("data/predictions.csv"),
    clips: Path = Path("data/clips/clips.csv"),
    metrics: Path = Path("data/metrics.json"),
    evaluation: Path = Path("data/evaluation.json"),
    worst: Path = Path("data/worst_clips.csv"),
    plots: Path = Path("data/plots"),
) -> None:
    table = read_predictions(predictions)
    refuse_incomplete(table, predictions)
    chosen_by = scored(table, "validation")[evaluate.threshold_condition]
    of_folds = thresholds_of_folds(chosen_by.labels, chosen_by.scores, chosen_by.folds, evaluate.threshold)
    maps = calibrators_of_folds(chosen_by.labels, chosen_by.scores, chosen_by.folds, evaluate.calibration)
    judged = scored(table, "test")
    main = judged[evaluate.threshold_condition]
    at = of_each_clip(of_folds, main.folds)
    resamples = speaker_resamples(main.labels, main.speakers, evaluate.n_resamples, evaluate.seed)
    of_groups = _subgroups(main, at, clips, resamples, evaluate)
    wrong = worst_clips(main.labels, main.scores, at, evaluate.n_worst)
    write_worst(wrong, main, clip_facts(main.clips, FACTS, clips), worst)
    conditions, answers = {}, {}
    for condition, of in judged.items():
        thresholds, probabilities = of_each_clip(of_folds, of.folds), calibrated(of.scores, of.folds, maps)
        conditions[condition] = summarize(of.labels, of.scores, thresholds, resamples, evaluate.confidence)
        answers[condition] = judge(of.labels, of.scores, probabilities, thresholds, resamples, evaluate)
        drawn = plots_of(of.labels, of.scores, probabilities, thresholds, evaluate.calibration.n_bins)
        write_plots(drawn, condition, plots)
    every = np.concatenate(list(of_folds.values()))
    threshold = {"mean": float(np.mean(every)), "sd": spread(every)}
    questions = by_question(answers) | {"subgroups": of_groups}
    tree = {**conditions, "threshold": threshold, "test": _sizes(main), **_by_fold(main, of_folds), **questions}
    write_numbers({"corpus": origin(corpus), **tree}, evaluation)
    columns = headline(conditions, evaluate.threshold_condition, float(np.mean(list(_aucs(chosen_by).values()))))
    write_numbers({"corpus": origin(corpus), **columns}, metrics)
    print(markdown_table(conditions))


def _subgroups(of: Scored, thresholds: Floats, clips: Path, resamples: Resamples, p: EvaluateParams) -> dict[str, Any]:
    facts = clip_facts(of.clips, p.subgroups, clips)
    columns = {name: values_of(name, cells, p) for name, cells in facts.items()}
    return subgroups(of.labels, of.scores, thresholds, columns, resamples, p)


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


def _sizes(judged: Scored) -> dict[str, int]:
    patients = {speaker for speaker, label in zip(judged.speakers, judged.labels, strict=True) if label == 1}
    return {
        "n_speakers": len(set(judged.speakers)),
        "n_patients": len(patients),
        "n_clips": judged.labels.size,
        "n_seeds": len(judged.scores),
        "n_folds": len(set(judged.folds)),
    }


if __name__ == "__main__":
    with as_stage(), threadpool_limits(1):  # its matrices are thin: BLAS's threads would only wait for each other
        run(load("corpus", FolderName), load("evaluate", EvaluateParams))
