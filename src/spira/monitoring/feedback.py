"""People with scores and, for some, the truth -> whether the champion keeps what its test set promised."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from spira.base.array_types import CLASSES, Floats, Mask
from spira.ingest.personal_data import personal
from spira.monitoring.feedback_params import FeedbackParams
from spira.monitoring.feedback_people import Asked, Joined
from spira.monitoring.feedback_performance import Labelled, deciles, performance
from spira.monitoring.feedback_result import (
    AS_PROMISED,
    BELOW,
    TOO_FEW,
    Counts,
    Feedback,
    Performance,
    Stratum,
    StratumName,
    Verdict,
)
from spira.population.reference import FEWEST
from spira.scorer.answer import Band

OTHER_SOURCES = "others"
_SIDES: tuple[tuple[StratumName, StratumName], ...] = (
    ("positive", "inconclusive above"),
    ("negative", "inconclusive below"),
)


class Champion(NamedTuple):
    """The package in use."""

    package: str  # its hash
    band: Band
    promise: Labelled


def judge(champion: Champion, asked: Asked, joined: Joined, day: date, p: FeedbackParams) -> Feedback:
    """What has become known, and what it says of the champion.

    Args:
        champion: its threshold, and its promise.
        asked: whom it answered.
        joined: the same people, with what is known of them.
        day: of this look.
        p: when it counts as below its promise.
    """
    scores, known = np.array(joined.scores, dtype=np.float64), np.array([x is not None for x in joined.labels], bool)
    counts = _counts(champion.band, asked, joined, scores, known)
    own = strata(champion.band, scores, p.min_people)
    said = [Stratum(name=name, answered=int(is_in.sum()), labelled=int((is_in & known).sum())) for name, is_in in own]
    ratio, found = labelled_ratio(said), None
    verdict, reason = TOO_FEW, _too_few(champion.promise, counts, said, p)
    if not reason:
        labels = np.array([label for label in joined.labels if label is not None], dtype=np.int64)
        weights = _weights(own, known)[known]
        found = performance(champion.promise, Labelled(scores[known], labels, weights), champion.band.threshold, p)
        verdict, reason = _verdict(found, p)
    return Feedback(
        schema_version=1,
        package=champion.package,
        day=day,
        verdict=verdict,
        reason=" ".join(filter(None, [reason, _in_corpus(joined.n_in_corpus)])),
        threshold=champion.band.threshold,
        confidence=p.confidence,
        counts=counts,
        sources=_sources(joined.sources),
        strata=tuple(said),
        labelled_ratio=ratio,
        deciles=tuple(deciles(scores, known)),
        performance=found,
    )


def _counts(band: Band, asked: Asked, joined: Joined, scores: Floats, known: Mask) -> Counts:
    positive = scores >= band.threshold
    inconclusive = _inconclusive(band, scores)
    n_by_class = [sum(label == i for label in joined.labels) for i, _ in enumerate(CLASSES)]
    return Counts(
        answered=scores.size,
        labelled_patients=n_by_class[1],
        labelled_controls=n_by_class[0],
        positive=int(positive.sum()),
        positive_labelled=int((positive & known).sum()),
        negative=int((~positive).sum()),
        negative_labelled=int((~positive & known).sum()),
        inconclusive=int(inconclusive.sum()),
        inconclusive_labelled=int((inconclusive & known).sum()),
        without_score=joined.n_without_score,
        in_corpus=joined.n_in_corpus,
        repeated_answers=asked.n_repeated,
        other_packages_answers=asked.n_other_packages,
        unknown_ids=joined.n_unknown,
        other_packages_ids=joined.n_elsewhere,
    )


def _in_corpus(n: int) -> str:
    """Who is left out, as a sentence; "" where nobody is."""
    if not n:
        return ""
    who, verb = ("1 person", "is") if n == 1 else (f"{n} people", "are")
    return f"{who} {verb} of the corpus in data/clips, whom the model may have been trained on, and {verb} left out."


def strata(band: Band, scores: Floats, least: int) -> list[tuple[StratumName, Mask]]:
    """People who were answered alike, by name; everybody is in one stratum, and none is empty.

    The inconclusive are verified more often than who is next to them, and answered wrongly more often, so they are
    strata of their own on either side of the threshold. A side of which either part has fewer than ``least`` people
    is one stratum, under the name of its answer.

    Args:
        band: about the threshold.
        scores: of everybody who was answered, shape (n_people,).
        least: people.
    """
    found = list[tuple[StratumName, Mask]]()
    positive = scores >= band.threshold
    inconclusive = _inconclusive(band, scores)
    for (outer, inner), side in zip(_SIDES, (positive, ~positive), strict=True):
        parts = (outer, side & ~inconclusive), (inner, side & inconclusive)
        split = all(part.sum() >= least for _, part in parts)
        found += parts if split else [(outer, side)]
    return [(name, people) for name, people in found if people.any()]


def _inconclusive(band: Band, scores: Floats) -> Mask:
    return np.array([band.diagnosis(score) == "inconclusive" for score in scores.tolist()], dtype=bool)


def labelled_ratio(strata: Sequence[Stratum]) -> float | None:
    """Of the shares labelled in the strata, the least to the most, in [0, 1].

    None where all are in one, so that nobody was passed over, or nobody is labelled.
    """
    shares = [one.labelled / one.answered for one in strata]
    return min(shares) / max(shares) if len(shares) > 1 and max(shares) else None


def _too_few(promise: Labelled, counts: Counts, strata: Sequence[Stratum], p: FeedbackParams) -> str:
    """Why nothing can be said; "" where something can."""
    if not counts.answered:
        others = " who is not in the corpus" if counts.in_corpus else ""
        return f"This package has answered nobody with a score{others}."
    labelled = {"patient": counts.labelled_patients, "control": counts.labelled_controls}
    if min(labelled.values()) < p.min_people:
        said = " and ".join(f"{n} {name}s" for name, n in labelled.items())
        return f"The truth is known of {said}; {p.min_people} of each are needed."
    if min(promise.class_sizes) < p.min_people:
        n_controls, n_patients = promise.class_sizes
        return (
            f"The test set had {n_patients} patients and {n_controls} controls: a promise of fewer than "
            f"{p.min_people} of each is none."
        )
    ratio = labelled_ratio(strata)
    if ratio is not None and ratio < p.least_ratio:
        shares = "; ".join(f"{one.name}, of {one.labelled} of {one.answered}" for one in strata)
        return (
            f"The truth is known too one-sidedly, by what people were answered: {shares}. Of "
            f"those who are hardly ever verified nobody knows how many were answered wrongly, so there is no AUC, no "
            f"sensitivity and no specificity. The least share must be {p.least_ratio:g} of the most at least, and is "
            f"{ratio:.2f}: verify some of them, drawn at random."
        )
    return ""


def _weights(strata: Sequence[tuple[StratumName, Mask]], known: Mask) -> Floats:
    """How many people of their stratum each of the labelled stands for; each stratum must have one of them."""
    weights = np.ones(known.size)
    for _, own in strata:
        weights[own] = own.sum() / (own & known).sum()
    return weights


def _verdict(found: Performance, p: FeedbackParams) -> tuple[Verdict, str]:
    fallen = [name for name, one in found.watched.items() if one.lo > 0]
    said = [
        f"{name} is {found.metrics[name].used.value:.3f} in use and {found.metrics[name].promised.value:.3f} was "
        f"promised; the fall lies within [{one.lo:+.3f}, {one.hi:+.3f}]"
        for name, one in found.watched.items()
        if name in fallen or not fallen
    ]
    head = "It is below its promise" if fallen else "No fall is found"
    return BELOW if fallen else AS_PROMISED, f"{head}, at {p.confidence:.0%} over all looks: {'; '.join(said)}."


def _sources(counts: Mapping[str, int]) -> dict[str, int]:
    """Who knew it, without what may be a person's name and without who knew it of few; none where nobody is left."""
    kept = {name: n for name, n in counts.items() if name and n >= FEWEST and not personal(name)}
    others = sum(counts.values()) - sum(kept.values())
    return kept | ({OTHER_SOURCES: kept.get(OTHER_SOURCES, 0) + others} if kept and others else {})
