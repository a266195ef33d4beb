"""How old is too old: a model of the first months, on the months after it, by how long ago its training ended.

The model is the baseline `statistics`: it takes seconds, and ages by the same recordings as any other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from spira.base.array_types import Floats, Ints, Mask
from spira.baselines.regression import ClipStatistics, fit, select
from spira.evaluation.bootstrap import share_interval, speaker_resamples
from spira.evaluation.metrics import auc
from spira.models.params import StatisticsParams


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Trial(_Part):
    """A model of all clips until one month, on the clips of a later one."""

    trained_until: str  # YYYY-MM
    tested_in: str
    months: int  # from one to the other; 1 is the next
    n_patients: int  # speakers that are tested, none of whom is in the training
    n_controls: int
    auc: float


class Age(_Part):
    """All trials of one distance: patients and controls are compared where one model scored both."""

    months: int
    n_trials: int
    n_speakers: int
    auc: float
    low: float
    high: float


class Staleness(_Part):
    """staleness.json."""

    corpus: str
    n_clips: int  # with a date
    n_undated: int
    confidence: float
    trials: tuple[Trial, ...]
    ages: tuple[Age, ...]


class Dated(NamedTuple):
    """The clips that have a date."""

    clips: ClipStatistics  # a rendering each, without noise
    months: Sequence[str]  # YYYY-MM of each


class _Tested(NamedTuple):
    trial: Trial
    labels: Ints
    scores: Floats
    speakers: Sequence[str]


class Asked(NamedTuple):
    """What is asked of a trial, and of an interval."""

    min_speakers: int  # of each class, to train with and to test on
    n_resamples: int
    confidence: float
    seed: int


def staleness(dated: Dated, corpus: str, n_undated: int, p: StatisticsParams, asked: Asked) -> Staleness:
    """Every trial for which there are enough people, and what they say together by age."""
    tested = [one for one in _each(dated, p, asked) if one]
    distances = sorted({one.trial.months for one in tested})
    return Staleness(
        corpus=corpus,
        n_clips=len(dated.months),
        n_undated=n_undated,
        confidence=asked.confidence,
        trials=tuple(one.trial for one in tested),
        ages=tuple(_age([one for one in tested if one.trial.months == months], asked) for months in distances),
    )


def _each(dated: Dated, p: StatisticsParams, asked: Asked) -> Sequence[_Tested | None]:
    months, found = np.asarray(dated.months), []
    known = sorted(set(dated.months))
    for until in known[:-1]:
        training = dated.clips.subset(months <= until)
        if min(_people(training)) < asked.min_speakers:
            continue
        chosen = min(select(training, p), key=lambda choice: choice.loss)
        regression = fit(training, chosen.block, chosen.inverse_penalty)
        unmet = ~np.isin(np.asarray(dated.clips.speakers), list(set(training.speakers)))
        for month in [later for later in known if later > until]:
            test = dated.clips.subset(unmet & (months == month))
            scores = regression.logits(test.blocks[chosen.block])
            found.append(_tested(until, month, test, scores, asked))
    return found


def _tested(until: str, month: str, test: ClipStatistics, scores: Floats, asked: Asked) -> _Tested | None:
    n_patients, n_controls = _people(test)
    if min(n_patients, n_controls) < asked.min_speakers:
        return None
    trial = Trial(
        trained_until=until,
        tested_in=month,
        months=_number(month) - _number(until),
        n_patients=n_patients,
        n_controls=n_controls,
        auc=float(auc(test.labels, scores)),
    )
    return _Tested(trial, test.labels, scores, test.speakers)


def _people(clips: ClipStatistics) -> tuple[int, int]:
    """Speakers who are patients, and who are controls."""
    speakers = np.asarray(clips.speakers)
    patients, controls = (len(set(speakers[clips.labels == label].tolist())) for label in (1, 0))
    return patients, controls


def _number(month: str) -> int:
    year, number = map(int, month.split("-"))
    return 12 * year + number


def _age(tested: Sequence[_Tested], asked: Asked) -> Age:
    labels = np.concatenate([one.labels for one in tested])
    speakers = [name for one in tested for name in one.speakers]
    number = np.repeat(np.arange(len(tested)), [len(one.labels) for one in tested])
    scores = np.concatenate([one.scores for one in tested])
    resamples = speaker_resamples(labels, speakers, asked.n_resamples, asked.seed)
    strata = [number == i for i in range(len(tested))]
    value = float(_within(labels, scores, strata, np.ones((1, labels.size)))[0])
    drawn = _within(labels, scores, strata, resamples.weights(0, asked.n_resamples))
    low, high = share_interval(value, drawn[np.isfinite(drawn)], resamples.n_fewest, asked.confidence)
    return Age(
        months=tested[0].trial.months,
        n_trials=len(tested),
        n_speakers=len(set(speakers)),
        auc=value,
        low=low,
        high=high,
    )


def _within(labels: Ints, scores: Floats, strata: Sequence[Mask], weights: Floats) -> Floats:
    """The share of pairs of one stratum that are ranked rightly, (n_resamples,): NaN where there is no pair."""
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in strata:
        own = weights[:, stratum]
        patient = labels[stratum] == 1
        n_pairs = own[:, patient].sum(axis=1) * own[:, ~patient].sum(axis=1)
        with np.errstate(invalid="ignore"):
            share = auc(labels[stratum], scores[stratum], own)
        won += np.where(n_pairs > 0, np.nan_to_num(share) * n_pairs, 0.0)
        pairs += n_pairs
    with np.errstate(invalid="ignore"):
        return np.asarray(won / pairs)
