"""The types of the probes: what every probe reads of a corpus and of a model, and what it answers.

Scores, labels, groups and their conventions are those of ``spira.evaluation.metrics``; intervals are those of
``spira.probes.intervals``, over resampled speakers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from spira.base.array_types import CLASSES, Floats, Ints, Mask
from spira.base.section import Columns, Count, Resamples, Seconds, Section, Seed
from spira.features.conditions import Condition
from spira.probes.near_duplicates import FingerprintParams, Pair

Verdict = Literal["fail", "warn", "pass", "not run"]


class ProbeParams(Section):
    condition: Condition  # under which the model must beat a shortcut
    metadata: Columns = Field(min_length=1)  # columns of the table of clips that describe the speaker
    within: Columns  # columns within whose values the AUC is measured, beside the channel
    match_exactly: Columns  # columns in which a matched pair agrees
    caliper_years: float = Field(ge=0, le=150)  # between the ages of a matched pair
    min_pairs: Count  # with fewer matched pairs the probe is not run
    min_speakers: Count  # of each class in the test set; with fewer a probe is not run
    shortcut_auc: float = Field(ge=0.5, lt=1)  # an AUC whose whole interval is above it is a shortcut's
    max_drop: float = Field(ge=0, lt=1)  # of the AUC, that is not a failure
    max_shift: float = Field(gt=0, lt=1)  # of a score, that is not a failure
    n_shuffles: int = Field(strict=True, ge=2, le=10_000)  # of the labels
    max_permuted: float = Field(ge=0, lt=0.5)  # from 0.5, of the AUC with shuffled labels
    # scikit-learn's C of the logistic regressions
    inverse_penalties: tuple[Annotated[float, Field(gt=0, le=10**9)], ...] = Field(min_length=1, max_length=100)
    tree_depths: tuple[Annotated[int, Field(gt=0, le=100)], ...] = Field(max_length=100)  # of the decision trees
    tree_leaf: Count  # clips in a tree's leaf at least
    n_inner_folds: int = Field(strict=True, ge=2, le=100)  # of cross-validation, which chooses among these
    n_bands: int = Field(strict=True, ge=2, le=64)  # of a spectrum
    edge_seconds: Seconds  # of sound at either end
    background_seconds: Seconds  # of silence, that nearest to the ends; as much in every recording
    fingerprint: FingerprintParams
    n_resamples: Resamples  # of the speakers, for intervals
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Fold(NamedTuple):
    """The clips that a shortcut is fitted on (train and validation) and tested on, shape (n_clips,) each."""

    fit: Mask
    test: Mask


class ModelScores(NamedTuple):
    """A model's scores of some clips under one condition or alteration."""

    clips: Ints  # places in the study's clips, rising
    scores: Floats  # (n_seeds, n), one a place


Scores = Mapping[str, ModelScores]  # of one model, by condition and alteration


@dataclass(frozen=True)
class Study:
    """A corpus and its split: all that no model changes. Every array and column has one entry a clip, in one order."""

    speakers: tuple[str, ...]
    labels: Ints  # (n_clips,)
    folds: tuple[Fold, ...]  # a clip is a test clip of one at most
    sample_rate: int  # Hz, of `n_samples` in columns; a file's own is `source_sample_rate`
    columns: Mapping[str, Sequence[str]]  # of the table of clips; "" where unknown
    sound: Mapping[str, Floats] = field(default_factory=dict)  # by kind, ``sound_statistics``, (n_clips, n_statistics)
    pairs: tuple[Pair, ...] = ()  # clips that are nearly the same sound
    voices: Floats | None = None  # of a speaker encoder, (n_clips, width), each of length 1; None without its weights

    @property
    def test_clips(self) -> Ints:
        """Places of the test clips of all folds, rising."""
        return np.flatnonzero(np.any([fold.test for fold in self.folds], axis=0))


class Finding(NamedTuple):
    """A probe's verdict, its reason, and the figures."""

    verdict: Verdict
    why: str  # one plain sentence, with the figures
    numbers: Mapping[str, float] = MappingProxyType({})


# The scores of a model -> what the probe finds. Whatever depends on no model has been computed before there is one of
# these, once for all models.
Answer = Callable[[Scores], Finding]


def same_for_all(found: Finding) -> Answer:
    """The answer that no model changes."""
    return lambda _: found


def too_few(study: Study, clips: Ints, p: ProbeParams, where: str = "the test set has") -> Finding | None:
    """``not run`` where a class has too few speakers for an interval over speakers; None where both have enough."""
    for label, name in enumerate(CLASSES):
        n_speakers = len({study.speakers[i] for i in clips if study.labels[i] == label})
        if n_speakers < p.min_speakers:
            return Finding(
                "not run",
                f"not run: {where} {n_speakers} {name} speakers, and an interval over speakers needs {p.min_speakers}",
            )
    return None
