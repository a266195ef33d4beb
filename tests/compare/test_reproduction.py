"""`spira reproduced` says whether the committed bytes came out, and names every output that did not."""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from closures import ROOT
from spira.base.arithmetic import processor
from spira.compare.reproduction import reproduced
from spira.repository.git import environment_without_git
from tiny import GIT_IDENTITY

LOCK: dict[str, Any] = {
    "train": {
        "cmd": "train",
        "deps": [{"path": "src", "md5": "a" * 32}],
        "params": {"params.yaml": {"arithmetic": "portable"}},
        "outs": [{"path": "weights", "md5": "b" * 32}, {"path": "curves", "md5": "c" * 32}],
    },
    "predict": {
        "cmd": "predict",
        "deps": [{"path": "weights", "md5": "b" * 32}],
        "outs": [{"path": "scores", "md5": "d" * 32}],
    },
}


def other(*keys: Any, value: Any = "f" * 32) -> dict[str, Any]:
    """The same with one value changed."""
    lock = deepcopy(LOCK)
    place: Any = lock
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return lock


def said(after: dict[str, Any]) -> str:
    return reproduced(LOCK, after).sentence("theirs", "ours")


def test_the_same_lock_is_the_committed_bytes() -> None:
    assert said(LOCK) == "the committed bytes came out: 3 outputs of the same inputs (committed: theirs; here: ours)"


@pytest.mark.parametrize(
    "keys", [("train", "deps", 0, "md5"), ("train", "params", "params.yaml", "arithmetic"), ("train", "cmd")]
)
def test_a_stage_with_other_inputs_is_counted_and_its_outputs_are_not_compared(keys: tuple[Any, ...]) -> None:
    """New code, a new parameter or a new command may give whatever it gives."""
    after = other(*keys)
    after["train"]["outs"][0]["md5"] = "e" * 32
    found = reproduced(LOCK, after)
    assert (found.changed, found.other, found.same) == (("train",), (), ("scores",))
    assert "1 of 2 stages have other inputs than the committed ones" in said(after)


def test_other_bytes_of_the_same_inputs_are_named() -> None:
    """And those that follow from them are not: their inputs are others."""
    after = other("train", "outs", 0, "md5")
    after["predict"]["deps"][0]["md5"] = "f" * 32
    assert said(after).startswith(
        "NOT the committed bytes: 1 of 2 outputs are others of the same inputs: weights; 1 of 2"
    )


def test_the_command_says_it_and_writes_the_processor_where_results_are_new(tmp_path: Path) -> None:
    """A clone in which the committed bytes came out stays clean, whatever made them."""

    def ran(*command: str) -> str:
        environment = environment_without_git() | GIT_IDENTITY | {"PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(stages: dict[str, Any]) -> None:
        YAML().dump({"schema": "2.0", "stages": stages}, tmp_path / "dvc.lock")

    command = [sys.executable, "-m", "spira", "reproduced"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/processor.txt").write_text("another\n")
    write(LOCK)
    ran("git", "init", "-q")
    ran("git", "add", "-A")
    ran("git", "commit", "-q", "-m", "results")
    assert ran(*command) == (
        f"the committed bytes came out: 3 outputs of the same inputs (committed: another; here: {processor()})"
    )
    assert ran("git", "status", "--porcelain") == ""
    write(other("train", "outs", 1, "md5"))
    assert ran(*command).startswith("NOT the committed bytes: 1 of 3 outputs are others of the same inputs: curves (")
    assert (tmp_path / "data/processor.txt").read_text() == f"{processor()}\n"
