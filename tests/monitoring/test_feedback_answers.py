"""The people of a folder: whose a recording is, which are refused, and what counts once."""

from pathlib import Path

import numpy as np
import pytest

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.monitoring.feedback_answers import Brought, Heard, asked_in_folder, hear_all, read_folder
from spira.scorer.answer import Refused


def brought(name: str, speaker: str = "", task: str = "") -> Brought:
    return Brought(Path(name), speaker, {"task": task})


def heard(name: str, speaker: str, digest: str, score: float | None) -> Heard:
    return Heard(brought(name, speaker), digest, score)


def test_a_persons_score_is_the_mean_over_their_recordings_and_a_copy_counts_once() -> None:
    found = asked_in_folder(
        [
            heard("a.wav", "s1", "d1", 0.2),
            heard("b.wav", "s1", "d2", 0.8),
            heard("copy.wav", "s1", "d2", 0.8),
            heard("nobody_says.wav", "", "d2", 0.8),
            heard("c.wav", "", "d3", 0.6),
            heard("silent.wav", "s1", "", None),
            heard("refused.wav", "s2", "", None),
        ]
    )
    assert [person.score for person in found.people] == [pytest.approx(0.5), 0.6, None]
    assert found.people[0].ids == frozenset(["d1", "d2"])


def test_one_sound_under_two_speakers_is_refused() -> None:
    with pytest.raises(DataError, match=r"b\.wav: the same sound is there under another speaker_id"):
        asked_in_folder([heard("a.wav", "s1", "d", 0.2), heard("b.wav", "s2", "d", 0.2)])


def test_beside_tasks_of_the_training_other_recordings_of_a_person_have_no_score(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As ``spira predict`` does it; who has only others is scored by them."""

    def hear(path: Path) -> tuple[Waveform, float | None] | Refused:
        return (np.full(3, len(path.name), np.float32), 0.5) if path.name != "e" else Refused(code="empty", reason="")

    rows = [
        brought("a", "s1", "rhyme"),
        brought("bb", "s1", "cough"),
        brought("ccc", "s2", "cough"),
        brought("dddd", "", "cough"),
        brought("e", "s1", "sentence"),
    ]
    found = hear_all(rows, hear, ("rhyme", "sentence"))
    assert [one.score for one in found] == [0.5, None, 0.5, 0.5, None]
    assert [bool(one.digest) for one in found] == [True, False, True, True, False]
    assert capsys.readouterr().err == "2 of 5 recordings were refused: empty (1), task (1)\n"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("speaker_id\ns1\n", "needs the column file_path"),
        ("file_path,speaker_id\n../a.wav,s1\n", "must lie inside the corpus's folder"),
        ("file_path,speaker_id\na.wav,s1\na.wav,s2\n", "must be named once"),
        ("file_path,speaker_id\na.wav,s1\nb.wav\n", "as many fields in every row"),
        ("file_path,age\na.wav,old\n", "age must be a number of years"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, table: str, why: str) -> None:
    (tmp_path / "metadata.csv").write_text(table)
    with pytest.raises(DataError, match=why):
        read_folder(tmp_path)


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no recording"):
        read_folder(tmp_path)


def test_a_label_in_the_table_is_not_read(tmp_path: Path) -> None:
    """What is true comes with the feedback; the other columns come in their canonical form."""
    (tmp_path / "metadata.csv").write_text("file_path;label;sexo;recorded_on\na.wav;nonsense;feminino;31/07/2026\n")
    (found,) = read_folder(tmp_path)
    assert found == Brought(tmp_path / "a.wav", "", {"sex": "F", "recorded_on": "2026-07-31"})
