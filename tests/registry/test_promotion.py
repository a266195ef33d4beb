"""Promote, serve and roll back, with a real package, git and DVC: from the first version to the second, and back."""

import json
import signal
import subprocess
import sys
import time
import warnings
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from gto import api

from registered import REGISTRY, Registered, dying, passed
from served import Served, predict
from spira.base.errors import DataError
from spira.registry import candidate, promotion, tags
from spira.scorer.scorer import Scorer

Step = tuple[Any, str, bool]  # whose function, its name, whether it dies before it


@pytest.fixture
def work(made: Registered, tmp_path: Path) -> Registered:
    return made.copy(tmp_path / "copy")


@pytest.fixture
def no_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate passes at once, and golden recordings are right: what is tested is what comes after."""
    monkeypatch.setattr(promotion, "gate", passed)
    monkeypatch.setattr(promotion, "require_works", lambda *_: None)


class ServedChampion(Served):
    """`spira serve --model champion`, typed in a clone."""

    def __init__(self, work: Registered) -> None:
        self.log = work.folder.parent / "serve.log"
        command = [sys.executable, "-m", "spira", "serve", "--model", "champion", "--port", "0"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=work.folder, env=work.environment(), stdout=log, stderr=log)
        self.port = int(self._wait_for(r" on http://\S+:(\d+)$")[1])
        self._wait_for(" ready$")


def served(work: Registered, recording: Path) -> str:
    """What the champion answers over HTTP."""
    with ServedChampion(work) as server:
        reply = predict(server.port, {"one": recording.read_bytes()})
    assert reply.status == 200, reply.text
    return reply.text


def answer(work: Registered, recording: Path) -> str:
    """What the package of the working folder says, by this process's own code."""
    with Scorer(work.folder / "data/package") as scorer:
        return scorer({str(recording): recording}).model_dump_json() + "\n"


@pytest.mark.long
@pytest.mark.usefixtures("no_scoring")
def test_the_champion_is_served_and_after_a_rollback_the_one_before(work: Registered) -> None:
    """Over HTTP, byte for byte, by the package's own code."""
    recording = work.folder / "data/raw/tiny/clip_06.wav"
    work.says("promote", "--why", "the first")
    first = served(work, recording)
    work.settle("statistics")
    work.says("promote", "--why", "the second")
    second = served(work, recording)
    assert json.loads(first)["package"] != json.loads(second)["package"]
    work.says("rollback", "v0.0.2", "--why", "a trial")
    assert served(work, recording) == first


@pytest.mark.ml_test_score("Infrastructure 7")
def test_v1_is_promoted_then_v2_then_v1_answers_again_byte_for_byte(work: Registered) -> None:
    """The whole way: gate, bytes, tags; the champion is brought from the remote; the record shows all of it."""
    recording = work.folder / "data/raw/tiny/clip_06.wav"
    assert "v0.0.1 is champion" in work.says("promote", "--why", "the first")
    before = answer(work, recording)
    assert json.loads(before)["package"] == json.loads(work.says("registry", "--json"))["versions"][0]["package"]

    work.settle("statistics")
    assert "v0.0.2 is champion" in work.says("promote", "--why", "a baseline", "--by", "Ana")

    other = work.clone("other")  # another person's, with none of the bytes: it can take the promotion back
    start = time.monotonic()
    assert "v0.0.1 is champion again" in other.says("rollback", "v0.0.2", "--why", "it was a trial")
    assert time.monotonic() - start < 60
    assert work.says("predict", "--model", "champion", "--json", str(recording)) == before
    assert "nothing to do" in other.says("rollback", "v0.0.2", "--why", "it was a trial")  # a repetition does nothing
    assert "v0.0.2 was withdrawn last" in other.refuses("rollback", "--why", "again")

    found = json.loads(work.says("registry", "--json"))
    assert [(event["action"], event["version"]) for event in found["history"]] == [
        ("register", "v0.0.1"),
        ("register", "v0.0.2"),
        ("assign", "v0.0.1"),
        ("assign", "v0.0.2"),
        ("withdraw", "v0.0.2"),
    ]
    first, second = found["versions"]
    assert (first["stages"], second["stages"], second["by"]) == (["champion"], [], "Ana")
    assert second["gate"]["against"] == "v0.0.1"
    assert [gate["test_set"]["looks"] for gate in (first["gate"], second["gate"])] == [0, 1]
    assert {check["verdict"] for check in second["gate"]["checks"]} == {"pass"}
    assert "every tag is as on origin" in work.says("registry", "--verify")
    shown = work.says("registry")
    assert all(said in shown for said in ("v0.0.2 withdrawn as champion", "it was a trial", "auc_noisy 1.000 ["))
    assert [v["version"] for v in api.show(str(work.folder), f"{REGISTRY}#champion")] == ["v0.0.1"]  # GTO's own reading


