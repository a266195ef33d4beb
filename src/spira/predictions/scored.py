"""Clips and the scores that the models gave them: what predict writes, and evaluate, probe and compare read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from spira.base.array_types import Floats, Ints, Mask


def _not_chosen() -> Floats:
    return np.empty((0, 0))


class People:
    """Counts whose clips these are, for a class that has both fields."""

    speakers: tuple[str, ...]  # of each clip
    labels: Ints  # (n_clips,), 1 for patient

    @property
    def n_speakers(self) -> int:
        """People, however many clips they have."""
        return len(set(self.speakers))

    @property
    def n_patients(self) -> int:
        """Speakers who are patients."""
        return len(set(compress(self.speakers, self.labels == 1)))


@dataclass(frozen=True)
class ScoredClips(People):
    """The clips of one subset under one condition, scored by the models of every seed."""

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    folds: tuple[str, ...]  # whose model scored each clip
    labels: Ints  # (n_clips,), 1 for patient
    scores: Floats  # (n_seeds, n_clips)
    # (n_seeds, n_clips); empty until validation has chosen them
    thresholds: Floats = field(default_factory=_not_chosen)
    drawn: bool = True  # whether another training would score otherwise; False for a baseline

    def fold_masks(self) -> dict[str, Mask]:
        """By fold, in the order in which they are first met, which clips its models scored: shape (n_clips,) each."""
        folds = np.asarray(self.folds)
        return {fold: folds == fold for fold in dict.fromkeys(self.folds)}

    def subset(self, members: Mask) -> "ScoredClips":
        """The clips that are members, in the same order."""

        def kept(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(compress(names, members))

        return replace(
            self,
            clips=kept(self.clips),
            speakers=kept(self.speakers),
            folds=kept(self.folds),
            labels=self.labels[members],
            scores=self.scores[:, members],
            thresholds=self.thresholds[:, members] if self.thresholds.size else self.thresholds,
        )
