"""Trainings side by side: at once, no more than asked for, and the same comes of them as of one after the other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from pipeline_clone import Clone
from spira.sweeps.clones import environment_on
from spira.sweeps.trainings import BEFORE
from tiny import GIT_IDENTITY, ROOT

pytestmark = pytest.mark.pipeline
COMMAND = (sys.executable, "-m", "spira", "train-parallel")

# In place of a training: it says what it was given, and ends once so many were there.
MEET = """
import os, sys, time
from pathlib import Path
seed, n_expected = sys.argv[1], int(Path("n_expected").read_text())
given = [os.environ.get(name, "-") for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")]
Path("here", seed).write_text(" ".join(given))
Path("pids", seed).write_text(str(os.getpid()))
until = time.monotonic() + 60
while len(os.listdir("here") + os.listdir("left")) < n_expected:
    time.sleep(0.05)
    if time.monotonic() > until:
        sys.exit("alone")
time.sleep(1.5)  # in which one too many would come
most = len(os.listdir("here"))
Path("left", seed).write_text(Path("here", seed).read_text())
Path("here", seed).unlink()
Path("models", seed).write_text(str(most))
sys.exit(seed == "bad")
"""


@pytest.fixture
def meeting(tmp_path: Path) -> Callable[[list[str], int], Path]:
    """Makes a repository whose trainings meet so many others."""

    def made(seeds: list[str], n_expected: int) -> Path:
        (tmp_path / "meet.py").write_text(MEET)
        (tmp_path / "n_expected").write_text(str(n_expected))
        for name in ("here", "left", "models", "pids"):
            (tmp_path / name).mkdir()
        before = {name: {"cmd": f"echo {name} > {name}", "outs": [name]} for name in ("split", "featurize")}
        train = {
            "matrix": {"seed": seeds},
            "cmd": "python meet.py ${item.seed}",
            "deps": ["split", "featurize"],
            "outs": ["models/${item.seed}"],
        }
        YAML(typ="safe").dump({"stages": before | {"train": train}}, tmp_path / "dvc.yaml")
        for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
            subprocess.run(words, cwd=tmp_path, check=True, env={**os.environ, **GIT_IDENTITY})
        return tmp_path

    return made


def environment(**more: str) -> dict[str, str]:
    """A user's, who has not set the number of threads as the tests have."""
    users = {key: value for key, value in environment_on(None).items() if key != "OMP_NUM_THREADS"}
    return users | {"PYTHONPATH": str(ROOT / "src")} | more


def run(folder: Path, jobs: int, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, str(jobs)]
    return subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != ".gitignore"}


def models(clone: Clone) -> dict[str, bytes]:
    folder = clone.folder / "data/models"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_as_many_as_asked_for_run_at_once_and_no_more(meeting: Callable[[list[str], int], Path]) -> None:
    """Three of four, none of which ends before all three are there; on two GPUs, with a third of the cores each."""
    folder = meeting(["a", "b", "c", "d"], 3)
    done = run(folder, 3, CUDA_VISIBLE_DEVICES="0,GPU-1")
    assert done.returncode == 0, done.stderr
    assert "4 trainings, 3 at once" in done.stdout
    assert set(content(folder / "models").values()) <= {"1", "2", "3"}
    threads, on = zip(*(text.split() for text in content(folder / "left").values()), strict=True)
    assert set(on) == {"0", "GPU-1"}
    assert set(threads) == {str(max(1, len(os.sched_getaffinity(0)) // 3))}


def test_one_that_fails_is_named_and_the_others_end_well(meeting: Callable[[list[str], int], Path]) -> None:
    """Status 1, so that ``make`` stops before it scores with what is there."""
    folder = meeting(["a", "bad", "c"], 3)
    done = run(folder, 3)
    assert done.returncode == 1
    assert "1 of 3 trainings failed: train@bad" in done.stderr
    assert "train@a" in (folder / "dvc.lock").read_text()
    assert "train@bad" not in (folder / "dvc.lock").read_text()


def test_an_interrupt_leaves_nothing_running_and_no_lock(meeting: Callable[[list[str], int], Path]) -> None:
    """Of three, two run and wait; none is started afterwards, and the next run is not kept out."""
    folder = meeting(["a", "b", "c"], 4)  # who never come
    process = subprocess.Popen([*COMMAND, "2"], cwd=folder, env=environment(), text=True)
    try:
        until = time.monotonic() + 60
        while len(content(folder / "pids")) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    finally:
        process.kill()
    pids = [int(text) for text in content(folder / "pids").values()]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    for path in (folder / "here").iterdir():
        path.unlink()
    (folder / "n_expected").write_text("1")
    assert run(folder, 2).returncode == 0
    assert sorted(content(folder / "models")) == ["a", "b", "c"]


def test_all_that_a_training_reads_is_made_before() -> None:
    """Of dvc.yaml: else trainings would run on what is out of date, and once more under ``dvc repro``."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    made_by = {out: name for name, stage in stages.items() for out in stage["outs"] if isinstance(out, str)}
    makers = {
        maker for out, maker in made_by.items() for dep in stages["train"]["deps"] if Path(dep).is_relative_to(out)
    }
    assert makers == set(BEFORE)


@pytest.mark.long
def test_what_comes_of_it_is_what_comes_of_one_after_the_other(reproduced: Clone) -> None:
    """The same bytes, and nothing is left to do."""
    clones = [reproduced.copy(name) for name in ("beside", "after")]
    for clone in clones:
        params = YAML(typ="safe").load(clone.folder / "params.yaml")
        params["seeds"] = [1, 2, 3]
        params["train"]["lr"] /= 2
        YAML(typ="safe").dump(params, clone.folder / "params.yaml")
    beside, after = clones
    assert "3 trainings, 3 at once" in beside.run(*COMMAND, "3").stdout
    after.dvc("repro", "train")
    made, expected = models(beside), models(after)
    assert len(expected) >= 3
    assert made == expected
    assert not [stage for stage in beside.dvc("repro") if stage.startswith("train")]


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        ("0", "'JOBS': 0 is not in the range"),
        ("-1", "No such option '-1'"),
        ("two", "'JOBS': 'two' is not a valid integer"),
    ],
)
def test_a_wrong_number_is_refused(jobs: str, why: str, tmp_path: Path) -> None:
    """As wrong usage, with its exit code."""
    result = subprocess.run([*COMMAND, jobs], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert why in result.stderr
