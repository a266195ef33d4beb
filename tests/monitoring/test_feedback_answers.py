"""The people of a folder: whose a recording is, and what counts once."""

from pathlib import Path

import pytest

from spira.base.errors import DataError
from spira.monitoring.feedback_answers import Heard, asked_in_folder, heard_of
from spira.population.people import AnsweredRecording, Person

FOLDER = Path("new")


def test_a_persons_score_is_the_mean_over_their_recordings_and_a_copy_counts_once() -> None:
    """A recording without a speaker_id is that of whom the same sound belongs to."""
    found = asked_in_folder(
        [
            Heard("s1", "d1", 0.2),
            Heard("s1", "d2", 0.8),
            Heard("s1", "d2", 0.8),
            Heard("file:copy.wav", "d2", 0.8),
            Heard("file:c.wav", "d3", 0.6),
            Heard("file:copy_of_c.wav", "d3", 0.6),
            Heard("s1", "", None),
            Heard("s2", "", None),
        ],
        FOLDER,
    )
    assert [person.score for person in found.people] == [pytest.approx(0.5), 0.6, None]
    assert found.people[0].ids == frozenset(["d1", "d2"])


def test_one_sound_under_two_speakers_is_refused() -> None:
    with pytest.raises(DataError, match=r"new: a recording \(SHA-256 d\.\.\.\) is there under two speaker_ids"):
        asked_in_folder([Heard("s1", "d", 0.2), Heard("s2", "d", 0.2)], FOLDER)


@pytest.mark.parametrize("named", [True, False])
def test_without_a_table_a_file_is_nobodys_name(named: bool) -> None:
    one = AnsweredRecording(task="", score=0.5, refused=None, digest="0" * 64, facts=None, statistics=None)
    refused = AnsweredRecording(task="", score=None, refused="empty", digest=None, facts=None, statistics=None)
    people = {name: Person(0.5, "negative", (one, refused), {}) for name in ("a", "b")}
    heard = heard_of(people, named=named)
    assert [one.digest for one in heard] == ["0" * 64, "", "0" * 64, ""]
    if named:
        with pytest.raises(DataError, match="under two speaker_ids"):
            asked_in_folder(heard, FOLDER)
    else:
        assert [person.score for person in asked_in_folder(heard, FOLDER).people] == [0.5]
