"""People with scores and, for some, the truth -> whether the champion keeps what its test set promised."""

from collections.abc import Mapping
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
    Verdict,
)
from spira.scorer.answer import Band

_FEWEST_OF_A_SOURCE = 5  # people; fewer could be recognised by who knew
OTHER_SOURCES = "others"


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
    ratio, found = labelled_ratio(counts), None
    verdict, reason = TOO_FEW, _too_few(champion.promise, counts, ratio, p)
    if not reason:
        labels = np.array([label for label in joined.labels if label is not None], dtype=np.int64)
        weights = _weights(scores[known] >= champion.band.threshold, counts)
        found = performance(champion.promise, Labelled(scores[known], labels, weights), champion.band.threshold, p)
        verdict, reason = _verdict(found, p)
    return Feedback(
        schema_version=1,
        package=champion.package,
        day=day,
        verdict=verdict,
        reason=reason,
        threshold=champion.band.threshold,
        confidence=p.confidence,
        counts=counts,
        sources=_sources(joined.sources),
        labelled_ratio=ratio,
        deciles=tuple(deciles(scores, known)),
        performance=found,
    )


def _counts(band: Band, asked: Asked, joined: Joined, scores: Floats, known: Mask) -> Counts:
    positive = scores >= band.threshold
    inconclusive = np.array([band.diagnosis(score) == "inconclusive" for score in joined.scores], dtype=bool)
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
        repeated_answers=asked.n_repeated,
        other_packages_answers=asked.n_other_packages,
        unknown_ids=joined.n_unknown,
        other_packages_ids=joined.n_elsewhere,
    )


def labelled_ratio(counts: Counts) -> float | None:
    """Of the shares labelled on either side of the threshold, the less to the more, in [0, 1].

    None where one side has nobody, so that nobody was passed over there, or nobody is labelled.
    """
    if not (counts.positive and counts.negative and counts.labelled):
        return None
    shares = counts.positive_labelled / counts.positive, counts.negative_labelled / counts.negative
    return min(shares) / max(shares)


def _too_few(promise: Labelled, counts: Counts, ratio: float | None, p: FeedbackParams) -> str:
    """Why nothing can be said; "" where something can."""
    if not counts.answered:
        return "This package has answered nobody with a score."
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
    if ratio is not None and ratio < p.least_ratio:
        return (
            f"The truth is known too one-sidedly: of {counts.positive_labelled} of {counts.positive} people who were "
            f"answered positive and of {counts.negative_labelled} of {counts.negative} who were answered negative. Of "
            f"those who are hardly ever verified nobody knows how many were answered wrongly, so there is no AUC, no "
            f"sensitivity and no specificity. The lesser share must be {p.least_ratio:g} of the other at least, and is "
            f"{ratio:.2f}: verify some of them, drawn at random."
        )
    return ""


def _weights(positive: Mask, counts: Counts) -> Floats:
    """How many people of their side of the threshold each of the labelled stands for."""
    per_positive, per_negative = (
        answered / labelled if labelled else 1.0
        for answered, labelled in (
            (counts.positive, counts.positive_labelled),
            (counts.negative, counts.negative_labelled),
        )
    )
    return np.where(positive, per_positive, per_negative)


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
    kept = {name: n for name, n in counts.items() if name and n >= _FEWEST_OF_A_SOURCE and not personal(name)}
    others = sum(counts.values()) - sum(kept.values())
    return kept | ({OTHER_SOURCES: kept.get(OTHER_SOURCES, 0) + others} if kept and others else {})
