"""A stage ends with the DVC that started it, and no second one of its name runs beside it."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from closures import STAGES
from spira.package.closure import SOURCE

# Says where it and its worker are, and is at work; its own last word is a file.
STAGE = """
from spira.base.stage_process import as_stage, begin_stage
begin_stage()
import os, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer: of a fork beside a thread
with as_stage():
    if not (worker := os.fork()):
        time.sleep(100)
    Path(sys.argv[1]).write_text(f"{os.getpid()} {worker}")
    time.sleep(float(sys.argv[2]))
    os.kill(worker, 9)
    Path("done").touch()
"""
# What DVC does: a command in a shell, in its own process group.
FAKE_DVC = """
import os, subprocess, sys
stage = subprocess.Popen([sys.argv[1], "-c", sys.argv[2]], env={**os.environ, "DVC_STAGE": "train@holdout-1"})
if sys.argv[3] == "stays":
    stage.wait()
"""
SHELLS = {"a shell in between": "{}; true", "no shell in between": "exec {}"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.py").write_text(STAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return tmp_path


@pytest.fixture
def mess() -> Iterator[list[int]]:
    """Processes to be ended whatever comes."""
    pids: list[int] = []
    yield pids
    for pid in filter(is_alive, pids):
        os.kill(pid, signal.SIGKILL)


def command(started: Path, seconds: float = 100) -> list[str]:
    return [sys.executable, "train.py", str(started), str(seconds)]


def fake_dvc(shell: str, started: Path, *, stays: bool = True, wait: str = "") -> subprocess.Popen[str]:
    inner = wait + SHELLS[shell].format(" ".join(command(started)))
    asked = [sys.executable, "-c", FAKE_DVC, "/bin/sh", inner, "stays" if stays else "goes"]
    return subprocess.Popen(asked, start_new_session=True, stderr=subprocess.PIPE, text=True)


def is_alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(what: Callable[[], object], seconds: float = 30) -> bool:
    """Whether it comes true; how soon it should is measured elsewhere."""
    until = time.monotonic() + seconds
    while not (came := what()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(came)


def pids_in(started: Path) -> list[int]:
    assert eventually(lambda: started.exists() and len(started.read_text().split()) == 2)
    return [int(pid) for pid in started.read_text().split()]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_and_its_workers_end_with_dvc(folder: Path, mess: list[int], shell: str) -> None:
    """``kill -9`` of dvc alone leaves nothing that could write over the next run; how soon, benchmarks/kills.py has."""
    dvc = fake_dvc(shell, folder / "started")
    mess += [dvc.pid, *(pids := pids_in(folder / "started"))]
    assert all(map(is_alive, pids))
    dvc.kill()
    _, said = dvc.communicate(timeout=60)  # the end of the last process that could say something
    assert said == "train@holdout-1: the dvc that started it is gone, so it ends too\n"
    assert eventually(lambda: not any(map(is_alive, pids)))
    assert not (folder / "done").exists()


def test_its_workers_end_with_a_stage(folder: Path, mess: list[int]) -> None:
    """``kill -9`` of the stage alone: a worker that is busy does not hear that its pipe is closed, and ends too."""
    dvc = fake_dvc("no shell in between", folder / "started")
    mess += [dvc.pid, *(pids := pids_in(folder / "started"))]
    os.kill(pids[0], signal.SIGKILL)
    _, said = dvc.communicate(timeout=60)
    assert said == ""
    assert eventually(lambda: not is_alive(pids[1]))


def test_a_stage_that_begins_after_dvc_is_gone_does_not(folder: Path, mess: list[int]) -> None:
    """Its shell was about to start it when DVC died: it ends as soon as it looks."""
    dvc = fake_dvc("a shell in between", folder / "started", stays=False, wait="sleep 0.3; ")
    mess.append(dvc.pid)
    _, said = dvc.communicate(timeout=60)
    assert said == "train@holdout-1: the dvc that started it is gone, so it ends too\n"
    assert not (folder / "done").exists()


def test_a_stage_that_was_started_by_hand_outlives_its_shell(folder: Path, mess: list[int]) -> None:
    """``nohup``, an IDE, a closed terminal: without DVC above it, a new parent is nothing to it."""
    shell = subprocess.Popen(["/bin/sh", "-c", " ".join(command(folder / "started", 1.0)) + "; true"])
    mess += [shell.pid, *pids_in(folder / "started")]
    shell.kill()
    shell.wait()
    assert eventually((folder / "done").exists)


def test_a_second_one_is_refused_while_the_first_lives(folder: Path, mess: list[int]) -> None:
    """With the same name in the same folder: exit status 1, one sentence with the first one's number. Killed, it is
    not in the way, though its worker lives."""
    other = [sys.executable, "train.py", "elsewhere", "0"]
    first = subprocess.Popen(command(folder / "started"))
    mess += [first.pid, *(pids := pids_in(folder / "started"))]
    second = subprocess.run(command(folder / "started"), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    (lock,) = Path(".ckpt").glob("*.lock")
    assert f"DataError: {lock}: train-" in second.stderr
    assert second.stderr.endswith(f" runs in this folder already, as process {first.pid}; wait for it, or end it\n")
    assert second.stderr.count("\n") == 1
    assert subprocess.run(other, check=False).returncode == 0
    first.kill()
    first.wait()
    assert is_alive(pids[1])
    third = subprocess.Popen(command(folder / "started"))
    mess.append(third.pid)
    assert eventually(lambda: pids_in(folder / "started")[0] == third.pid)
    mess += pids_in(folder / "started")
    third.kill()
    third.wait()


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_lives_so(stage: str) -> None:
    """It starts before any import but this one, and the whole of its work is ``with as_stage()``.

    Of ``train`` each rank does: it also watches the process that started it, and ``as_rank`` is the first's stage.
    """
    tree = ast.parse((SOURCE / f"spira/stages/{stage}.py").read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)]
    assert blocks == [tree.body[1], tree.body[-1]]  # behind the docstring, and the end
    first, last = ([*map(ast.unparse, block.body)] for block in blocks)
    ranks = ["from spira.training.rank_processes import begin_rank", "begin_rank()"] if stage == "train" else []
    assert first == ["from spira.base.stage_process import begin_stage", "begin_stage()", *ranks]
    assert len(last) == 1
    assert last[0].startswith("with as_rank() as place:" if ranks else "with as_stage()")


def test_importing_a_stage_starts_nothing(folder: Path) -> None:
    """No variable is set and no thread watches, whoever imports it and under whatever DVC: a test, a notebook."""
    program = (
        "import os, threading\nbefore = set(os.environ.items())\nimport spira.stages.split\n"
        "set_ = {name for name, _ in set(os.environ.items()) - before}\n"
        "assert set_ <= {'_RJEM_MALLOC_CONF'}, set_  # polars sets that\n"
        "assert threading.active_count() == 1"
    )
    environment = {**os.environ, "DVC_STAGE": "split", "DVC_ROOT": str(folder)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_garbage_is_collected_from_when_the_work_begins(folder: Path) -> None:
    """Not while modules are imported, and not among them afterwards."""
    (folder / "train.py").write_text(
        "import gc\nfrom spira.base.stage_process import as_stage, begin_stage\n"
        "begin_stage()\nassert not gc.isenabled()\n"
        "with as_stage():\n    assert gc.isenabled()\n    assert gc.get_freeze_count() > 1000\n"
    )
    subprocess.run([sys.executable, "train.py"], check=True)


def test_a_stage_watches_before_it_has_imported_torch(folder: Path, mess: list[int]) -> None:
    """That takes seconds, in which DVC may be killed: a torch that takes a hundred is ended in its midst."""
    (folder / "torch.py").write_text(
        "import os, time\nfrom pathlib import Path\nPath('importing').write_text(str(os.getpid()))\ntime.sleep(100)\n"
    )
    train = f"exec {sys.executable} -m spira.stages.train pooled_cnn holdout 1"
    asked = [sys.executable, "-c", FAKE_DVC, "/bin/sh", train, "stays"]
    path = os.pathsep.join([str(folder), str(SOURCE)])
    dvc = subprocess.Popen(
        asked, env={**os.environ, "PYTHONPATH": path}, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    mess.append(dvc.pid)
    assert eventually(lambda: (folder / "importing").exists() and (folder / "importing").read_text())
    mess.append(stage := int((folder / "importing").read_text()))
    dvc.kill()
    _, said = dvc.communicate(timeout=60)
    assert said == "train@holdout-1: the dvc that started it is gone, so it ends too\n"
    assert eventually(lambda: not is_alive(stage))
