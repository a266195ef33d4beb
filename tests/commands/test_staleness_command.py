"""`spira staleness`: from the clips of ingest to a table, by the dates that they have."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from packaged import Packaged
from spira.commands.spira import run


@pytest.fixture
def dated(packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose first fourteen people came in January, eight in February, and of two nobody knows."""
    shutil.copy2(packaged.root / "params.yaml", tmp_path)
    shutil.copytree(packaged.root / "data/clips", tmp_path / "data/clips")
    table = pl.read_csv(tmp_path / "data/clips/clips.csv", glob=False, infer_schema=False)
    days = ["2020-01-15"] * 14 + ["2020-02-03"] * 8 + [""] * 2
    table.with_columns(recorded_on=pl.Series(days)).write_csv(tmp_path / "data/clips/clips.csv")
    params = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("  min_speakers: 5", "  min_speakers: 4", 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_those_who_came_first_are_trained_on_and_the_others_tested(
    dated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["staleness", "--json", "--out", str(dated / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    (trial,) = found["trials"]
    assert (trial["trained_until"], trial["tested_in"], trial["months"]) == ("2020-01", "2020-02", 1)
    assert (trial["n_patients"], trial["n_controls"], found["n_undated"]) == (4, 4, 2)
    assert trial["auc"] > 0.9  # they hum high or low
    assert json.loads((dated / "out/staleness.json").read_text()) == found
    assert "2 clips have no date" in (dated / "out/staleness.md").read_text()


def test_without_dates_there_is_nothing_to_say(dated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dated / "data/clips/clips.csv"
    pl.read_csv(path, glob=False, infer_schema=False).with_columns(recorded_on=pl.lit("")).write_csv(path)
    assert run(["staleness"]) == 4
    assert "too few people with a date" in capsys.readouterr().out
