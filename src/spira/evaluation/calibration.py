"""Every model's own calibration, fitted on its validation clips, and what it does to the test clips' scores.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``. Calls, thresholds and AUC
stay those of the raw scores: nothing here changes them.
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
from spira.evaluation.metrics import places, spread
from spira.evaluation.params import CalibrationParams, EvaluateParams


def calibrators_of_folds(
    labels: Ints, scores: Floats, folds: Sequence[str], p: CalibrationParams
) -> dict[str, list[Calibrator]]:
    """By fold, the ``calibrator`` of each seed, fitted on the validation clips of that fold alone.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        folds: whose model scored each clip, shape (n_clips,).
    """
    return {
        fold: [calibrator(labels[clips], of_seed[clips], p) for of_seed in scores]
        for fold, clips in places(folds).items()
    }


def calibrated(scores: Floats, folds: Sequence[str], maps: Mapping[str, Sequence[Calibrator]]) -> Floats:
    """The scores as each clip's own model's calibration has them, shape (n_seeds, n_clips)."""
    probabilities = np.empty_like(scores)
    for fold, clips in places(folds).items():
        for seed, of_seed in enumerate(maps[fold]):
            probabilities[seed, clips] = of_seed(scores[seed, clips])
    return probabilities


def calibration(labels: Ints, scores: Floats, resamples: Resamples, p: EvaluateParams) -> dict[str, float]:
    """How far from probabilities these scores are.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        resamples: of these clips.

    Returns:
        ``brier`` and ``expected_error`` with their intervals over speakers, ``slope`` and ``intercept``: means over
        seeds, each with its ``_sd``.
    """

    def errors(weights: Floats | None) -> dict[str, Floats]:
        bins = p.calibration.n_bins
        return {
            "brier": np.stack([squared_error(labels, of_seed, weights) for of_seed in scores]),
            "expected_error": np.stack([expected_error(labels, of_seed, bins, weights) for of_seed in scores]),
        }

    found = estimates(errors, resamples, p.confidence)
    for name, of in {"slope": slope, "intercept": intercept}.items():
        of_seeds = [of(labels, of_seed) for of_seed in scores]
        found[name], found[f"{name}_sd"] = float(np.mean(of_seeds)), spread(of_seeds)
    return found


def reliability_curve(labels: Ints, scores: Floats, n_bins: int) -> dict[str, Floats]:
    """The columns of a reliability plot, all seeds' clips together: a point a bin, on the diagonal if calibrated."""
    said, are, counts = reliability(np.tile(labels, len(scores)), scores.ravel(), n_bins)
    return {"score": said, "patients": are, "clips": counts.astype(np.float64)}
