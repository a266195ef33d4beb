"""The whole loop on the tiny corpus, with a bare git remote and an S3 server: from new speakers to a new champion."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml
from s3fs import S3FileSystem

from in_process import dvc_here
from pipeline_clone import Clone
from registered import Registered, passed
from s3_servers import Server
from spira.base.errors import DataError
from spira.registry import promotion
from spira.retraining import corpus, run
from tiny import write_tiny_corpus


class Hospital(Registered):
    """A clone that has run once, with its remotes."""

    def __init__(self, folder: Path, key: dict[str, str]) -> None:
        super().__init__(folder)
        self.key = key

    def environment(self) -> dict[str, str]:
        S3FileSystem.clear_instance_cache()  # a process has no connection of the one before
        return super().environment() | self.key

    def point(self, bytes_: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def hospital(reproduced: Clone, tmp_path: Path) -> Iterator[Hospital]:
    """v1 is trained and pushed; nothing is promoted."""
    server = Server("rclone", tmp_path / "store")
    work = Hospital(tmp_path / "work", server.key)
    shutil.copytree(reproduced.folder, work.folder, symlinks=True)
    shutil.rmtree(work.folder / ".dvc/tmp", ignore_errors=True)
    local = f"['remote \"storage\"']\n    url = s3://bucket/voices\n    endpointurl = {server.url}\n"
    (work.folder / ".dvc/config.local").write_text(local)
    params = yaml.safe_load((work.folder / "params.yaml").read_text())
    params["gate"] |= {"registry": "tiny", "min_speakers": 2, "group_min_speakers": 2}
    params["retrain"]["new_speakers"] = 3
    (work.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    stages = re.sub(
        r"^  (alter|probe):$", r"\g<0>\n    frozen: true", (work.folder / "dvc.yaml").read_text(), flags=re.MULTILINE
    )
    (work.folder / "dvc.yaml").write_text(stages)  # a fifth of a run, which tells nothing here
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "remote.git")], check=True)
    work.git("commit", "-qam", "the registry tiny")
    work.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    work.git("push", "-q", "origin", "main")
    yield work
    server.kill()


@pytest.fixture
def stages_in_this_process(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> None:
    """Half of the time; that DVC starts them as processes, test_retraining.py and test_pipeline.py test."""

    def dvc(root: Path, *arguments: str, held: object = ()) -> None:  # noqa: ARG001
        done = dvc_here(root, *arguments, environment=hospital.environment())
        print(done.stdout)
        if done.returncode:
            raise DataError(done.stdout + done.stderr)

    for module in (corpus, run):
        monkeypatch.setattr(module, "dvc", dvc)


def export(folder: Path) -> Path:
    """The corpus as the hospital has it now: 24 speakers more, by softer phones, and a new recording of a known one."""
    write_tiny_corpus(folder / "voices", folder / "noise", n_speakers=48)
    for path in newcomers(folder / "voices"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples / 8, rate, subtype="PCM_16")
    samples, rate = soundfile.read(folder / "voices/clip_00.wav", dtype="int16")
    soundfile.write(folder / "voices/again.wav", samples[::-1], rate, subtype="PCM_16")
    with (folder / "voices/metadata.csv").open("a") as file:
        file.write("again.wav,control,s00,F,20,\n")
    return folder / "voices"


def newcomers(voices: Path) -> list[Path]:
    return [voices / f"clip_{number}.wav" for number in range(24, 48)]


@pytest.mark.pipeline
@pytest.mark.ml_test_score("Monitoring 2")
@pytest.mark.usefixtures("stages_in_this_process")
def test_from_new_speakers_to_a_branch_with_evidence_and_then_by_a_person_to_a_champion(
    hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drift is seen, the check says train, the branch's page says what came of it, a person promotes, drift is gone."""
    work, new, reports = hospital, str(export(tmp_path / "export")), str(tmp_path / "monitoring")
    monkeypatch.setattr(run, "_draw", lambda _: None)  # test_retraining.py draws
    monkeypatch.setattr(promotion, "gate", passed)  # six test speakers pass no real one, as the page will say
    assert "v0.0.1 is champion" in work.says("promote", "--why", "the first")

    (tmp_path / "ward").mkdir()
    for path in newcomers(Path(new)):
        shutil.copy(path, tmp_path / "ward")
    drift = work.spira("drift", str(tmp_path / "ward"), "--model", "champion", "--out", f"{reports}/first")
    assert drift.returncode == 3, drift.stdout + drift.stderr
    assert "level of the active frames" in drift.stdout.partition("moved: ")[2].partition("\n")[0]

    quiet = work.spira("retrain", "--check", "--json")
    assert (quiet.returncode, json.loads(quiet.stdout)["train"]) == (0, False), quiet.stderr
    asked = work.spira("retrain", "--check", "--from", new, "--monitoring", reports)
    assert asked.returncode == 3, asked.stdout + asked.stderr
    assert "12 new patients and 12 new controls since v0.0.1, beside 24 known speakers; 3 of each class" in asked.stdout
    assert "1 of the last 1 reports say drift" in asked.stdout

    said = work.says("retrain", "--from", new)
    name = work.git("rev-parse", "--abbrev-ref", "HEAD").strip()
    assert name.startswith("retrain/")
    assert work.git("ls-remote", "origin", name).split()[0] == work.git("rev-parse", "HEAD").strip()
    assert "- new speakers: 12 new patients and 12 new controls" in work.git("log", "-1", "--format=%b")
    committed = work.git("diff", "--name-only", "main", name).split()
    assert {"dvc.lock", "data/raw/tiny.dvc", "data/metrics.json", "data/report/report.md"} <= set(committed)
    assert all(path.startswith(("data/", "dvc.lock")) for path in committed)

    page = (work.folder / said.partition("what a reviewer reads: ")[2].splitlines()[0]).read_text()
    assert page.startswith("Trained anew on `tiny` as it was on ")
    assert "**The gate refuses the package**: " in page
    assert "It was held against the champion v0.0.1." in page
    assert "| cards | fail |" in page
    assert "24 clips of 24 speakers -> 49 clips of 48 speakers." in page
    assert "Returning speakers, with 1 new clips: 1: s00, train (1)." in page
    assert work.remote_tags() == ["tiny#champion#1", "tiny@v0.0.1"]

    work.git("switch", "-q", "main")
    work.git("merge", "-q", "--ff-only", name)
    work.git("push", "-q", "origin", "main")
    assert "v0.0.2 is champion" in work.says("promote", "--why", "24 speakers more")
    clean = work.spira("drift", new, "--model", "champion", "--out", f"{reports}/second")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    after = work.spira("retrain", "--check", "--from", new)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "0 new patients and 0 new controls since v0.0.2, beside 48 known speakers" in after.stdout
    assert "nothing is new: main has these results already; no commit" in work.says("retrain", "--force", "--from", new)
