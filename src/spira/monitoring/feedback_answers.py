"""Whom a package answered: the people in a server's log, or those of a folder of recordings."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spira.base.errors import DataError
from spira.monitoring.feedback_people import Asked, Request, asked
from spira.population.log import read_log
from spira.population.people import Person

UNNAMED = "file:"  # begins what ``read_unlabelled`` calls the speaker of a recording without one


class Heard(NamedTuple):
    """A recording, and what was made of it."""

    speaker: str  # or, where nobody says who it is, the name of the file behind ``UNNAMED``
    digest: str  # SHA-256 of the waveform, as in data/clips/clips.csv; "" where it was refused
    score: float | None  # None where it was refused, or nobody asked


def asked_in_log(path: Path, package: str) -> Asked:
    """The people whom this package answered; a line is a person, and so are lines that share a recording."""
    requests: tuple[list[Request], list[Request]] = ([], [])
    for answered in read_log(path):
        ids = frozenset([answered.inference, *(one.digest for one in answered.recordings if one.digest)])
        requests[answered.package != package].append(Request(answered.score, ids))
    return asked(*requests)


def heard_of(people: Mapping[str, Person], *, named: bool) -> list[Heard]:
    """Every recording of the people of a folder.

    Args:
        people: by speaker or, without a table, by file.
        named: whether there is a table.
    """
    return [
        Heard(speaker if named else UNNAMED + speaker, one.digest or "", one.score)
        for speaker, person in people.items()
        for one in person.recordings
    ]


def asked_in_folder(heard: Sequence[Heard], folder: Path) -> Asked:
    """The people of a folder, each with the mean score of their recordings.

    Where nobody says whose a recording is, it is a person of its own; the same sound is the same person's.

    Raises:
        DataError: two speakers have the same sound.
    """
    by_person: dict[str, list[Heard]] = {}
    speaker_of: dict[str, str] = {}
    named = [one for one in heard if not one.speaker.startswith(UNNAMED)]
    for one in named:
        if one.digest and speaker_of.setdefault(one.digest, one.speaker) != one.speaker:
            raise DataError(
                f"{folder}: a recording (SHA-256 {one.digest[:12]}...) is there under two speaker_ids; keep the right "
                "one"
            )
    for one in heard:
        by_person.setdefault(speaker_of.get(one.digest, one.speaker), []).append(one)
    return asked([_request(own) for own in by_person.values()])


def _request(own: Iterable[Heard]) -> Request:
    own = list(own)
    scores = {one.digest: one.score for one in own if one.score is not None}  # a copy counts once
    ids = frozenset(one.digest for one in own if one.digest)
    return Request(float(np.mean(list(scores.values()))) if scores else None, ids)


def asked_together(one: Asked, other: Asked) -> Asked:
    """The people of both, of whom those who share a recording are the same."""
    return asked([*one.people, *other.people])
