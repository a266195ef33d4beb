"""Answers and feedback -> people: each with a score, and a label where the truth about them is known."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from spira.base.errors import DataError
from spira.population.people import one_person


class Known(NamedTuple):
    """What is known about whom an id stands for."""

    id: str  # SHA-256 of a waveform, or an inference id: 64 or 32 hexadecimal digits
    label: int  # 1 patient, 0 control
    known_on: date  # the first day on which it was reported
    source: str  # who knew it; "" where nobody says
    line: int  # of the table


class Request(NamedTuple):
    """What was answered at one time to one person."""

    score: float | None  # in [0, 1]; None where every recording was refused
    ids: frozenset[str]  # of the answer, and the digests of its recordings


class Asked(NamedTuple):
    """Whom a package answered."""

    people: list[Request]  # one a person: their first answer that has a score, with the ids of all their answers
    n_repeated: int  # answers to somebody who had one before
    n_other_packages: int  # answers by other packages
    elsewhere: frozenset[str]  # the ids of these


class Joined(NamedTuple):
    """People with what is known of them."""

    scores: list[float]
    labels: list[int | None]  # 1 patient, 0 control, None where nobody knows
    sources: dict[str, int]  # by who knew it, how many people
    n_without_score: int  # people whose every recording was refused
    n_in_corpus: int  # people with a score who are in the corpus, and are left out
    n_unknown: int  # ids in feedback of nobody who was answered
    n_elsewhere: int  # ids in feedback of people whom another package answered


def asked(requests: Sequence[Request], elsewhere: Sequence[Request] = ()) -> Asked:
    """The people of these requests; those that share a recording are of one person.

    Args:
        requests: that this package answered.
        elsewhere: that other packages answered.
    """
    people = merged(requests)
    ours, theirs = (frozenset().union(*(one.ids for one in group)) for group in (people, elsewhere))
    return Asked(people, len(requests) - len(people), len(elsewhere), theirs - ours)


def merged(requests: Sequence[Request]) -> list[Request]:
    """One a person, in the order of their first: requests that share an id, themselves or through others."""
    return [_person([requests[i] for i in group]) for group in one_person([request.ids for request in requests])]


def _person(group: Sequence[Request]) -> Request:
    scores = [request.score for request in group if request.score is not None]
    return Request(scores[0] if scores else None, frozenset().union(*(request.ids for request in group)))


def truths(people: Sequence[Request], known: Sequence[Known]) -> list[Known | None]:
    """What is known of each person; None where nothing is.

    Raises:
        DataError: one person has two labels, by different ids.
    """
    person_of = {name: i for i, person in enumerate(people) for name in person.ids}
    found: dict[int, Known] = {}
    for row in known:
        if row.id in person_of:
            before = found.setdefault(person_of[row.id], row)
            if before.label != row.label:
                raise DataError(
                    f"feedback: lines {before.line} and {row.line} are about one person and must have one label; "
                    "keep what is true"
                )
    return [found.get(i) for i, _ in enumerate(people)]


def join(asked: Asked, known: Sequence[Known], corpus: Collection[str] = frozenset()) -> Joined:
    """Whom the feedback is about; raises what ``truths`` does.

    Args:
        asked: whom the package answered.
        known: the feedback.
        corpus: the digests of recordings that the package may have been trained on; their people are left out.
    """
    truth_of, met = truths(asked.people, known), frozenset(corpus)
    scored = [
        (person.score, truth)
        for person, truth in zip(asked.people, truth_of, strict=True)
        if person.score is not None and not person.ids & met
    ]
    n_scored = sum(person.score is not None for person in asked.people)
    ours = frozenset().union(*(person.ids for person in asked.people))
    others = [row.id for row in known if row.id not in ours]
    n_elsewhere = sum(name in asked.elsewhere for name in others)
    return Joined(
        scores=[score for score, _ in scored],
        labels=[truth.label if truth else None for _, truth in scored],
        sources=dict(sorted(Counter(truth.source for _, truth in scored if truth).items())),
        n_without_score=len(asked.people) - n_scored,
        n_in_corpus=n_scored - len(scored),
        n_unknown=len(others) - n_elsewhere,
        n_elsewhere=n_elsewhere,
    )
