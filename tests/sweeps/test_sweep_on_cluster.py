"""`spira sweep --cluster`: the same experiments on whatever worker, and nothing left of a trial that was cut short."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from dask_cluster import Cluster, eventually
from fake_sweeps import alive, experiments, fake_clone
from in_process import spira
from pipeline_clone import Clone
from spira.base.errors import DataError
from spira.sweeps.trial_job import TrialJob
from tiny import GIT_IDENTITY, ROOT

pytestmark = pytest.mark.pipeline
QUICK = {"train.lr": 0.01}
ENDLESS = {"train.lr": 1e-6}  # a minute
# What a test cannot wait for; the rest is the command's.
COMMAND = """
from spira.sweeps import on_cluster
on_cluster.SECONDS_IDLE, on_cluster.SECONDS_UNTIL_ENDED = 3.0, 0.5
import runpy
runpy.run_module("spira", run_name="__main__")
"""


class There:
    """A cluster whose workers may be killed, and what the trials on it note."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.cluster = Cluster(folder)
        self._folder = folder

    def worker(self, device: str, **environment: str) -> "subprocess.Popen[bytes]":
        environment |= GIT_IDENTITY | {"FAKE_NOTES": str(self.notes), "CUDA_VISIBLE_DEVICES": device}
        return self.cluster.worker(self._folder, DVC_NO_ANALYTICS="1", SPIRA_CLUSTER="local:1", **environment)

    def pids(self) -> list[int]:
        """Of the trainings that began since ``forget``."""
        return [int(note.name.removeprefix("pid-")) for note in self.notes.glob("pid-*")]

    def forget(self) -> None:
        for note in self.notes.glob("pid-*"):
            note.unlink()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    made = There(tmp_path_factory.mktemp("cluster"))
    for device in ("GPU-a", "GPU-b", "GPU-b"):
        made.worker(device)
    yield made
    made.cluster.stop()
    for pid in filter(alive, made.pids()):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return fake_clone(tmp_path_factory.mktemp("fake") / "committed")


@pytest.fixture
def fake(committed: Clone, tmp_path: Path) -> Clone:
    shutil.copytree(committed.folder, tmp_path / "a fake's [1]", symlinks=True)
    return Clone(tmp_path / "a fake's [1]")


def environment(clone: Clone, there: There) -> dict[str, str]:
    set_ = {"FAKE_NOTES": str(there.notes), "SPIRA_CLUSTER": there.cluster.address, "CUDA_VISIBLE_DEVICES": ""}
    return clone.environment() | set_


def write(clone: Clone, rows: dict[str, Any]) -> None:
    (clone.folder / "plan.yaml").write_text(yaml.safe_dump({"base": {"seeds": [1]}, "rows": rows}))


def started(clone: Clone, there: There, *options: str) -> "subprocess.Popen[str]":
    """The command as a process, once a training of its runs."""
    there.forget()
    set_ = environment(clone, there) | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sweep", "plan.yaml", *options],
        cwd=clone.folder, env=set_, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert eventually(lambda: bool(there.pids()), 60)
    return process


def trees(clone: Clone) -> dict[str, str]:
    """The files of each experiment: code, parameters, hashes of results."""
    names = clone.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {name.rpartition("/")[2]: clone.git("rev-parse", f"{name}^{{tree}}") for name in names}


def test_experiments_are_the_same_as_without_a_cluster(fake: Clone, there: There, tmp_path: Path) -> None:
    """Their files are; each GPU has one at a time, though two of three workers share one; a failure is named.

    SPIRA_CLUSTER does not reach a trial on a worker, whose stages would wait for that worker.
    """
    shutil.copytree(fake.folder, tmp_path / "here", symlinks=True)
    here = Clone(tmp_path / "here")
    assert eventually(lambda: n_workers(there) == 3)
    rows = {"a": QUICK, "b": {"train.lr": 0.02}, "late": {"train.lr": 0.05}}
    on_cluster = swept(fake, there, rows, "--cluster")
    assert on_cluster.returncode == 1
    assert "3 to run, 2 at once" in on_cluster.stdout
    assert "1 of 3 failed: plan-late" in on_cluster.stderr
    assert {note.read_text() for note in there.notes.glob("pid-*")} == {"GPU-a", "GPU-b"}
    assert trees(fake).keys() == {"plan-a", "plan-b"}
    assert swept(here, there, {"a": QUICK}).returncode == 0
    assert trees(fake)["plan-a"] == trees(here)["plan-a"]


def swept(clone: Clone, there: There, rows: dict[str, Any], *options: str) -> "subprocess.CompletedProcess[str]":
    """The command in this process."""
    write(clone, rows)
    with patch("spira.sweeps.clones.interruptible"):  # pytest's own Ctrl-C stays
        return spira(clone.folder, "sweep", "plan.yaml", *options, environment=environment(clone, there))


def n_workers(there: There) -> int:
    from distributed import Client

    with Client(there.cluster.address, set_as_default=False) as client:
        return len(client.nthreads())


