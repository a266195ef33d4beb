"""The evaluation in the order of a methods section: what is measured of each test set, and with what intervals."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from spira.base.array_types import Floats
from spira.evaluation.calibration import calibration, reliability_curve
from spira.evaluation.curves import curves
from spira.evaluation.deploy import deployed
from spira.evaluation.ensemble import ensemble_metrics
from spira.evaluation.intervals import estimates, per_seed, summarize
from spira.evaluation.metrics import at_threshold, auc, std_over_seeds
from spira.evaluation.net_benefit import decision_curve
from spira.evaluation.operating_points import operating_points, predictive_values
from spira.evaluation.paired import paired_differences, why_not_paired
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import (
    BeforeAfter,
    Condition,
    Evaluation,
    Fold,
    Inconclusive,
    ModelEvaluation,
    OperatingPoints,
    PairedDifference,
    PredictiveValues,
    Spread,
    TestSize,
)
from spira.evaluation.subgroups import subgroups
from spira.evaluation.test_set import TestSet
from spira.evaluation.thresholds import inconclusive
from spira.predictions.scored import ScoredClips


def evaluate(
    corpus: str,
    validation: Mapping[str, ScoredClips],
    test_sets: Mapping[str, Mapping[str, TestSet]],
    groups: Mapping[str, Sequence[str]],
    p: EvaluateParams,
) -> Evaluation:
    """Everything that evaluate measures.

    Args:
        corpus: as ``origin`` names it.
        validation: by model, the clips that chose the thresholds.
        test_sets: by model and condition, the same clips in the same order.
        groups: by column, the group of each test clip.
        p: what to measure, and the confidence of the intervals.

    Raises:
        ParamKeyError: the model that is to be deployed was not scored.
    """
    aucs = {name: validation_auc(clips) for name, clips in validation.items()}
    baselines = {name for name, clips in validation.items() if not clips.drawn}
    name, because = deployed(aucs, baselines, p.deploy, p.threshold_condition)
    return Evaluation(
        corpus=corpus,
        threshold_condition=p.threshold_condition,
        deployed=name,
        deployed_because=because,
        models={name: evaluate_model(validation[name], sets, groups, p) for name, sets in test_sets.items()},
        differences=differences(test_sets, p),
    )


def differences(
    test_sets: Mapping[str, Mapping[str, TestSet]], p: EvaluateParams
) -> dict[str, dict[str, dict[str, PairedDifference]]]:
    """By model, each that is named after it and condition: the first's AUC less the second's, with its interval.

    Empty where an interval needs more people.
    """
    found: dict[str, dict[str, dict[str, PairedDifference]]] = {}
    for first, second in combinations(test_sets, 2):
        for condition, test in test_sets[first].items():
            base, head = test_sets[second][condition].clips, test.clips
            if why_not_paired(base, head) is None:
                auc_less = paired_differences(base, head, p.confidence, ("auc",))["auc"]
                found.setdefault(first, {}).setdefault(second, {})[condition] = PairedDifference(
                    difference=auc_less.difference,
                    lo=auc_less.lo,
                    hi=auc_less.hi,
                    over_trainings=auc_less.over_trainings,
                )
    return found


def evaluate_model(
    validation: ScoredClips,
    test_sets: Mapping[str, TestSet],
    groups: Mapping[str, Sequence[str]],
    p: EvaluateParams,
) -> ModelEvaluation:
    """Everything that is measured of one model; the arguments are those of ``evaluate``, of this model."""
    main = test_sets[p.threshold_condition]
    thresholds = _thresholds(main.clips)
    trainings = np.concatenate(list(thresholds.values()))
    return ModelEvaluation(
        validation_auc=validation_auc(validation),
        threshold=Spread(mean=float(np.mean(trainings)), sd=std_over_seeds(trainings)),
        test=TestSize(
            n_speakers=main.clips.n_speakers,
            n_patients=main.clips.n_patients,
            n_clips=main.clips.labels.size,
            n_seeds=len(main.clips.scores),
            n_folds=len(thresholds),
        ),
        conditions={name: evaluate_condition(test, p) for name, test in test_sets.items()},
        ensemble=ensemble_metrics(validation, test_sets, p),
        folds=_folds(main.clips, thresholds) if len(thresholds) > 1 else {},
        subgroups=subgroups(main, groups, p),
    )


def evaluate_condition(test: TestSet, p: EvaluateParams) -> Condition:
    """Every metric of the test clips under one condition, with its interval over speakers."""
    clips, resamples = test.clips, test.resamples

    def band(scores: Floats, thresholds: Floats, weights: Floats | None) -> Mapping[str, Floats]:
        return inconclusive(clips.labels, scores, thresholds, p.inconclusive_width, weights)

    def points(scores: Floats, _: Floats, weights: Floats | None) -> Mapping[str, Floats]:
        return operating_points(clips.labels, scores, p.at_specificity, p.at_sensitivity, weights)

    def values(scores: Floats, thresholds: Floats, weights: Floats | None) -> Mapping[str, Floats]:
        metrics = at_threshold(clips.labels, scores, thresholds, weights)
        return predictive_values(metrics["sensitivity"], metrics["specificity"], p.prevalences)

    outside, at_points, predictive = (
        estimates(per_seed(metric, clips), resamples, p.confidence) for metric in (band, points, values)
    )
    return Condition(
        metrics=summarize(clips, resamples, p.confidence),
        inconclusive=Inconclusive(**outside),
        operating_points=OperatingPoints(**at_points),
        predictive_values={
            f"{share:g}": PredictiveValues(ppv=predictive[f"ppv_at_{share:g}"], npv=predictive[f"npv_at_{share:g}"])
            for share in p.prevalences
        },
        calibration=BeforeAfter(
            before=calibration(clips.labels, clips.scores, resamples, p),
            after=calibration(clips.labels, test.probabilities, resamples, p),
        ),
    )


def plot_columns(test: TestSet, n_bins: int) -> dict[str, Mapping[str, Floats | Sequence[str]]]:
    """By plot, the columns of its table."""
    clips = test.clips
    return {
        **curves(clips.labels, clips.scores, clips.thresholds),
        "decision": decision_curve(clips.labels, test.probabilities),
        "reliability_before": reliability_curve(clips.labels, clips.scores, n_bins),
        "reliability_after": reliability_curve(clips.labels, test.probabilities, n_bins),
    }


def validation_auc(clips: ScoredClips) -> float:
    """The AUC among these clips, as the mean over folds and seeds."""
    return float(np.mean(list(_aucs(clips).values())))


def _thresholds(clips: ScoredClips) -> dict[str, Floats]:
    """By fold, the threshold of each seed's model, shape (n_seeds,)."""
    return {fold: clips.thresholds[:, own][:, 0] for fold, own in clips.fold_masks().items()}


def _aucs(clips: ScoredClips) -> dict[str, Floats]:
    """By fold, the AUC of each seed among the clips of that fold."""
    return {
        fold: np.array([auc(clips.labels[own], scores[own]) for scores in clips.scores])
        for fold, own in clips.fold_masks().items()
    }


def _folds(clips: ScoredClips, thresholds: Mapping[str, Floats]) -> dict[str, Fold]:
    aucs = _aucs(clips)
    return {
        fold: Fold(auc=float(aucs[fold].mean()), threshold=float(thresholds[fold].mean()))
        for fold in sorted(aucs, key=lambda name: (len(name), name))
    }
