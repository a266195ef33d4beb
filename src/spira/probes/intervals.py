"""What a probe measures, as its mean over seeds with its interval over resampled speakers.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``; intervals are those of
``spira.evaluation.bootstrap``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from spira.base.array_types import Floats, Ints, Mask
from spira.evaluation import intervals
from spira.evaluation.bootstrap import difference_interval, share_interval, speaker_resamples
from spira.evaluation.metrics import auc
from spira.probes.study import ProbeParams, Study

Measure = Callable[[Floats | None], Floats]  # weights or None -> (n_seeds,) or (n_seeds, n_resamples)


def estimates(
    study: Study,
    clips: Ints,
    p: ProbeParams,
    *,
    shares: Mapping[str, Measure] = MappingProxyType({}),
    differences: Mapping[str, Measure] = MappingProxyType({}),
) -> dict[str, float]:
    """Each measure as its mean over seeds, with its interval over resampled speakers: ``auc``, ``auc_lo``, ``auc_hi``.

    Args:
        clips: places of the clips whose speakers are resampled.
        shares: measures in [0, 1].
        differences: measures in [-1, 1], each the difference of two of these.
    """
    speakers = [study.speakers[i] for i in clips]
    resamples = speaker_resamples(study.labels[clips], speakers, p.n_resamples, p.seed)
    found: dict[str, float] = {}
    for measures, interval in ((shares, share_interval), (differences, difference_interval)):
        if measures:
            for name, value in intervals.estimates(partial(_all, measures), resamples, p.confidence, interval).items():
                found |= {name: value.mean, f"{name}_lo": value.lo, f"{name}_hi": value.hi}
    return found


def _all(measures: Mapping[str, Measure], weights: Floats | None) -> dict[str, Floats]:
    return {name: measure(weights) for name, measure in measures.items()}


def auc_measure(labels: Ints, scores: Floats) -> Measure:
    """The AUC of every seed's scores, shape (n_seeds, n_clips)."""
    return lambda weights: np.stack([auc(labels, seed_scores, weights) for seed_scores in scores])


def mean_measure(values: Floats, members: Mask) -> Measure:
    """The mean over some clips of every seed's values, shape (n_seeds, n_clips)."""

    def measure(weights: Floats | None) -> Floats:
        counted = np.ones(members.size) if weights is None else weights
        return np.stack([(counted[..., members] @ row[members]) / counted[..., members].sum(axis=-1) for row in values])

    return measure


def difference(first: Measure, second: Measure) -> Measure:
    """``first - second``, both on the same resampled speakers."""
    return lambda weights: first(weights) - second(weights)


def shown(found: Mapping[str, float], name: str, sign: str = "") -> str:
    """``0.86 [0.75, 0.95]``, with a plus before a difference where asked."""
    lo, hi = found[f"{name}_lo"], found[f"{name}_hi"]
    return f"{found[name]:{sign}.2f} [{lo:{sign}.2f}, {hi:{sign}.2f}]"
