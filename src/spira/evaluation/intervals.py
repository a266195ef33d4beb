"""Metrics of the test clips -> their mean over seeds, spread over seeds and interval over speakers.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Callable, Mapping

import numpy as np

from spira.base.array_types import Floats
from spira.evaluation.bootstrap import Measure, Resamples, share_interval, signed_interval
from spira.evaluation.metrics import LEAST, all_metrics, std_over_seeds
from spira.evaluation.results import Estimate, Metrics
from spira.predictions.scored import ScoredClips

Interval = Callable[[float, Floats, int, float], tuple[float, float]]


def estimates(
    measure: Measure, resamples: Resamples, confidence: float, interval: Interval = share_interval
) -> dict[str, Estimate]:
    """Each metric as its mean over seeds, its interval over resampled speakers and its spread over seeds.

    A metric that some seed's clips do not determine is NaN, and so is its interval; a resample that does not
    determine it is left out.

    Args:
        measure: computes the metrics.
        resamples: of the clips that it measures.
        confidence: of the interval, in (0, 1).
        interval: ``share_interval`` for what is in [0, 1]; for what is in [-1, 1] ``signed_interval``, and for a
            difference between two shares ``difference_interval``.
    """
    return with_intervals(measure(None), resamples.measure(measure), resamples.n_fewest, confidence, interval)


def with_intervals(
    once: Mapping[str, Floats],
    resampled: Mapping[str, Floats],
    n_fewest: int,
    confidence: float,
    interval: Interval = share_interval,
) -> dict[str, Estimate]:
    """The ``estimates`` of metrics that have been computed already.

    Args:
        once: by name, shape (n_seeds,).
        resampled: by name, shape (n_seeds, n_resamples).
        n_fewest: speakers in the smaller class, as in ``Resamples``.
        confidence, interval: as in ``estimates``.
    """
    found = {}
    for name, values in once.items():
        means = resampled[name].mean(axis=0)
        means = means[~np.isnan(means)]
        known = means.size > 0 and not np.isnan(values).any()
        mean = float(values.mean())
        lo, hi = interval(mean, means, n_fewest, confidence) if known else (np.nan, np.nan)
        found[name] = Estimate(mean=mean, lo=lo, hi=hi, sd=std_over_seeds(values))
    return found


def per_seed(metric: Callable[[Floats, Floats, Floats | None], Mapping[str, Floats]], clips: ScoredClips) -> Measure:
    """The measure that computes a metric one seed at a time.

    Args:
        metric: (scores, thresholds, weights or None) of one seed -> by name, () or (n_resamples,).
        clips: with their thresholds.
    """

    def measure(weights: Floats | None) -> dict[str, Floats]:
        seeds = zip(clips.scores, clips.thresholds, strict=True)
        rows = [metric(scores, thresholds, weights) for scores, thresholds in seeds]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return measure


def summarize(clips: ScoredClips, resamples: Resamples, confidence: float) -> Metrics:
    """Every metric of ``all_metrics`` with its interval.

    Args:
        clips: with thresholds that were chosen on other clips.
        resamples: of these clips.
        confidence: of the intervals.
    """

    def measure(weights: Floats | None) -> dict[str, Floats]:
        return all_metrics(clips.labels, clips.scores, clips.thresholds, weights)

    once, resampled = measure(None), resamples.measure(measure)
    found: dict[str, Estimate] = {}
    for name, values in once.items():
        found |= with_intervals({name: values}, resampled, resamples.n_fewest, confidence, interval_for(name))
    return Metrics(**found)


def interval_for(metric: str) -> Interval:
    """The kind of interval of one metric of ``all_metrics``, which its range decides.

    Raises:
        ValueError: ``LEAST`` does not say what its range is.
    """
    if metric not in LEAST:
        raise ValueError(f"LEAST: expected the least that {metric} can be, 0 or -1, got none (evaluation/metrics.py)")
    return signed_interval if LEAST[metric] < 0 else share_interval
