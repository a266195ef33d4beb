"""A training killed under each of DVC's ways to run it, and the same command again; `reliability.py resumes`.

``dvc exp run`` puts back what git knows, ``--temp`` and the queue work in copies of the repository that a kill leaves
behind: the checkpoint lies in the repository itself, whichever it was. Each starts as a fresh clone does, with its own
code and nothing compiled, and so do the copies that ``--temp`` and the queue make of it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline_clone import Clone
from tiny import ROOT
from tiny_features import write_features

_SET = ["-S", "train.label_smoothing=0.1"]
WAYS = {
    "dvc repro": [["dvc", "repro"]],
    "dvc exp run": [["dvc", "exp", "run", *_SET]],
    "dvc exp run --temp": [["dvc", "exp", "run", "--temp", *_SET]],
    "dvc exp run --queue": [["dvc", "exp", "run", "--queue", *_SET], ["dvc", "queue", "start"]],
}
SECONDS = 120  # for any of it
_DVC_YAML = """stages:
  train:
    cmd: PYTHONPATH=src python -u -m spira.stages.train pooled_cnn holdout 1 >> $DVC_ROOT/said
    deps: [data/features, data/folds]
    params: [train]
    outs: [data/models, data/curves/pooled_cnn/holdout/1]
"""


def resumed(folder: Path) -> dict[str, bool]:
    """By way to run it, whether a killed training went on and ended in the weights of the one that nobody killed."""
    repository = _repository(folder / "repository")
    expected = set()
    for changes in ([], _SET):
        straight = repository.anew("straight" + "-".join(changes))
        straight.run("dvc", "exp", "run", *changes)
        expected.add((straight.folder / "data/models/pooled_cnn/holdout/1/weights.safetensors").read_bytes())
    assert len(expected) == 2
    return {way: _resumes(repository.anew(way.replace(" ", "")), way, expected) for way in WAYS}


def _repository(folder: Path) -> Clone:
    folder.mkdir()
    write_features(folder)
    params = folder / "params.yaml"
    params.write_text(re.sub(r"(max_epochs|patience): \d+", r"\1: 80", params.read_text()))
    (folder / "dvc.yaml").write_text(_DVC_YAML)
    shutil.copy2(ROOT / ".gitignore", folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    clone = Clone(folder)
    clone.git("init", "-q", "-b", "main")
    clone.run("dvc", "init", "-q")
    clone.run("dvc", "add", "-q", "data/features", "data/folds")
    clone.commit("features")
    return clone


def _resumes(place: Clone, way: str, expected: set[bytes]) -> bool:
    """Killed at its first checkpoint, and run again."""
    _start(place, way)
    _wait(lambda: any(place.folder.glob(".ckpt/*.ckpt")))
    while pids := _living(place.folder):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    place.run(sys.executable, "-m", "spira", "doctor", "--locks", set_={"PYTHONPATH": "src"})
    _start(place, way)
    _wait(lambda: not _living(place.folder))
    made = {path.read_bytes() for path in place.folder.glob(".dvc/cache/files/md5/*/*") if path.is_file()}
    went_on = (place.folder / "said").read_text().count("training goes on after epoch")
    return went_on == 1 and bool(made & expected) and not any(place.folder.glob(".ckpt/*.ckpt"))


def _start(place: Clone, way: str) -> None:
    """The last of its commands goes on when this returns."""
    *first, last = WAYS[way]
    for command in first:
        place.run(*command)
    log = (place.folder.parent / f"{place.folder.name}.log").open("ab")
    subprocess.Popen(last, cwd=place.folder, env=place.environment(), stdout=log, stderr=log, start_new_session=True)


def _wait(until: Callable[[], bool]) -> None:
    given_up = time.monotonic() + SECONDS
    while not until():
        if time.monotonic() > given_up:
            raise TimeoutError(f"not after {SECONDS} s")
        time.sleep(0.02)


def _living(folder: Path) -> list[int]:
    """Processes that work in a repository, DVC's own among them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found
