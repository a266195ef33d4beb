"""The people of a folder: whose a recording is, and what counts once."""

from pathlib import Path

import pytest

from populations import BAND
from spira.base.errors import DataError
from spira.monitoring.feedback_answers import Heard, asked_of, brought_by
from spira.population.in_use import _merged
from spira.population.people import AnsweredRecording, Person

FOLDER = Path("new")
DIGESTS = {name: name[1] * 64 for name in ("d1", "d2", "d3")}


def recording(digest: str, score: float | None) -> AnsweredRecording:
    refused = "empty" if score is None else None
    return AnsweredRecording(
        task="", score=score, refused=refused, digest=DIGESTS.get(digest), facts=None, statistics=None
    )


def test_a_persons_score_is_the_mean_over_their_recordings_and_a_copy_counts_once() -> None:
    """A recording without a speaker_id is that of whom the same sound belongs to."""
    heard: dict[str, list[tuple[str, float | None]]] = {
        "s1": [("d1", 0.2), ("d2", 0.8), ("d2", 0.8), ("", None)],
        "file:copy.wav": [("d2", 0.8)],
        "file:c.wav": [("d3", 0.6)],
        "file:copy_of_c.wav": [("d3", 0.6)],
        "s2": [("", None)],
    }
    people = {
        who: Person(None, "inconclusive", tuple(recording(*one) for one in own), {}) for who, own in heard.items()
    }
    found = asked_of(_merged(people, BAND, ()).people.values())
    assert [person.score for person in found.people] == [pytest.approx(0.5), 0.6, None]
    assert found.people[0].ids == frozenset([DIGESTS["d1"], DIGESTS["d2"]])


def test_one_sound_under_two_speakers_is_refused() -> None:
    with pytest.raises(DataError, match=r"new: a recording \(SHA-256 d\.\.\.\) is there under two speaker_ids"):
        brought_by([Heard("s1", "d"), Heard("s2", "d")], FOLDER)


def test_without_a_table_a_file_is_nobodys_name() -> None:
    found = brought_by([Heard("file:a", "d"), Heard("file:b", "d"), Heard("file:c", "e")], FOLDER)
    assert [person.ids for person in found.people] == [frozenset("d"), frozenset("e")]
