"""What the rules are given: reports as monitoring writes them, and people by their recordings."""

import json
import shutil
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml

from registered import Registered
from spira.base.errors import DataError
from spira.base.params import load
from spira.ingest.acceptance import IngestParams
from spira.ingest.mono import Mono, read_mono
from spira.registry.evidence import Met
from spira.registry.history import Event, History, Tag
from spira.registry.record import Record
from spira.retraining import evidence
from spira.retraining.checked import Corpus, checked
from spira.retraining.evidence import people_since, reports
from spira.retraining.rules import NewPeople

OURS = "a" * 64


def write_report(folder: Path, name: str, **changes: Any) -> Path:
    """As `spira drift --out` and `spira feedback --out` begin it."""
    tree = {"schema_version": 1, "package": OURS, "day": folder.name, "verdict": "drift", "more": [1]} | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(tree))
    return folder / name


def champion(work: Registered, when: date = date(2026, 1, 1)) -> Event:
    """A version that was registered at HEAD on that day."""
    commit = work.git("rev-parse", "HEAD").strip()
    record = Record(
        action="register",
        registry="tiny",
        version="v0.0.1",
        stage=None,
        commit=commit,
        package=OURS,
        folder=f"{'0' * 32}.dir",
        by="Ana",
        why="the first",
        previous=None,
        lineage=None,
        gate=None,
    )
    at = int(datetime(when.year, when.month, when.day, 12, tzinfo=UTC).timestamp())
    tag = Tag(name="tiny@v0.0.1", object="0", annotated=True, commit=commit, tagger="", when=at, message="")
    return Event(tag, "register", 0, record)


def test_reports_are_read_by_their_day(tmp_path: Path) -> None:
    """Whatever their folders are called, which decide within a day, and whatever else is in them."""
    write_report(tmp_path / "b", "drift.json", day="2026-11-01", verdict="none")
    write_report(tmp_path / "a", "drift.json", day="2026-11-08")
    write_report(tmp_path / "c", "drift.json", day="2026-11-08", verdict="too few")
    write_report(tmp_path / "a", "feedback.json", day="2026-11-08", verdict="as promised")
    (tmp_path / "notes.txt").write_text("")
    found = [(report.day.day, report.verdict) for report in reports(tmp_path, "drift.json")]
    assert found == [(1, "none"), (8, "drift"), (8, "too few")]
    assert reports(tmp_path, "feedback.json") == [(date(2026, 11, 8), "as promised", OURS)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": "as promised"}, "verdict: Input should be 'none', 'drift' or 'too few'"),
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"day": "yesterday"}, "day: "),
        ({"package": "v1"}, "package: "),
    ],
)
def test_a_report_that_is_none_is_named(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    """What cannot be read is never taken for absent."""
    write_report(tmp_path / "2026-11-01", "drift.json")
    write_report(tmp_path / "2026-11-08", "drift.json", **changes)
    with pytest.raises(DataError, match=f"2026-11-08/drift.json: not a report of monitoring: {why}"):
        reports(tmp_path, "drift.json")
    with pytest.raises(DataError, match="no such folder; spira drift and spira feedback write"):
        reports(tmp_path / "nowhere", "drift.json")


@pytest.mark.usefixtures("one_thread")
def test_a_known_recording_under_a_new_name_is_nobody_new(
    work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the waveform: as another file and in another format; a recording that ingest refuses is nobody either."""
    samples, rate = soundfile.read(new / "clip_00.wav", dtype="int16")
    soundfile.write(new / "flac.flac", samples, rate)
    soundfile.write(new / "fresh.wav", samples[::-1], rate, subtype="PCM_16")
    (new / "text.wav").write_text("no recording")
    rows = ["flac.flac,control,s90,F,40,", "fresh.wav,patient,s91,F,40,", "text.wav,patient,s92,F,40,"]
    with (new / "metadata.csv").open("a") as file:
        file.write("\n".join(rows) + "\n")
    event = champion(work)
    known = Met(frozenset({"s00", "s01", "s02", "s03"}), frozenset())
    monkeypatch.setattr(evidence, "met_by", lambda *_: known)
    assert people_since(work.folder, event, new, recordings=False) == NewPeople(2, 1, 4, 0, 0, by_sound=False)
    mono = read_mono(new / "clip_00.wav", 16_000, load("ingest", IngestParams, path=work.folder / "params.yaml"))
    assert isinstance(mono, Mono)
    known = Met(known.speakers, frozenset({sha256(mono.waveform.data).hexdigest()}))
    assert people_since(work.folder, event, new, recordings=True) == NewPeople(1, 0, 4, 1, 1, by_sound=True)


def test_other_names_and_another_corpus_cannot_be_compared(work: Registered, new: Path) -> None:
    """Under a hash everybody would be new."""
    event, path = champion(work), work.folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(params | {"corpus": "other"}))
    with pytest.raises(DataError, match=r"the champion was trained on the corpus tiny, and params\.yaml names other"):
        people_since(work.folder, event, new, recordings=False)
    params["ingest"]["personal_data"] = "pseudonymise"
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(DataError, match=r"named by ingest\.personal_data=\w+, those of now by pseudonymise"):
        people_since(work.folder, event, new, recordings=False)


def test_each_rule_is_asked_and_what_fails_is_not_known(work: Registered, new: Path, tmp_path: Path) -> None:
    """The champion's commit names no table of clips: that rule alone is not known, and says why."""
    event = champion(work)
    history = History("tiny", (event, assigned(event)), ())
    for day in ("2026-11-01", "2026-11-08"):
        write_report(tmp_path / "reports" / day, "drift.json")
    shutil.rmtree(work.folder / ".ckpt", ignore_errors=True)
    found = checked(work.folder, history, Corpus(new, recordings=True), tmp_path / "reports", date(2026, 11, 28))
    assert [(rule.name, rule.holds) for rule in found.rules] == [
        ("new speakers", None),
        ("drift", True),
        ("age", False),
        ("feedback", None),
    ]
    assert "dvc.lock of its commit names no data/clips" in found.rules[0].why
    assert "registered 331 days ago, on 2026-01-01" in found.rules[2].why
    assert found.reasons == [f"drift: {found.rules[1].why}"]
    assert found.text().splitlines()[-1] == "train again: drift; not known: new speakers, feedback"
    assert found.tree()["rules"][1] == {"name": "drift", "holds": True, "why": found.rules[1].why}
    quiet = checked(work.folder, history, Corpus(new, recordings=True), None, date(2026, 11, 28))
    assert "no folder of reports was named: --monitoring FOLDER" in quiet.rules[1].why


def assigned(event: Event) -> Event:
    """The same version, in use."""
    record = event.record.model_copy(update={"action": "assign", "stage": "champion"})
    return Event(event.tag, "assign", 1, record)
