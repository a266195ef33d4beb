"""Recordings in use become people: of a folder by speaker, of a log by request; scored as the pipeline scores."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from packaged import Packaged
from populations import BAND, draw
from sounds import pcm, tones, wav
from spira.base.errors import DataError
from spira.population.in_use import Use, in_folder, in_log, observed
from spira.population.log import append
from spira.population.people import Answered
from spira.scorer.scorer import Heard, Scorer

SOUND, OTHER = (wav(pcm(tones(16_000, seconds=seconds))) for seconds in (1.5, 2.0))


@pytest.fixture(scope="module")
def scorer(packaged: Packaged) -> Iterator[Scorer]:
    with Scorer(packaged.package("statistics")) as scorer:
        yield scorer


@pytest.fixture(scope="module")
def corpus(packaged: Packaged, scorer: Scorer) -> Use:
    return in_folder(packaged.recordings, scorer)


def test_each_recording_has_the_digest_and_the_score_that_the_pipeline_gave_it(packaged: Packaged, corpus: Use) -> None:
    """Of test clips: a baseline is fitted to validation clips too, whose scores are of fits without them."""
    clips = pl.read_csv(packaged.root / "data/clips/clips.csv", glob=False, infer_schema=False)
    predicted = pl.read_csv(packaged.root / "data/predictions.csv", glob=False)
    own = predicted.filter(model="statistics", condition="clean", subset="test")
    scores = dict(zip(own["clip_id"], own["score"], strict=True))
    digests = dict(zip(clips["digest"], clips["clip_id"], strict=True))
    heard = [one for person in corpus.people.values() for one in person.recordings if one.digest]
    assert {one.digest for one in heard} == set(digests)
    compared = [(one.score, scores[digests[one.digest or ""]]) for one in heard if digests[one.digest or ""] in scores]
    assert len(compared) == len(scores) > 0
    assert all(got == pytest.approx(expected, abs=1e-6) for got, expected in compared)
    assert set(corpus.people) == set(clips["speaker_id"])


def test_without_a_table_each_file_is_a_person_and_that_is_said(tmp_path: Path, scorer: Scorer) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.wav").write_bytes(SOUND)
    (tmp_path / "sub/b.wav").write_bytes(OTHER)
    (tmp_path / ".hidden").write_text("not looked at")
    (tmp_path / "notes.txt").write_text("no recording\n" * 10)
    found = in_folder(tmp_path, scorer)
    assert "each of 3 files counts as a person of its own" in found.said[0]
    assert [one.recordings[0].refused for one in found.people.values()] == [None, "undecodable", None]
    assert found.people[str(tmp_path / "notes.txt")].diagnosis == "inconclusive"


def test_who_came_again_with_the_same_recording_is_one_person(tmp_path: Path, scorer: Scorer) -> None:
    """A copy counts once, and whoever shares it with another is the other."""
    for name, content in (("a.wav", SOUND), ("a_again.wav", SOUND), ("b.wav", OTHER)):
        (tmp_path / name).write_bytes(content)
    found = in_folder(tmp_path, scorer)
    assert [len(person.recordings) for person in found.people.values()] == [1, 1]
    assert "1 share a recording with another" in found.said[1]
    rows = ["file_path,speaker_id", "a.wav,p", "a_again.wav,q", "b.wav,q"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    ((name, person),) = in_folder(tmp_path, scorer).people.items()
    assert (name, len(person.recordings)) == ("p", 2)


def test_a_table_says_whose_a_recording_is_and_its_label_is_not_read(tmp_path: Path, scorer: Scorer) -> None:
    for name, content in (("a.wav", SOUND), ("b.wav", OTHER)):
        (tmp_path / name).write_bytes(content)
    rows = ["file_path,speaker_id,site,label", "a.wav,p,norte,nobody knows", "b.wav,p,norte,nobody knows"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    (person,) = in_folder(tmp_path, scorer).people.values()
    assert person.values == {"site": "norte"}
    scores = [one.score for one in person.recordings if one.score is not None]
    assert len(scores) == 2
    assert person.score == pytest.approx(sum(scores) / 2)


def test_a_folder_without_a_recording_is_refused(tmp_path: Path, scorer: Scorer) -> None:
    with pytest.raises(DataError, match="holds no file"):
        in_folder(tmp_path, scorer)
    with pytest.raises(DataError, match="no such folder"):
        in_folder(tmp_path / "none", scorer)


def test_a_recording_of_another_task_has_no_score_as_in_an_answer(scorer: Scorer) -> None:
    task = scorer.manifest.tasks[0] if scorer.manifest.tasks else "none"
    heard = scorer.hear_all({task: SOUND, "other": SOUND})
    assert isinstance(heard[task], Heard)
    expected = None if not scorer.manifest.tasks else "task"
    assert observed("other", heard["other"], scorer.manifest).refused == expected
    assert observed("other", heard["other"], scorer.manifest).task == "(other)"
    assert observed("", heard["other"], scorer.manifest).task == ""


def test_of_a_log_the_answers_of_this_package_and_of_these_days_count(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number, (package, day) in enumerate([("a", 1), ("b", 1), ("a", 9), ("a", 10)]):
        person = draw(number, 1)[0]
        append(
            Answered(
                package=package * 64,
                inference=f"{number:032x}",
                day=date(2026, 11, day),
                score=person.score,
                diagnosis=person.diagnosis,
                recordings=person.recordings,
            ),
            path,
        )
    found = in_log(path, "a" * 64, BAND, date(2026, 11, 9))
    assert list(found.people) == [f"{number:032x}" for number in (2, 3)]
    assert found.people[f"{2:032x}"].recordings == draw(2, 1)[0].recordings
    assert "1 answers are of other packages" in found.said[1]
    assert "1 answers are from before 2026-11-09" in found.said[2]
