"""Each model's calibration, fitted on its validation clips, and how far scores are from probabilities.

Scores, labels, speakers and their conventions are those of ``spira.evaluation.metrics``. Classification, thresholds
and AUC use the raw scores: calibration does not change them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.bootstrap import Resamples
from spira.evaluation.calibrators import (
    Calibrator,
    calibrator,
    expected_error,
    intercept,
    reliability,
    slope,
    squared_error,
)
from spira.evaluation.intervals import estimates
from spira.evaluation.metrics import std_over_seeds
from spira.evaluation.params import CalibrationParams, EvaluateParams
from spira.evaluation.results import Calibration, Spread
from spira.predictions.scored import ScoredClips


def calibrators_by_fold(validation: ScoredClips, p: CalibrationParams) -> dict[str, list[Calibrator]]:
    """By fold, the ``calibrator`` of each seed, fitted on the validation clips of that fold alone."""
    return {
        fold: [calibrator(validation.labels[own], scores[own], p) for scores in validation.scores]
        for fold, own in validation.fold_masks().items()
    }


def calibrated(clips: ScoredClips, maps: Mapping[str, Sequence[Calibrator]]) -> Floats:
    """The probabilities that the calibration of each clip's own model gives, shape (n_seeds, n_clips)."""
    probabilities = np.empty_like(clips.scores)
    for fold, own in clips.fold_masks().items():
        for seed, to_probabilities in enumerate(maps[fold]):
            probabilities[seed, own] = to_probabilities(clips.scores[seed, own])
    return probabilities


def calibration(labels: Ints, scores: Floats, resamples: Resamples, p: EvaluateParams) -> Calibration:
    """How far these scores are from probabilities; slope and intercept without an interval.

    Args:
        labels: shape (n_clips,).
        scores: raw or calibrated, shape (n_seeds, n_clips).
        resamples: of these clips.
        p: the number of bins, and the confidence of the intervals.
    """

    def errors(weights: Floats | None) -> dict[str, Floats]:
        bins = p.calibration.n_bins
        return {
            "brier": np.stack([squared_error(labels, seed_scores, weights) for seed_scores in scores]),
            "expected_error": np.stack([expected_error(labels, seed_scores, bins, weights) for seed_scores in scores]),
        }

    return Calibration(
        **estimates(errors, resamples, p.confidence),
        slope=_spread([slope(labels, seed_scores) for seed_scores in scores]),
        intercept=_spread([intercept(labels, seed_scores) for seed_scores in scores]),
    )


def _spread(values: list[float]) -> Spread:
    return Spread(mean=float(np.mean(values)), sd=std_over_seeds(values))


def reliability_curve(labels: Ints, scores: Floats, n_bins: int) -> dict[str, Floats]:
    """The columns of a reliability plot of all seeds' clips: one point a bin, on the diagonal if calibrated."""
    score, patients, counts = reliability(np.tile(labels, len(scores)), scores.ravel(), n_bins)
    return {"score": score, "patients": patients, "clips": counts.astype(np.float64)}
