"""What a crash, a disk or a typo leaves behind is found and repaired; nothing that may be the last copy is deleted."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dvc.repo import Repo

from faults import flip
from spira.base.errors import DataError
from spira.commands.spira import run
from spira.doctor import checks, environment, repairs
from spira.doctor.cache import Stores
from spira.doctor.diagnosis import (
    Finding,
    holders,
    lines,
    lock_fault,
    only_absent,
    pins,
    released,
    space,
    stage_texts,
    wrong_versions,
)
from spira.doctor.dvc_locks import repair_locks
from spira.doctor.repairs import aside, at_work, gone
from storage_clone import Clone, start
from tiny import ROOT

PIPELINE = """\
stages:
  make:
    cmd: mkdir -p out && cp in.txt out/a.txt && cp in.txt out/b.txt && echo c >> out/b.txt && cp in.txt one.txt
    deps: [in.txt]
    outs: [out, one.txt]
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One stage that writes a folder and a file, and one file that a person added; reproduced and committed."""
    clone = start(tmp_path_factory.mktemp("origin"))
    for name, text in (("in.txt", "a\n"), ("dvc.yaml", PIPELINE), ("voice.wav", "voice"), ("params.yaml", "")):
        (clone.folder / name).write_text(text)
    for name in environment.REQUIREMENTS:
        (clone.folder / name).write_text("")
    clone.do("dvc", "add", "-q", "voice.wav")
    clone.do("dvc", "repro", "-q")
    clone.do("git", "add", "-A")
    clone.do("git", "commit", "-q", "-m", "results")
    return clone


@pytest.fixture
def clone(origin: Clone, tmp_path: Path) -> Clone:
    return origin.copy(tmp_path / "here", {})


def data_repaired(clone: Clone, bring: Any = None) -> list[Finding]:
    def nothing(_: str) -> None:
        raise DataError("no remote")

    with Repo(str(clone.folder)) as repo:
        return Stores(clone.folder, repo, bring or nothing).repaired()


def cached(clone: Clone, name: str) -> Path:
    """The object of one of the files."""
    with Repo(str(clone.folder)) as repo:
        out = next(out for out in repo.index.outs if str(out.def_path) == name.partition("/")[0])
        listing = Path(repo.cache.local.oid_to_path(out.hash_info.value))
        if "/" not in name:
            return listing
        entries = {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
        return Path(repo.cache.local.oid_to_path(entries[name.partition("/")[2]]))


def put_aside(clone: Clone) -> list[str]:
    folder = clone.folder / repairs.ASIDE
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@contextmanager
def running(folder: Path, *words: str) -> Iterator[int]:
    """A process whose command line has these words; its number."""
    with subprocess.Popen([sys.executable, "-c", "input()", *words], cwd=folder, stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 20
        while not any(str(process.pid) in one for one in at_work(folder)) and time.monotonic() < until:
            time.sleep(0.01)
        yield process.pid
        process.communicate(b"\n")


# DVC's locks


@pytest.mark.parametrize("left", ["", '{"write": {"a": ', "[1]", '{"write": {"a": {"cmd": "x"}}}'])
def test_an_rwlock_that_dvc_cannot_read_no_longer_blocks_it(clone: Clone, left: str) -> None:
    """Empty, cut off or something else: dvc refuses it, the doctor removes or moves it, and dvc runs."""
    path = clone.folder / ".dvc/tmp/rwlock"
    path.write_text(left)
    assert left or "is corrupted" in clone.run("dvc", "repro").stderr
    (finding,) = repair_locks(clone.folder)
    assert (bool(finding.did), finding.todo) == (True, "")
    assert put_aside(clone) == (["rwlock"] if left else [])
    assert left or "up to date" in clone.do("dvc", "repro")


def test_an_rwlock_is_not_touched_while_dvc_runs_here(clone: Clone) -> None:
    """It may hold paths for that one: a person waits."""
    path = clone.folder / ".dvc/tmp/rwlock"
    path.write_text("")
    with running(clone.folder, "dvc") as pid:
        (finding,) = repair_locks(clone.folder)
        assert str(pid) in finding.todo
        assert path.exists()
    assert repair_locks(clone.folder)[0].did
    assert not path.exists()


def test_a_lock_that_a_dvc_is_just_writing_is_left_alone(clone: Clone) -> None:
    """Its own guard says so."""
    (clone.folder / ".dvc/tmp/rwlock").write_text("")
    program = "import fcntl, sys; f = open('.dvc/tmp/rwlock.lock', 'a'); fcntl.flock(f, 2); print(); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-uc", program], cwd=clone.folder, **pipes) as holder:  # type: ignore[call-overload]
        holder.stdout.readline()
        assert repair_locks(clone.folder) == []
        holder.communicate(b"\n")
    assert (clone.folder / ".dvc/tmp/rwlock").exists()


def test_what_the_dead_hold_is_released_and_what_the_living_hold_stays(clone: Clone) -> None:
    """Killed, killed and not waited for, or a number that another process has since."""
    path = clone.folder / ".dvc/tmp/rwlock"
    dead = subprocess.Popen(["true"])
    dead.wait()
    zombie = subprocess.Popen(["true"])
    time.sleep(0.2)
    entry = [{"pid": pid, "cmd": "dvc repro"} for pid in (dead.pid, zombie.pid, os.getpid())]
    path.write_text(json.dumps({"write": {"a": entry[0], "b": entry[2]}, "read": {"c": entry[1:]}}))
    (finding,) = repair_locks(clone.folder)
    zombie.wait()
    assert json.loads(path.read_text()) == {"write": {"b": entry[2]}, "read": {"c": entry[2:]}}
    assert f"{dead.pid} (dvc repro)" in finding.found
    assert repair_locks(clone.folder) == []
    os.utime(path, (0, 0))
    assert gone(os.getpid(), 0), "it started since"
    assert repair_locks(clone.folder)[0].did == "released them"
    assert json.loads(path.read_text()) == {}


@pytest.mark.parametrize("n_bytes", [0, 30, 200, -1])
def test_a_dvc_lock_cut_off_anywhere_comes_back_from_git(clone: Clone, n_bytes: int) -> None:
    """To the last byte; the half one is kept aside."""
    path = clone.folder / "dvc.lock"
    whole = path.read_bytes()
    path.write_bytes(whole[:n_bytes])
    (finding,) = repair_locks(clone.folder)
    assert path.read_bytes() == whole
    assert "brought back git's" in finding.did
    assert put_aside(clone) == (["dvc.lock"] if n_bytes else [])


def test_what_is_staged_is_newer_than_the_commit(clone: Clone) -> None:
    """Of a dvc.lock that was added and not yet committed; stages that ran since are named."""
    path = clone.folder / "dvc.lock"
    staged = path.read_text().replace("stages:\n", "stages:\n  later:\n    cmd: x\n")
    path.write_text(staged)
    clone.do("git", "add", "dvc.lock")
    path.write_text(staged.replace("cmd: x", "cmd: y") + "  half:\n    cm")
    (finding,) = repair_locks(clone.folder)
    assert path.read_text() == staged
    assert "Lost are the hashes of later of what ran" in finding.did


def test_without_git_a_broken_dvc_lock_is_moved_away(clone: Clone) -> None:
    """Every stage is new then."""
    shutil.rmtree(clone.folder / ".git")
    (clone.folder / "dvc.lock").write_text("stages: {")
    assert "git has none" in repair_locks(clone.folder)[0].did
    assert put_aside(clone) == ["dvc.lock"]


def test_a_merge_is_a_persons(clone: Clone) -> None:
    """Both sides are somebody's work: nothing is touched."""
    text = "<<<<<<< HEAD\n" + (clone.folder / "dvc.lock").read_text()
    (clone.folder / "dvc.lock").write_text(text)
    (finding,) = repair_locks(clone.folder)
    assert "git checkout --ours" in finding.todo
    assert (clone.folder / "dvc.lock").read_text() == text


