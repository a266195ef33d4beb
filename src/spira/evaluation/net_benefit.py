"""Probabilities -> what acting on them is worth, against acting on everybody and on nobody.

Scores, labels and their conventions are those of ``spira.evaluation.metrics``. Who acts from a probability p on
holds 1 / p - 1 false alarms as bad as one missed patient; net benefit counts both in patients found.
"""

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.evaluation.metrics import require_both_classes

_THRESHOLDS = np.arange(1, 100) / 100  # 0 and 1 are nobody's: a false alarm costs nothing, or everything


def net_benefit(labels: Ints, scores: Floats, threshold: float) -> float:
    """Patients found a clip tested, less the false alarms a clip tested, each weighed threshold / (1 - threshold).

    Source:
        Vickers and Elkin, "Decision curve analysis", Medical Decision Making, 2006.
    """
    called = scores >= threshold
    hits, alarms = np.mean(called & (labels == 1)), np.mean(called & (labels == 0))
    return float(hits - alarms * threshold / (1 - threshold))


def decision_curve(labels: Ints, scores: Floats) -> dict[str, Floats]:
    """The columns of a decision curve at the share of patients that these clips have.

    Args:
        labels: shape (n_clips,).
        scores: calibrated, shape (n_seeds, n_clips).

    Returns:
        ``threshold`` from 0.01 to 0.99, and the net benefit of the ``model`` (mean over seeds), of
        ``everybody`` and of ``nobody`` called patient, each of shape (99,).
    """
    require_both_classes(labels, "decision_curve")
    certain = np.ones(labels.size)
    of_model = [np.mean([net_benefit(labels, of_seed, at) for of_seed in scores]) for at in _THRESHOLDS]
    of_everybody = [net_benefit(labels, certain, at) for at in _THRESHOLDS]
    return {
        "threshold": _THRESHOLDS,
        "model": np.array(of_model),
        "everybody": np.array(of_everybody),
        "nobody": np.zeros(_THRESHOLDS.size),
    }
