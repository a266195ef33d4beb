"""The trainings of one model as one: the mean of their scores, which is what is deployed of a network."""

from collections.abc import Mapping
from dataclasses import replace

from spira.evaluation.intervals import summarize
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Metrics
from spira.evaluation.test_set import TestSet
from spira.evaluation.thresholds import thresholds_by_clip, thresholds_by_fold
from spira.predictions.scored import ScoredClips


def ensemble(clips: ScoredClips) -> ScoredClips:
    """The same clips with the mean score over seeds, as of one training: shape (1, n_clips); no threshold yet."""
    return ScoredClips(clips.clips, clips.speakers, clips.folds, clips.labels, clips.scores.mean(axis=0, keepdims=True))


def ensemble_metrics(
    validation: ScoredClips, tests: Mapping[str, TestSet], p: EvaluateParams
) -> dict[str, Metrics] | None:
    """By condition, every metric of the ensemble with its interval over speakers; None for a model of one training.

    Its threshold is chosen by the rule of the single trainings, from the ensemble's own validation scores.

    Args:
        validation: the clips that choose the threshold.
        tests: by condition.
        p: the rule, and the confidence of the intervals.
    """
    if len(validation.scores) == 1:
        return None
    thresholds = thresholds_by_fold(ensemble(validation), p.threshold)
    return {
        condition: summarize(
            replace(ensemble(test.clips), thresholds=thresholds_by_clip(thresholds, test.clips.folds)),
            test.resamples,
            p.confidence,
        )
        for condition, test in tests.items()
    }