def test_a_whole_lock_is_never_called_cut_off() -> None:
    """This repository's own; and of its prefixes, each that ends inside a line is."""
    text = (ROOT / "dvc.lock").read_text()
    assert lock_fault(text) == ""
    assert len(stage_texts(text)) == text.count("\n    cmd: ")
    for n in range(0, len(text), 4999):
        assert lock_fault(text[:n] + "x" if text[:n].endswith("\n") else text[:n])


def test_the_quick_form_is_silent_and_needs_neither_dvc_nor_torch(clone: Clone) -> None:
    """`make repro` runs it first."""
    program = (
        "import sys; from spira.commands.spira import run; code = run(['doctor', '--locks'])\n"
        "print(code, {'dvc', 'torch'} & set(sys.modules))"
    )
    assert clone.do(sys.executable, "-c", program) == "0 set()\n"


# The cache and the workspace


def test_a_flipped_bit_in_the_workspace_comes_back_from_the_cache(clone: Clone) -> None:
    """DVC sees nothing; the doctor does, and keeps what was there."""
    assert "up to date" in clone.do("dvc", "status")  # from now on it knows size, inode and time of each
    for name in ("out/a.txt", "one.txt"):
        flip(clone.folder / name, 3)
    assert "up to date" in clone.do("dvc", "status")
    found = sorted(finding.found for finding in data_repaired(clone))
    assert found == ["one.txt: not what dvc.lock says", "out/a.txt: not what dvc.lock says"]
    assert (clone.folder / "one.txt").read_text() == (clone.folder / "out/a.txt").read_text() == "a\n"
    assert put_aside(clone) == ["a.txt", "one.txt"]
    assert data_repaired(clone) == []


