"""Whom a package answered: the people in a server's log, or those of a folder of recordings."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from spira.base.errors import DataError
from spira.monitoring.feedback_people import Asked, Request, asked
from spira.population.log import read_log
from spira.population.people import Person

UNNAMED = "file:"  # begins what ``read_unlabelled`` calls the speaker of a recording without one


class Heard(NamedTuple):
    """A recording that was decoded, and not scored."""

    speaker: str  # or, where nobody says who it is, the name of the file behind ``UNNAMED``
    digest: str  # SHA-256 of the waveform, as in data/clips/clips.csv


def asked_in_log(path: Path, package: str) -> Asked:
    """The people whom this package answered; a line is a person, and so are lines that share a recording."""
    requests: tuple[list[Request], list[Request]] = ([], [])
    for answered in read_log(path):
        ids = frozenset([answered.inference, *(one.digest for one in answered.recordings if one.digest)])
        requests[answered.package != package].append(Request(answered.score, ids))
    return asked(*requests)


def asked_of(people: Iterable[Person]) -> Asked:
    """People of a folder, by the digests of their recordings."""
    return asked([Request(one.score, frozenset(r.digest for r in one.recordings if r.digest)) for one in people])


def brought_by(heard: Sequence[Heard], folder: Path) -> Asked:
    """The people whose recordings are brought, without a score.

    Where nobody says whose a recording is, it is a person of its own; the same sound is the same person's.

    Raises:
        DataError: two speakers have the same sound.
    """
    by_person: dict[str, set[str]] = {}
    speaker_of: dict[str, str] = {}
    for one in heard:
        named = not one.speaker.startswith(UNNAMED)
        if named and speaker_of.setdefault(one.digest, one.speaker) != one.speaker:
            raise DataError(
                f"{folder}: a recording (SHA-256 {one.digest[:12]}...) is there under two speaker_ids; keep the right "
                "one"
            )
    for one in heard:
        by_person.setdefault(speaker_of.get(one.digest, one.speaker), set()).add(one.digest)
    return asked([Request(None, frozenset(digests)) for digests in by_person.values()])


def asked_together(one: Asked, other: Asked) -> Asked:
    """The people of both, of whom those who share a recording are the same."""
    return asked([*one.people, *other.people])
