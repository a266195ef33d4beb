"""Metrics of the test clips -> their mean over seeds, spread over seeds and interval over speakers.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``.
"""

from collections.abc import Callable, Mapping

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.bootstrap import Measure, Resamples, share_interval
from spira.evaluation.metrics import all_metrics, spread

Interval = Callable[[float, Floats, int, float], tuple[float, float]]


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