@pytest.mark.parametrize("name", ["out/b.txt", "one.txt", "out", "voice.wav"])
def test_a_flipped_bit_in_the_cache_is_made_anew_from_the_workspace(clone: Clone, name: str) -> None:
    """A file, a folder's list, a recording: DVC trusts its cache and would check it out."""
    path = cached(clone, name)
    before = path.read_bytes()
    flip(path, 11)
    (finding,) = data_repaired(clone)
    assert (path.read_bytes(), finding.todo) == (before, "")
    assert path.stat().st_mode & 0o777 == 0o444
    assert put_aside(clone) == [path.name]


def test_what_is_damaged_everywhere_is_kept_and_said(clone: Clone) -> None:
    """What a stage can make again, and what nothing here can; DVC can no longer check the damaged ones out."""
    for name in ("out/b.txt", "voice.wav"):
        flip(cached(clone, name), 11)
        flip(clone.folder / name, 11)
    damaged = {name: (clone.folder / name).read_bytes() for name in ("out/b.txt", "voice.wav")}
    todo = " ".join(finding.todo for finding in data_repaired(clone))
    assert "dvc repro --force make" in todo
    assert "bring voice.wav from where it came" in todo
    assert {name: (clone.folder / name).read_bytes() for name in damaged} == damaged
    assert len(put_aside(clone)) == 2
    assert not cached(clone, "voice.wav").exists()


def test_the_remotes_copy_is_brought_where_there_is_no_other(clone: Clone) -> None:
    """And the workspace is put right from it."""
    path = cached(clone, "one.txt")
    whole = path.read_bytes()
    for name in ("one.txt", "out/a.txt"):
        flip(clone.folder / name, 3)
    flip(path, 3)
    findings = data_repaired(clone, lambda _: path.write_bytes(whole) and None)
    assert "brought from the remote" in " ".join(finding.did for finding in findings)
    assert not any(finding.todo for finding in findings)
    assert (clone.folder / "one.txt").read_bytes() == (clone.folder / "out/a.txt").read_bytes() == whole


def test_a_later_result_and_a_persons_change_are_not_undone(clone: Clone) -> None:
    """A stage that ran without DVC wrote later than DVC did; a recording may have been changed on purpose."""
    (clone.folder / "one.txt").unlink()
    (clone.folder / "one.txt").write_bytes(b"new")
    (clone.folder / "voice.wav").unlink()
    (clone.folder / "voice.wav").write_bytes(b"another")
    todo = sorted(finding.todo for finding in data_repaired(clone))
    assert todo == ["dvc add it if it was changed on purpose, dvc checkout voice.wav --force if not", "make repro"]
    assert (clone.folder / "one.txt").read_bytes() == b"new"
    assert (clone.folder / "voice.wav").read_bytes() == b"another"


def test_nothing_is_repaired_under_a_running_stage(clone: Clone) -> None:
    """Its outputs are in the making."""
    flip(clone.folder / "one.txt", 3)
    (clone.folder / "data").mkdir()
    (clone.folder / "data/a.npy.part").touch()
    with running(clone.folder, "-m", "spira.stages.train"):
        assert checks.repair_leftovers(clone.folder) == []
        (finding,) = data_repaired(clone)
        assert "spira doctor after it" in finding.todo
    assert "a.npy.part" in checks.repair_leftovers(clone.folder)[0].found
    assert list((clone.folder / "data").iterdir()) == []


def test_aside_never_writes_over_what_is_there(tmp_path: Path) -> None:
    """The same name twice: two places."""
    for text in ("first", "second"):
        (tmp_path / "a").write_text(text)
        aside(tmp_path, tmp_path / "a")
    assert [(tmp_path / f".dvc/aside/{n}/a").read_text() for n in (0, 1)] == ["first", "second"]


