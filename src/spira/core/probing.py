"""What every probe looks at, what it answers, and how sure it is.

Scores, labels, groups and their conventions are those of ``spira.core.metrics``; intervals are those of
``spira.core.evaluation``, over resampled speakers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from spira.core.evaluation import with_intervals
from spira.core.metrics import CLASSES, Floats, Ints, auc
from spira.core.near_duplicates import FingerprintParams, Pair
from spira.core.resamples import difference_interval, share_interval, speaker_resamples
from spira.core.section import Section

Verdict = Literal["fail", "warn", "pass", "not run"]
Mask = NDArray[np.bool_]
Measure = Callable[[Floats | None], Floats]  # weights or None -> (n_seeds,) or (n_seeds, n_resamples)


class ProbeParams(Section):
    condition: Literal["clean", "noisy", "noisy_controls"]  # under which the model must beat a shortcut
    metadata: tuple[str, ...] = Field(min_length=1)  # columns of the table of clips that say who it is
    match_exactly: tuple[str, ...]  # columns in which a matched pair agrees
    caliper_years: NonNegativeFloat  # between the ages of a matched pair
    min_pairs: PositiveInt  # fewer matched pairs are not judged
    min_speakers: PositiveInt  # of each class among those judged; fewer are not judged
    shortcut_auc: float = Field(ge=0.5, lt=1)  # a shortcut whose whole interval is above it is one
    max_drop: float = Field(ge=0, lt=1)  # of the AUC, that is not a failure
    max_shift: float = Field(gt=0, lt=1)  # of a score, that is not a failure
    n_shuffles: int = Field(strict=True, ge=2)  # of the labels
    max_permuted: float = Field(ge=0, lt=0.5)  # from 0.5, of the AUC with shuffled labels
    inverse_penalties: tuple[PositiveFloat, ...] = Field(min_length=1)  # scikit-learn's C of the lines tried
    tree_depths: tuple[PositiveInt, ...]  # of the trees tried
    tree_leaf: PositiveInt  # clips in a tree's leaf at least
    n_inner_folds: int = Field(strict=True, ge=2)  # of the clips that teach, which choose among these
    n_bands: int = Field(strict=True, ge=2, le=64)  # of a spectrum
    edge_seconds: PositiveFloat  # of sound at either end
    fingerprint: FingerprintParams
    n_resamples: PositiveInt  # of the speakers, for intervals
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: NonNegativeInt


class Fold(NamedTuple):
    """Which clips may teach a shortcut, and which judge it: shape (n_clips,) each."""

    fit: Mask
    test: Mask


class Heard(NamedTuple):
    """What the model said of some clips under one condition or alteration."""

    clips: Ints  # places in the study's clips, rising
    scores: Floats  # (n_seeds, n), one a place


@dataclass(frozen=True)
class Study:
    """A corpus, how it was split, and what the model said of it. Everything is a clip's, in one order."""

    speakers: tuple[str, ...]
    labels: Ints  # (n_clips,)
    folds: tuple[Fold, ...]  # each clip is tested in one at most
    columns: Mapping[str, Sequence[str]]  # of the table of clips; "" where not known
    sound: Mapping[str, Floats] = field(default_factory=dict)  # of ``sound_statistics``, (n_clips, n_statistics)
    heard: Mapping[str, Heard] = field(default_factory=dict)  # by condition and alteration
    pairs: tuple[Pair, ...] = ()  # clips that are nearly the same sound

    @property
    def judged(self) -> Ints:
        """Places of the clips that are tested, rising."""
        return np.flatnonzero(np.any([fold.test for fold in self.folds], axis=0))


class Found(NamedTuple):
    """A probe's answer."""

    verdict: Verdict
    why: str  # one plain sentence, with the figures
    numbers: Mapping[str, float] = MappingProxyType({})


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
        clips: places of those who are resampled.
        shares: in [0, 1].
        differences: of two of these.
    """
    speakers = [study.speakers[i] for i in clips]
    resamples = speaker_resamples(study.labels[clips], speakers, p.n_resamples, p.seed)
    found: dict[str, float] = {}
    for measures, interval in ((shares, share_interval), (differences, difference_interval)):
        if measures:
            once, resampled = _all(measures, None), resamples.measured(partial(_all, measures))
            found |= with_intervals(once, resampled, resamples.n_fewest, p.confidence, interval)
    return {name: value for name, value in found.items() if not name.endswith("_sd")}


def _all(measures: Mapping[str, Measure], weights: Floats | None) -> dict[str, Floats]:
    return {name: measure(weights) for name, measure in measures.items()}


def auc_of(labels: Ints, scores: Floats) -> Measure:
    """The AUC of every seed's scores, shape (n_seeds, n_clips)."""
    return lambda weights: np.stack([auc(labels, of_seed, weights) for of_seed in scores])


def mean_of(values: Floats, members: Mask) -> Measure:
    """The mean over some clips of every seed's values, shape (n_seeds, n_clips)."""

    def measure(weights: Floats | None) -> Floats:
        counted = np.ones(members.size) if weights is None else weights
        return np.stack([(counted[..., members] @ row[members]) / counted[..., members].sum(axis=-1) for row in values])

    return measure


def less(first: Measure, second: Measure) -> Measure:
    """The first less the second, both of the same resampled people."""
    return lambda weights: first(weights) - second(weights)


def too_few(study: Study, clips: Ints, p: ProbeParams) -> Found | None:
    """An answer where some class has too few people for an interval over people; None where both have enough."""
    for label, name in enumerate(CLASSES):
        n_speakers = len({study.speakers[i] for i in clips if study.labels[i] == label})
        if n_speakers < p.min_speakers:
            return Found(
                "not run",
                f"not run: {n_speakers} {name} speakers are judged, and an interval over people needs {p.min_speakers}",
            )
    return None


def shown(found: Mapping[str, float], name: str, sign: str = "") -> str:
    """``0.86 [0.75, 0.95]``, with a plus before a difference where asked."""
    lo, hi = found[f"{name}_lo"], found[f"{name}_hi"]
    return f"{found[name]:{sign}.2f} [{lo:{sign}.2f}, {hi:{sign}.2f}]"
