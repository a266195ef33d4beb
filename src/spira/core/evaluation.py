"""Metrics of the test clips -> their mean over seeds, spread over seeds and interval over speakers.

Scores, labels, groups and their conventions are those of ``spira.core.metrics``.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spira.core.metrics import Floats, Ints, all_metrics, spread
from spira.core.resamples import Measure, Resamples, share_interval
from spira.core.section import Section

_NO_GROUPS = ("clip_id", "speaker_id", "digest", "start", "label")
Interval = Callable[[float, Floats, int, float], tuple[float, float]]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]


class ThresholdParams(Section):
    rule: Literal["youden", "sensitivity", "cost"]
    sensitivity: float = Field(gt=0, le=1)  # of validation's patients' clips, at least; read by that rule
    cost_of_a_miss: PositiveFloat  # where a false alarm costs 1; read by the rule cost


class CalibrationParams(Section):
    method: Literal["temperature", "isotonic"]
    n_bins: int = Field(strict=True, ge=2, le=100)  # of equal width, for the expected error and its curve


class EvaluateParams(Section):
    threshold_condition: Literal["clean", "noisy", "noisy_controls"]  # under which validation picks it
    threshold: ThresholdParams
    inconclusive_width: float = Field(ge=0, le=1)  # of the band about the threshold, in score; 0 is none
    at_specificity: Share  # at which the best sensitivity is read off the test clips' curve
    at_sensitivity: Share  # and the reverse
    prevalences: tuple[Share, ...] = Field(min_length=1)  # of patients; predictive values are stated for each
    calibration: CalibrationParams
    subgroups: tuple[str, ...]  # columns of the table of clips
    age_bands: tuple[PositiveInt, ...] = Field(min_length=1)  # years in which the next begins
    min_speakers: PositiveInt  # of each class in a group that is judged
    n_worst: PositiveInt  # clips that are listed as most confidently wrong
    n_resamples: PositiveInt  # of the speakers, for intervals
    confidence: float = Field(gt=0, lt=1)
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _groups(self) -> Self:
        for name in self.subgroups:
            if name in _NO_GROUPS:
                raise ValueError(f"subgroups: must group people, not name one or the answer, got {name!r}")
        for key in ("subgroups", "age_bands"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: must differ from each other, got {list(values)}")
        if list(self.age_bands) != sorted(self.age_bands):
            raise ValueError(f"age_bands: must rise, got {list(self.age_bands)}")
        return self


class ReportParams(Section):
    embed_audio: bool  # whether the page plays the worst clips of a corpus other than the demo


def estimates(
    measure: Measure, resamples: Resamples, confidence: float, interval: Interval = share_interval
) -> dict[str, float]:
    """Each metric as its mean over seeds, its interval over resampled speakers and its spread over seeds.

    A metric that some seed's clips do not determine is NaN, and so is its interval; a resample that does not
    determine it is left out.

    Args:
        measure: of which the intervals are.
        resamples: of the clips that it measures.
        confidence: of the interval, in (0, 1).
        interval: ``share_interval`` of what is in [0, 1], ``difference_interval`` of what is in [-1, 1].

    Returns:
        ``auc``, ``auc_lo``, ``auc_hi``, ``auc_sd`` (``spread``), and so on.
    """
    return with_intervals(measure(None), resamples.measured(measure), resamples.n_fewest, confidence, interval)


def with_intervals(
    once: Mapping[str, Floats],
    resampled: Mapping[str, Floats],
    n_fewest: int,
    confidence: float,
    interval: Interval = share_interval,
) -> dict[str, float]:
    """``estimates`` of what has been measured.

    Args:
        once: by name, shape (n_seeds,).
        resampled: by name, shape (n_seeds, n_resamples).
        n_fewest: of ``Resamples``.
    """
    summary: dict[str, float] = {}
    for name, of_seeds in once.items():
        means = resampled[name].mean(axis=0)
        means = means[~np.isnan(means)]
        known = means.size > 0 and not np.isnan(of_seeds).any()
        mean = float(of_seeds.mean())
        lo, hi = interval(mean, means, n_fewest, confidence) if known else (np.nan, np.nan)
        summary |= {name: mean, f"{name}_lo": lo, f"{name}_hi": hi, f"{name}_sd": spread(of_seeds)}
    return summary


def of_seeds(
    metric: Callable[[Floats, Floats, Floats | None], Mapping[str, Floats]], scores: Floats, thresholds: Floats
) -> Measure:
    """The measure that computes a metric a seed at a time.

    Args:
        metric: (scores, thresholds, weights or None) of one seed -> by name, () or (n_resamples,).
        scores, thresholds: shape (n_seeds, n_clips).
    """

    def measure(weights: Floats | None) -> dict[str, Floats]:
        rows = [metric(of_seed, at, weights) for of_seed, at in zip(scores, thresholds, strict=True)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return measure


def summarize(
    labels: Ints, scores: Floats, thresholds: Floats, resamples: Resamples, confidence: float
) -> dict[str, float]:
    """``estimates`` of every metric of ``all_metrics``.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        thresholds: shape (n_seeds, n_clips), chosen elsewhere.
        resamples: of these clips.
        confidence: of the intervals.
    """
    return estimates(lambda weights: all_metrics(labels, scores, thresholds, weights), resamples, confidence)