# What a person sees to


def test_the_whole_doctor_says_what_is_to_do_and_is_content_where_nothing_is(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line 0; results out of date or a package that is missing, 1, with the command that mends it."""
    assert clone.do(sys.executable, "-m", "spira", "doctor") == "healthy: nothing to repair, nothing to do\n"
    monkeypatch.chdir(clone.folder)
    monkeypatch.setattr(environment, "_torchaudio", list)
    (clone.folder / "in.txt").write_text("new\n")
    assert run(["doctor"]) == 1
    said = "dvc.lock: not of the parameters, code or data that are here, for make\n  TO DO: make repro; or git checkout"
    assert said in capsys.readouterr().out
    (clone.folder / "requirements.txt").write_text("no-such-package==1\n")
    assert run(["doctor"]) == 1
    said = "no-such-package: not installed, 1 is pinned\n  TO DO: rm .venv/ready && make venv"
    assert said in capsys.readouterr().out


def test_data_that_are_not_here_are_worth_a_word_and_no_more(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh clone has none."""
    monkeypatch.chdir(clone.folder)
    shutil.rmtree(clone.folder / "out")
    (clone.folder / "one.txt").unlink()
    assert data_repaired(clone) == []
    with Repo(str(clone.folder)) as repo:
        assert list(checks.staleness(repo)) == [
            Finding("no data here of make: spira pull brings them, make repro makes them")
        ]
    assert not only_absent([{"changed deps": {"a": "deleted", "b": "modified"}}])
    assert not only_absent(["changed command"])


def test_a_full_disk_is_said_before_it_is_full(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run writes everything twice: into the workspace and into the cache."""
    with Repo(str(clone.folder)) as repo:
        assert checks.disk(clone.folder, repo) == []
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=15))
        assert "dvc gc" in checks.disk(clone.folder, repo)[0].todo
    assert space(10, [3, 2]) == ""
    assert space(9, [3, 2]) == "0.0 GB are free, and a run of everything writes up to 0.0 GB"


def test_a_remote_that_is_set_up_and_does_not_answer_is_said(clone: Clone) -> None:
    """One that is not set up is nobody's fault."""
    assert checks.remote(clone.folder) == []
    clone.point("p", "http://127.0.0.1:1")
    (finding,) = checks.remote(clone.folder)
    assert "the remote cannot be reached: remote storage: " in finding.found


def test_another_python_is_said_first(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packages say nothing."""
    monkeypatch.setattr(environment, "PYTHONS", ((3, 98), (3, 99)))
    (finding,) = environment.environment(clone.folder)
    assert "must be 3.98 to 3.99" in finding.found
    assert "make venv PYTHON=" in finding.todo


def test_a_torchaudio_that_cannot_be_imported_loses_its_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the Makefile does, after a reinstallation by hand; else a person makes the environment anew."""
    answers = [("OSError: libcudart.so.13", ""), ("", "lib/_torchaudio.abi3.so"), ("", "")]
    monkeypatch.setattr(environment, "_fault", lambda _: answers.pop(0))
    assert environment._torchaudio()[0].did == "removed its extension, lib/_torchaudio.abi3.so"
    answers += [("ImportError: torch", ""), ("ImportError: torch", "")]
    assert environment._torchaudio()[0].todo == "rm -rf .venv && make venv"


def test_versions_are_read_from_any_form_of_requirements() -> None:
    """With hashes, extras, local parts, markers and comments."""
    text = "# c\nnumpy==2.1 \\\n    --hash=sha256:00\ntorch==2.13.0\nmoto[server]==5\nwin==1 ; x\n-r x\n"
    assert pins(text) == {"numpy": "2.1", "torch": "2.13.0", "moto": "5"}
    installed = {"numpy": "2.0", "torch": "2.13.0+cpu"}
    assert list(wrong_versions(pins(text), installed.get)) == [
        "moto: not installed, 5 is pinned",
        "numpy: 2.0 is installed, 2.1 is pinned",
    ]


def test_an_rwlock_names_its_holders() -> None:
    """As DVC writes it, and nothing else is taken for one."""
    one = {"pid": 1, "cmd": "x"}
    assert holders(json.dumps({"read": {"a": [one]}})) == {(1, "x")}
    assert holders("{}") == set()
    assert json.loads(released(json.dumps({"write": {"a": one}, "read": {"b": [one]}}), {1})) == {}
    assert lines([Finding("f", "d", "t")]) == "f\n  done: d\n  TO DO: t"
