"""Fit the baseline `statistics`: inner folds of the training speakers select, then all clips are fitted but test's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from spira.base.array_types import Floats, Ints, Mask
from spira.base.errors import DataError
from spira.baselines.statistics import Regression
from spira.models.params import Block, StatisticsParams


@dataclass(frozen=True)
class ClipStatistics:
    """The statistics of every rendering of some clips: the one without noise, and the noisy ones."""

    blocks: dict[Block, Floats]  # (n_renderings, n_statistics) of each
    labels: Ints  # (n_renderings,), 1 for patient
    speakers: Sequence[str]  # (n_renderings,)
    weights: Floats  # (n_renderings,); those of one clip sum to 1

    def subset(self, members: Mask) -> "ClipStatistics":
        """The renderings that are members, in the same order."""
        return ClipStatistics(
            {block: numbers[members] for block, numbers in self.blocks.items()},
            self.labels[members],
            [speaker for speaker, member in zip(self.speakers, members, strict=True) if member],
            self.weights[members],
        )

    def joined(self, other: "ClipStatistics") -> "ClipStatistics":
        """These renderings, then the other's; of the blocks that both have."""
        return ClipStatistics(
            {
                name: np.concatenate([self.blocks[name], other.blocks[name]])
                for name in self.blocks.keys() & other.blocks
            },
            np.concatenate([self.labels, other.labels]),
            [*self.speakers, *other.speakers],
            np.concatenate([self.weights, other.weights]),
        )


class Choice(NamedTuple):
    """A block of statistics with a penalty, and its loss on speakers that it was not fitted to."""

    block: Block
    inverse_penalty: float
    loss: float  # of ``log_loss``, over all inner folds


def select(clips: ClipStatistics, p: StatisticsParams) -> list[Choice]:
    """Every choice of block and penalty with its loss in the inner folds, in the order of params.yaml.

    ``min`` of them by loss is the selected one: the first where several are equal.

    Raises:
        DataError: there are fewer than two speakers of a class, so that some fold would be fitted to one class.
    """
    parts = [(clips.subset(~held_out), clips.subset(held_out)) for held_out in inner_folds(clips, p)]
    choices = product(p.blocks, p.inverse_penalties)
    return [Choice(block, penalty, _inner_loss(parts, block, penalty)) for block, penalty in choices]


def inner_folds(clips: ClipStatistics, p: StatisticsParams) -> Iterator[Mask]:
    """The held-out renderings of each inner fold, (n_renderings,): no speaker is in two, each has both classes' share.

    Raises:
        DataError: there are fewer than two speakers of a class.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import: a second

    speakers = np.asarray(clips.speakers)
    n_patients, n_controls = (len(set(speakers[clips.labels == label])) for label in (1, 0))
    n_folds = min(p.n_inner_folds, n_patients, n_controls)
    if n_folds < 2:
        raise DataError(
            "baseline.statistics: its inner folds need at least two patients and two controls among the training "
            f"speakers, got {n_patients} and {n_controls}; add speakers, or set models.baselines=[]"
        )
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=p.seed)
    for _, held_out in splitter.split(speakers, clips.labels, speakers):
        yield np.isin(np.arange(len(speakers)), held_out)


def validation_groups(clips: ClipStatistics, n_groups: int) -> list[Mask]:
    """Divides the renderings of validation clips by speaker, those of each class in turn, (n_renderings,) each.

    Every rendering is in one group; there are as many groups as speakers where these are fewer.
    """
    labels = dict(zip(clips.speakers, clips.labels.tolist(), strict=True))
    n = min(n_groups, len(labels))
    number = {speaker: i % n for i, speaker in enumerate(sorted(labels, key=lambda name: (labels[name], name)))}
    groups = np.array([number[speaker] for speaker in clips.speakers])
    return [groups == group for group in range(n)]


def held_out_fits(
    training: ClipStatistics, validation: ClipStatistics, choice: Choice, n_groups: int
) -> list[tuple[Mask, Regression]]:
    """(renderings, the regression that was fitted to everything but their speakers), of each group of validation clips.

    The baseline is fitted to validation clips too, for with tens of speakers each counts; what is chosen on them, such
    as a threshold, is chosen by scores of regressions that have not met them.
    """
    return [
        (group, fit(training.joined(validation.subset(~group)), choice.block, choice.inverse_penalty))
        for group in validation_groups(validation, n_groups)
    ]


def _inner_loss(parts: Sequence[tuple[ClipStatistics, ClipStatistics]], block: Block, inverse_penalty: float) -> float:
    """The mean of ``log_loss`` over what is held out of each part, fitted to the rest of it."""
    losses = [log_loss(fit(rest, block, inverse_penalty), held_out, block) for rest, held_out in parts]
    return float(np.average(losses, weights=[held_out.weights.sum() for _, held_out in parts]))


def fit(clips: ClipStatistics, block: Block, inverse_penalty: float) -> Regression:
    """The regularised optimum of the weighted log loss on standardised statistics.

    The loss is summed, and a clip's weights sum to 1: the penalty means the same whatever the number of renderings.

    Raises:
        DataError: all clips are of one class.
    """
    from sklearn.linear_model import LogisticRegression

    if len(set(clips.labels.tolist())) < 2:
        raise DataError("baseline.statistics: training needs clips of both classes, patient and control, got one")
    numbers, weights = clips.blocks[block], clips.weights
    centre = np.average(numbers, axis=0, weights=weights)
    spread = np.sqrt(np.average((numbers - centre) ** 2, axis=0, weights=weights))
    spread = np.where(spread > 0, spread, 1.0)  # a number that never differs says nothing
    solver = LogisticRegression(C=inverse_penalty, max_iter=10_000)
    solver.fit((numbers - centre) / spread, clips.labels, sample_weight=weights)
    return Regression(centre, spread, solver.coef_[0], float(solver.intercept_[0]))


def log_loss(regression: Regression, clips: ClipStatistics, block: Block) -> float:
    """The weighted mean over renderings of the negative logarithm of the probability given to the right class."""
    toward_label = np.where(clips.labels == 1, 1, -1) * regression.logits(clips.blocks[block])
    return float(np.average(np.logaddexp(0, -toward_label), weights=clips.weights))
