"""evaluate: every model's scores of every clip -> metrics with intervals, curves to plot, and which one is deployed."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from pathlib import Path

from threadpoolctl import threadpool_limits

from spira.base.params import load
from spira.base.section import FolderName
from spira.base.stage_process import as_stage
from spira.clips.recordings import FACTS, clip_facts
from spira.evaluation.files import refuse_incomplete, write_evaluation, write_numbers, write_plots, write_worst
from spira.evaluation.markdown import table
from spira.evaluation.origin import origin
from spira.evaluation.params import EvaluateParams
from spira.evaluation.protocol import evaluate as evaluate_test_sets
from spira.evaluation.protocol import plot_columns
from spira.evaluation.subgroups import group_names
from spira.evaluation.test_set import make_test_sets
from spira.evaluation.worst_clips import worst_clips
from spira.predictions.table import models_in, read_predictions, scored_clips


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
    scores = read_predictions(predictions)
    refuse_incomplete(scores, predictions)
    validation, test_sets = {}, {}
    for model in models_in(scores):
        validation[model] = scored_clips(scores, "validation", model)[evaluate.threshold_condition]
        test_sets[model] = make_test_sets(validation[model], scored_clips(scores, "test", model), evaluate)
    tested = next(iter(test_sets.values()))[evaluate.threshold_condition].clips.clips  # the same for every model
    facts = clip_facts(tested, evaluate.subgroups, clips)
    groups = {column: group_names(column, cells, evaluate) for column, cells in facts.items()}
    found = evaluate_test_sets(origin(corpus), validation, test_sets, groups, evaluate)
    test = test_sets[found.deployed][evaluate.threshold_condition].clips
    write_worst(worst_clips(test, evaluate.n_worst), test, clip_facts(tested, FACTS, clips), worst)
    for condition, test_set in test_sets[found.deployed].items():
        write_plots(plot_columns(test_set, evaluate.calibration.n_bins), condition, plots)
    write_evaluation(found, evaluation)
    write_numbers(found.columns(), metrics)
    print(f"{table(*found.table())}\n\n{found.deployed_because}")


if __name__ == "__main__":
    with as_stage(), threadpool_limits(1):  # the matrices are thin: BLAS's threads would only wait for each other
        run(load("corpus", FolderName), load("evaluate", EvaluateParams))
