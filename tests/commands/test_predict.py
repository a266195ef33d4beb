"""`spira predict`: a table for people, JSON for programs, and an exit code by what happened."""

import json
import re
from pathlib import Path

import pytest

from packaged import Packaged
from spira.base.errors import DataError
from spira.commands.spira import run


def predicted(packaged: Packaged, *arguments: str) -> int:
    return run(["predict", *arguments, "--package", str(packaged.package("statistics"))])


@pytest.fixture
def recordings(packaged: Packaged) -> list[str]:
    return [str(packaged.recordings / name) for name in ("clip_06.wav", "clip_07.wav")]


def test_a_person_reads_a_table(packaged: Packaged, recordings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(packaged, *recordings, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    said = [one["diagnosis"] for one in found["recordings"]] + [found["diagnosis"]]
    assert said[0] == "negative"  # a control's; how sure a patient's is depends on so small a training
    assert predicted(packaged, *recordings) == 0
    head, band, blank, columns, *rows = capsys.readouterr().out.splitlines()
    assert head == "Research, not a diagnosis. Model: statistics, trained on tiny."
    assert re.fullmatch(r"Positive from a score of 0\.\d{3}; between 0\.\d{3} and [01]\.\d{3} inconclusive\.", band)
    assert (blank, columns.split()) == ("", ["recording", "score", "answer"])
    assert [row.rpartition("  ")[2] for row in rows[:2]] == said[:2]
    assert rows[2].startswith("together, as one person")
    assert rows[2].endswith(f"{found['score']:.3f}  {said[2]}")
    assert len({row.index(row.split()[-1]) for row in rows}) == 1  # aligned


def test_a_program_reads_json(packaged: Packaged, recordings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(packaged, recordings[1], "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    (one,) = answer["recordings"]
    assert answer["score"] == one["score"]
    assert answer["diagnosis"] == one["diagnosis"]
    assert re.fullmatch("[0-9a-f]{64}", answer["package"])


def test_a_refused_file_says_why_and_the_exit_code_says_that_there_was_one(
    packaged: Packaged, recordings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape codes in a name are shown as such; the others' mean is the person's."""
    bad = tmp_path / "a\x1b[2Jb.wav"
    bad.write_bytes(b"")
    assert predicted(packaged, recordings[0], str(bad)) == 3
    out = capsys.readouterr().out
    assert "refused, empty: the file has no bytes" in out
    assert "\x1b" not in out
    assert predicted(packaged, str(bad), str(tmp_path / "nowhere.wav")) == 4
    assert "refused, missing: no such file" in capsys.readouterr().out


def test_without_a_package_it_says_what_one_is(recordings: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc repro package"):
        run(["predict", recordings[0], "--package", str(tmp_path)])


def test_without_a_file_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict"]) == 2
    assert "Missing argument" in capsys.readouterr().err