@pytest.mark.usefixtures("no_scoring")
def test_a_version_leads_to_its_recordings_and_a_recording_to_its_versions(work: Registered) -> None:
    """By the package's hash, which every answer of a server holds."""
    work.says("promote", "--why", "the first")
    package = json.loads(work.says("registry", "--json"))["versions"][0]["package"]
    found = json.loads(work.says("lineage", package[:12], "--json", "--recordings"))
    assert found["recordings"] == {"test": "6 recordings", "train": "12 recordings", "validation": "6 recordings"}
    assert len(found["each recording"]) == 24
    assert set(found["made from"]) == {"clips", "params", "code", "requirements"}
    digest = found["each recording"][0]["digest"]
    subset = found["each recording"][0]["subset"]
    back = json.loads(work.says("lineage", digest, "--json"))
    assert back["versions"] == [{"version": "v0.0.1", "as": subset, "in use as": "champion"}]
    assert "no version and no recording of one has the hash" in work.refuses("lineage", "0" * 64)
    assert "no version v9.9.9; known: v0.0.1" in work.refuses("lineage", "v9.9.9")


@pytest.mark.ml_test_score("Infrastructure 4")
def test_what_the_gate_refuses_is_not_promoted(work: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that six speakers cannot reach, and a package that gives no answer: each is named, nothing is pushed."""

    def silent(*_: object, **__: object) -> None:
        raise DataError("gives no answer")

    monkeypatch.setattr(candidate, "answers", silent)
    work.settle("statistics", min_speakers=20, min_sensitivity=0.9, registry="demo")
    said = work.refuses("promote", "--why", "hope")
    assert "refused: corpus, test set, sensitivity, golden, bad input, parity, cost\n" in said
    assert "6 speakers, 3 of them patients; 20 of each class are needed" in said
    assert work.remote_tags() == work.tags() == []
    (work.folder / "notes.txt").write_text("not committed")
    assert "notes.txt is not committed: a promotion is of a commit" in work.refuses("promote", "--why", "hope")


STEPS: list[Step] = [
    (promotion, "push_all", True),
    (promotion, "push_all", False),
    (tags, "write", False),  # registered and not assigned
    (tags, "push", True),
    (tags, "push", False),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{'before' if step[2] else 'after'} {step[1]}")
@pytest.mark.usefixtures("no_scoring")
def test_a_promotion_that_was_killed_is_finished_by_the_same_command(
    step: Step, work: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SIGKILL; whatever was done, one version and one assignment come of it."""
    with monkeypatch.context() as patch:
        patch.setattr(step[0], step[1], dying(getattr(step[0], step[1]), before=step[2]))
        promoting = get_context("fork").Process(target=work.spira, args=["promote", "--why", "the first"])
        with warnings.catch_warnings(action="ignore"):  # of a fork beside threads: this one only starts git and DVC
            promoting.start()
        promoting.join()
        assert promoting.exitcode == -signal.SIGKILL
    assert "v0.0.1 is champion" in work.says("promote", "--why", "the first")
    assert work.remote_tags() == work.tags() == [f"{REGISTRY}#champion#1", f"{REGISTRY}@v0.0.1"]
    assert "is champion already" in work.says("promote", "--why", "the first")
    work.says("registry", "--verify")


@pytest.mark.usefixtures("no_scoring")
def test_of_two_who_promote_at_once_one_wins_and_the_other_is_told(
    work: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's tags are gone again, and his next attempt sees the winner."""
    work.says("push")
    other, push = work.clone("other"), tags.push
    other.git("commit", "-q", "--allow-empty", "-m", "another commit")
    other.says("pull")

    def late(*arguments: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(tags, "push", push)
            work.says("promote", "--why", "faster")
        push(*arguments)

    monkeypatch.setattr(tags, "push", late)
    said = other.refuses("promote", "--why", "slower")
    assert "somebody else promoted or withdrew a model meanwhile" in said
    assert other.tags() == []
    monkeypatch.setattr(tags, "push", push)
    assert "is champion already, by this package" in other.says("promote", "--why", "slower")
    assert [event["why"] for event in json.loads(other.says("registry", "--json"))["history"]] == ["faster", "faster"]


def _forge(work: Registered, tag: str, message: str | None) -> None:
    """Force-pushes another tag of this name, with a message or without one."""
    work.git("tag", "--force", *(["-a", "-m", message] if message is not None else []), tag, "HEAD")
    work.git("push", "-q", "--force", "origin", f"refs/tags/{tag}")


@pytest.mark.usefixtures("no_scoring")
def test_a_moved_or_forged_tag_is_found(work: Registered) -> None:
    """Against the remote where this clone saw the true one; by the record itself where it did not."""
    work.says("promote", "--why", "the first")
    other = work.clone("other")
    other.git("commit", "-q", "--allow-empty", "-m", "another commit")
    name, true = f"{REGISTRY}@v0.0.1", work.git("cat-file", "tag", f"{REGISTRY}@v0.0.1").partition("\n\n")[2]

    _forge(other, name, true)
    assert f"{name}: was moved" in work.refuses("registry", "--verify")
    assert f"{name}: was moved" in work.refuses("predict", "--model", "champion", "x.wav")
    said = other.refuses("registry", "--verify")
    assert f"{name}: stands at" in said
    assert "it was moved" in said
    assert f"{REGISTRY}#champion#1: is of v0.0.1, which is not registered" in said

    commit = other.git("rev-parse", "HEAD").strip()
    old = work.git("rev-parse", "HEAD").strip()
    _forge(other, name, true.replace(old, commit))  # a record that agrees with itself: the assignment's does not
    assert "is of v0.0.1, and of another commit or package" in other.refuses("registry", "--verify")

    _forge(other, name, None)
    assert f"{name}: has no message, so it is no record" in other.refuses("registry", "--verify")
    _forge(other, f"{REGISTRY}@latest", "hello")
    assert f"{REGISTRY}@latest: no name that the registry gives" in other.refuses("registry", "--verify")


def test_without_a_git_remote_nothing_is_promoted(work: Registered) -> None:
    work.git("remote", "remove", "origin")
    assert "no git remote origin: promotions are recorded there" in work.refuses("promote", "--why", "the first")


@pytest.mark.usefixtures("no_scoring")
def test_a_record_that_was_never_pushed_is_not_deleted(work: Registered) -> None:
    """Somebody whose remote is a new and empty one keeps what this clone has."""
    work.says("promote", "--why", "the first")
    work.says("promote", "--stage", "challenger", "--why", "the same")
    work.git("init", "-q", "--bare", str(work.folder.parent / "empty.git"))
    work.git("remote", "set-url", "origin", str(work.folder.parent / "empty.git"))
    assert "is it the right remote?" in work.refuses("promote", "--why", "again")
    assert len(work.tags()) == 3


@pytest.mark.usefixtures("no_scoring")
def test_a_version_that_does_not_work_is_not_fallen_back_on(work: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before is asked first, so a rollback never ends in a model that does not answer."""
    assert "there is nothing to withdraw" in work.refuses("rollback", "--why", "x")
    work.says("promote", "--why", "the first")
    assert "nothing was champion before it" in work.refuses("rollback", "--why", "x")
    work.settle("statistics")
    work.says("promote", "--why", "the second")

    def broken(*_: object) -> None:
        raise DataError("v0.0.1: does not work here")

    monkeypatch.setattr(promotion, "require_works", broken)
    assert "v0.0.1: does not work here" in work.refuses("rollback", "--why", "x")
    assert not [tag for tag in work.remote_tags() if "!" in tag]
