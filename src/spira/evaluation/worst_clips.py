"""Test clips -> those that were called wrong most confidently.

Scores, labels, thresholds and their conventions are those of ``spira.evaluation.metrics``.
"""

from typing import NamedTuple

import numpy as np

from spira.base.array_types import Floats, Ints


class Wrong(NamedTuple):
    """A clip on the wrong side of its threshold; scores and thresholds are means over seeds."""

    clip: int  # its place
    score: float
    threshold: float
    wrong_by: float  # how far beyond the threshold; above 0
    seeds_wrong: float  # the share of the seeds that called it wrong


def worst_clips(labels: Ints, scores: Floats, thresholds: Floats, n_worst: int) -> list[Wrong]:
    """Up to ``n_worst`` clips that are wrong on the mean over seeds, the most confident first.

    Of clips that are equally wrong the first comes first.

    Args:
        labels: shape (n_clips,).
        scores, thresholds: shape (n_seeds, n_clips).
        n_worst: how many at most.
    """
    beyond = np.where(labels == 1, thresholds - scores, scores - thresholds)
    seeds_wrong = np.mean((scores >= thresholds) != (labels == 1), axis=0)
    wrong_by = beyond.mean(axis=0)
    order = np.argsort(-np.round(wrong_by, 12), kind="stable")
    of_clips = (scores.mean(axis=0), thresholds.mean(axis=0), wrong_by, seeds_wrong)
    return [Wrong(int(i), *(float(of[i]) for of in of_clips)) for i in order[:n_worst] if wrong_by[i] > 0]
