"""The test clips that were classified wrongly, the most confident errors first."""

from typing import NamedTuple

import numpy as np

from spira.predictions.scored import ScoredClips


class WorstClip(NamedTuple):
    """A clip on the wrong side of its threshold; scores and thresholds are means over seeds."""

    position: int  # among the test clips
    score: float
    threshold: float
    wrong_by: float  # how far beyond the threshold; above 0
    seeds_wrong: float  # the share of the seeds that classified it wrongly


def worst_clips(clips: ScoredClips, n_worst: int) -> list[WorstClip]:
    """Up to ``n_worst`` clips that are wrong on the mean over seeds; of equally wrong clips the first comes first."""
    patient = clips.labels == 1
    beyond = np.where(patient, clips.thresholds - clips.scores, clips.scores - clips.thresholds)
    seeds_wrong = np.mean((clips.scores >= clips.thresholds) != patient, axis=0)
    wrong_by = beyond.mean(axis=0)
    order = np.argsort(-np.round(wrong_by, 12), kind="stable")
    columns = (clips.scores.mean(axis=0), clips.thresholds.mean(axis=0), wrong_by, seeds_wrong)
    return [WorstClip(int(i), *(float(column[i]) for column in columns)) for i in order[:n_worst] if wrong_by[i] > 0]
