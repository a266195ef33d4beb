"""Metrics of the test clips -> their mean over seeds, spread over seeds and interval over speakers.

Scores, labels, groups and their conventions are those of ``spira.core.metrics``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spira.core.metrics import Floats, Ints, all_metrics, speaker_resamples, spread
from spira.core.section import Section

_NO_GROUPS = ("clip_id", "speaker_id", "digest", "start", "label")
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


def with_intervals(once: Mapping[str, Floats], resampled: Mapping[str, Floats], confidence: float) -> dict[str, float]:
    """Each metric as its mean over seeds, its interval over resampled speakers and its spread over seeds.

    A metric that some seed's clips do not determine is NaN, and so is its interval; a resample that does not
    determine it is left out of the percentiles.

    Args:
        once: by name, shape (n_seeds,).
        resampled: by name, shape (n_seeds, n_resamples).
        confidence: of the interval, in (0, 1).

    Returns:
        ``auc``, ``auc_lo``, ``auc_hi`` (percentiles of the mean over seeds), ``auc_sd`` (``spread``), and so on.
    """
    tail = 50 * (1 - confidence)
    summary: dict[str, float] = {}
    for name, of_seeds in once.items():
        means = resampled[name].mean(axis=0)
        means = means[~np.isnan(means)]
        known = means.size > 0 and not np.isnan(of_seeds).any()
        lo, hi = np.percentile(means, [tail, 100 - tail]) if known else (np.nan, np.nan)
        summary[name] = float(of_seeds.mean())
        summary[f"{name}_lo"], summary[f"{name}_hi"] = float(lo), float(hi)
        summary[f"{name}_sd"] = spread(of_seeds)
    return summary


def over_seeds(
    metric: Callable[[Floats, Floats, Floats | None], Mapping[str, Floats]],
    scores: Floats,
    thresholds: Floats,
    weights: Floats,
    confidence: float,
) -> dict[str, float]:
    """``with_intervals`` of metrics that are computed a seed at a time.

    Args:
        metric: (scores, thresholds, weights or None) of one seed -> by name, () or (n_resamples,).
        scores, thresholds: shape (n_seeds, n_clips).
        weights: shape (n_resamples, n_clips), of ``speaker_resamples``.
    """

    def stacked(counted: Floats | None) -> dict[str, Floats]:
        rows = [metric(of_seed, at, counted) for of_seed, at in zip(scores, thresholds, strict=True)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return with_intervals(stacked(None), stacked(weights), confidence)


def summarize(
    labels: Ints, scores: Floats, groups: Sequence[str], thresholds: Floats, p: EvaluateParams
) -> dict[str, float]:
    """``with_intervals`` of every metric of ``all_metrics``.

    Args:
        labels: shape (n_clips,).
        scores: shape (n_seeds, n_clips).
        groups: the speaker of each clip, shape (n_clips,).
        thresholds: shape (n_seeds, n_clips), chosen elsewhere.
        p: how many resamples, and the confidence of the interval.
    """
    weights = speaker_resamples(labels, groups, p.n_resamples, p.seed)
    once = all_metrics(labels, scores, thresholds)
    return with_intervals(once, all_metrics(labels, scores, thresholds, weights), p.confidence)
