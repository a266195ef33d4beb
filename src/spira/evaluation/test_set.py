"""The test set under one condition: its clips with scores and thresholds, calibrated probabilities and resamples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spira.base.array_types import Floats, Mask
from spira.evaluation.bootstrap import Resamples, speaker_resamples
from spira.evaluation.calibration import calibrated, calibrators_by_fold
from spira.evaluation.params import EvaluateParams
from spira.evaluation.thresholds import thresholds_by_clip, thresholds_by_fold
from spira.predictions.scored import ScoredClips


@dataclass(frozen=True)
class TestSet:
    """What every function of this package evaluates."""

    clips: ScoredClips  # with the threshold of each clip's own model
    probabilities: Floats  # (n_seeds, n_clips), the scores after calibration
    resamples: Resamples  # of the speakers; the same draws under every condition

    def subset(self, members: Mask) -> "TestSet":
        """The clips that are members, with everybody's resamples as these clips see them."""
        return TestSet(self.clips.subset(members), self.probabilities[:, members], self.resamples.subset(members))


def make_test_sets(validation: ScoredClips, test: Mapping[str, ScoredClips], p: EvaluateParams) -> dict[str, TestSet]:
    """By condition, the test set: thresholds and calibration come from validation clips, speakers are drawn once.

    Args:
        validation: the validation clips under ``p.threshold_condition``.
        test: by condition, the same test clips in the same order.
        p: the rule, the calibration, and how many resamples.
    """
    thresholds, maps = thresholds_by_fold(validation, p.threshold), calibrators_by_fold(validation, p.calibration)
    main = test[p.threshold_condition]
    resamples = speaker_resamples(main.labels, main.speakers, p.n_resamples, p.seed)
    return {
        condition: TestSet(
            replace(clips, thresholds=thresholds_by_clip(thresholds, clips.folds)), calibrated(clips, maps), resamples
        )
        for condition, clips in test.items()
    }
