"""Probabilities -> the net benefit of acting on them, beside that of treating everybody or nobody.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. Acting from a
probability p on weighs one missed patient like 1 / p - 1 false alarms; net benefit counts both in patients found.
"""

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes

_THRESHOLDS = np.arange(1, 100) / 100  # not 0 and 1: a false alarm would cost nothing, or everything


def net_benefit(labels: Ints, scores: Floats, threshold: float) -> float:
    """True positives per clip, less false positives per clip weighted threshold / (1 - threshold).

    Source:
        Vickers and Elkin, "Decision curve analysis", Medical Decision Making, 2006.
    """
    positive = scores >= threshold
    hits, alarms = np.mean(positive & (labels == 1)), np.mean(positive & (labels == 0))
    return float(hits - alarms * threshold / (1 - threshold))


def decision_curve(labels: Ints, scores: Floats) -> dict[str, Floats]:
    """The columns of a decision curve, at the prevalence of these clips.

    Args:
        labels: shape (n_clips,).
        scores: calibrated, shape (n_seeds, n_clips).

    Returns:
        ``threshold`` from 0.01 to 0.99, and the net benefit of the ``model`` (mean over seeds), of treating
        ``everybody`` and of treating ``nobody``, each of shape (99,).
    """
    require_both_classes(labels, "decision_curve")
    certain = np.ones(labels.size)
    model = [np.mean([net_benefit(labels, seed_scores, at) for seed_scores in scores]) for at in _THRESHOLDS]
    everybody = [net_benefit(labels, certain, at) for at in _THRESHOLDS]
    return {
        "threshold": _THRESHOLDS,
        "model": np.array(model),
        "everybody": np.array(everybody),
        "nobody": np.zeros(_THRESHOLDS.size),
    }
