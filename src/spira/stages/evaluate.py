"""evaluate: the scores of every clip -> metrics with intervals and curves to plot."""

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
from spira.predictions.table import read_predictions, scored_clips


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
    validation = scored_clips(scores, "validation")[evaluate.threshold_condition]
    test_sets = make_test_sets(validation, scored_clips(scores, "test"), evaluate)
    test = test_sets[evaluate.threshold_condition].clips
    facts = clip_facts(test.clips, evaluate.subgroups, clips)
    groups = {column: group_names(column, cells, evaluate) for column, cells in facts.items()}
    found = evaluate_test_sets(origin(corpus), validation, test_sets, groups, evaluate)
    write_worst(worst_clips(test, evaluate.n_worst), test, clip_facts(test.clips, FACTS, clips), worst)
    for condition, test_set in test_sets.items():
        write_plots(plot_columns(test_set, evaluate.calibration.n_bins), condition, plots)
    write_evaluation(found, evaluation)
    write_numbers(found.columns(), metrics)
    print(table(*found.table()))


if __name__ == "__main__":
    with as_stage(), threadpool_limits(1):  # the matrices are thin: BLAS's threads would only wait for each other
        run(load("corpus", FolderName), load("evaluate", EvaluateParams))