@pytest.mark.parametrize(
    ("how", "options"),
    [
        pytest.param(signal.SIGTERM, ["--cluster"], marks=pytest.mark.long),
        (signal.SIGKILL, ["--cluster"]),
        pytest.param(signal.SIGKILL, [], marks=pytest.mark.long),
    ],
)
def test_what_a_sweep_has_started_ends_with_it(
    fake: Clone, there: There, how: signal.Signals, options: list[str]
) -> None:
    """Before it returns, where it was interrupted; soon, where it was killed: on workers, and on this machine."""
    write(fake, {"endless": ENDLESS})
    process = started(fake, there, *options)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode == (130 if how == signal.SIGTERM else -signal.SIGKILL)
    ended = not any(map(alive, there.pids()))
    assert ended or how == signal.SIGKILL
    assert eventually(lambda: not any(map(alive, there.pids())), 15)


@pytest.fixture
def one_worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[There, "subprocess.Popen[bytes]"]]:
    """A cluster of its own, whose worker has this environment, or is slow."""
    made = There(tmp_path)
    yield made, made.worker("", **getattr(request, "param", {"FAKE_SECONDS": "30"}))
    made.cluster.stop()
    for pid in filter(alive, made.pids()):
        os.kill(pid, signal.SIGKILL)


def lose(there: There, worker: "subprocess.Popen[bytes]") -> None:
    """The worker is killed, and the training with it, which is noted no more."""
    worker.kill()
    worker.wait()
    assert eventually(lambda: not any(map(alive, there.pids())), 10)
    there.forget()


def test_a_trial_whose_worker_is_killed_goes_to_another(
    fake: Clone, one_worker: tuple[There, "subprocess.Popen[bytes]"]
) -> None:
    """It is no failure, and the experiment is there."""
    there, worker = one_worker
    write(fake, {"a": QUICK})
    process = started(fake, there, "--cluster")
    lose(there, worker)
    there.worker("")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert re.search(r"^plan-a: worker tcp://\S+ .*; it goes to another worker$", said, re.MULTILINE)
    assert experiments(fake) == {"plan-a"}


@pytest.mark.long
def test_a_trial_that_is_lost_three_times_has_failed(
    fake: Clone, one_worker: tuple[There, "subprocess.Popen[bytes]"]
) -> None:
    """With a sentence at the end of its log: one that kills its workers does not go on for ever."""
    there, worker = one_worker
    write(fake, {"a": QUICK})
    process = started(fake, there, "--cluster")
    for _ in range(2):
        lose(there, worker)
        worker = there.worker("", FAKE_SECONDS="30")
        assert eventually(lambda: bool(there.pids()), 60)
    lose(there, worker)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(re.findall(r"; it goes to another worker$", said, re.MULTILINE)) == 2
    assert re.search(r"^  lost 3 times; the last time worker tcp://\S+ ", said, re.MULTILINE), said


@pytest.mark.long
@pytest.mark.parametrize("one_worker", [{"FAKE_PATIENCE": "2"}], indirect=True)
def test_a_hopeless_trial_is_stopped_on_its_worker(
    fake: Clone, one_worker: tuple[There, "subprocess.Popen[bytes]"]
) -> None:
    """It would take a minute; nothing of it goes on, and the others are complete."""
    there, _ = one_worker
    varied = {"train.lr": {"low": 1e-6, "high": 1e-1, "log": True}}
    study = {"model": "pooled_cnn", "objective": "validation_loss", "n_trials": 4, "n_startup": 2, "seed": 5}
    plan = {"base": {"seeds": [1]}, "study": study | {"prune": True, "parameters": varied}}
    (fake.folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    there.forget()
    with patch("spira.sweeps.clones.interruptible"):
        done = spira(fake.folder, "sweep", "plan.yaml", "--cluster", environment=environment(fake, there))
    assert done.returncode == 0, done.stderr
    n_pruned = len(re.findall(r"pruned at epoch", done.stdout))
    assert n_pruned >= 1
    assert len(experiments(fake)) == 4 - n_pruned
    assert not any(map(alive, there.pids()))


def test_a_worker_that_has_the_folder_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone names the objects of its repository and its cache by their paths."""
    monkeypatch.chdir(tmp_path)
    TrialJob(tmp_path)()
    with pytest.raises(DataError, match=r"^a sweep's folder must be at the same path on all machines, /gone, got "):
        TrialJob(Path("/gone"))()


@pytest.mark.parametrize(("asked", "got"), [(None, "nothing"), ("local:2", "local:2")])
def test_a_sweep_on_a_cluster_needs_a_scheduler(fake: Clone, asked: str | None, got: str) -> None:
    """Processes of this machine are what ``--jobs`` is for."""
    write(fake, {"a": {}})
    set_ = fake.environment() | ({} if asked is None else {"SPIRA_CLUSTER": asked})
    with patch("spira.sweeps.clones.interruptible"):
        done = spira(fake.folder, "sweep", "plan.yaml", "--cluster", environment=set_)
    assert done.returncode == 1
    assert f"a Dask scheduler for --cluster, got {got}; on this machine alone: --jobs N" in done.stderr
