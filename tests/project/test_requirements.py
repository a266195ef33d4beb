"""What is installed is what was looked at: every package by version and by hash."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from locked import every_python, hashes, head, newer, pins, pythons, spelt, with_hash
from spira.doctor.environment import PYTHONS
from tiny import ROOT

FILES = [ROOT / "requirements.txt", ROOT / "requirements-tools.txt"]
TEXTS = [file.read_text(encoding="utf-8") for file in FILES]


@pytest.mark.ml_test_score("Monitoring 1")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_package_has_one_version_and_its_hashes(file: Path) -> None:
    """No line is anything but a comment, a pin or a hash; so no host, no range and no extra is in it.

    A pin may say from which Python on it is needed.
    """
    text = file.read_text(encoding="utf-8")
    kinds = (
        r"#.*",
        r"-r requirements\.txt",
        r"[\w.-]+==[\w.+!]+( ; python_full_version >= '3\.\d+')? \\",
        r"    --hash=sha256:[0-9a-f]{64}( \\)?",
    )
    assert [line for line in text.splitlines() if not any(re.fullmatch(kind, line) for kind in kinds)] == []
    assert [pin for pin in pins(text) if not hashes(text, pin)] == []
    assert len(set(map(spelt, pins(text)))) == len(pins(text)) > 30
    assert sum(len(hashes(text, pin)) for pin in pins(text)) == text.count("--hash")


def test_no_package_is_pinned_twice() -> None:
    """What computes is in one file, what checks in the other, which builds on it."""
    assert not {*map(spelt, pins(TEXTS[0]))} & {*map(spelt, pins(TEXTS[1]))}
    assert "-r requirements.txt\n" in head(TEXTS[1])


def test_one_line_says_which_pythons_are_admitted(tmp_path: Path) -> None:
    """pyproject.toml's; the Makefile reads it there, and takes the oldest; ``spira.doctor`` says the same."""
    admitted = pythons((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert admitted == ["3.11", "3.12", "3.13"]
    assert [f"{major}.{minor}" for major, minor in PYTHONS] == [admitted[0], admitted[-1]]
    older = tmp_path / "python"
    older.write_text(
        f"#!/bin/sh\nshift\nexec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 1)\n'\"$@\"\n"
    )
    older.chmod(0o755)
    command = ["make", "-C", str(ROOT), f"VENV={tmp_path}/venv", "venv"]
    said = subprocess.run([*command, f"PYTHON={older}"], capture_output=True, text=True, check=False)
    assert "Python 3.11 to 3.13 is needed: make PYTHON=/path/to/python3.11" in said.stderr
    assert said.returncode == 2
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    dry = subprocess.run([*command, "-n"], env=environment, capture_output=True, text=True, check=True).stdout
    assert f"python{admitted[0]} -m venv {tmp_path}/venv" in dry.splitlines()


def test_what_only_a_newer_python_installs_is_named_with_that_python() -> None:
    """What the standard library lost since: no stage computes with it, and the oldest Python does without."""
    assert newer(TEXTS[0]) == []
    admitted = pythons((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {pin.rpartition("'3.")[2] for pin in newer(TEXTS[1])} <= {f"{python[2:]}'" for python in admitted[1:]}
    assert len(newer(TEXTS[1])) + len(every_python(TEXTS[1])) == len(pins(TEXTS[1]))
    text = "a==1 \\\n    --hash=sha256:aa\nb==1 ; python_full_version >= '3.13' \\\n    --hash=sha256:bb\n"
    assert (every_python(text), newer(text)) == (["a==1"], ["b==1 ; python_full_version >= '3.13'"])
    assert (pins(text), hashes(text, "b==1")) == (["a==1", "b==1"], ["bb"])


def test_the_environment_is_made_with_hashes_alone() -> None:
    """Of the lines that install, all but two: the CUDA libraries that a CUDA torch pins, and this package itself."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("$(READY):")[2].partition("\n\n")[0]
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert sum("--require-hashes" in line for line in installs) == 3
    assert [line.split()[-1] for line in installs if "--require-hashes" not in line] == ['requirements.txt)"', "."]


def test_torch_is_accepted_from_the_index_and_as_its_cpu_build() -> None:
    """At least the files for Linux, macOS and Windows, and one more."""
    (torch,) = [pin for pin in pins(TEXTS[0]) if pin.startswith("torch==")]
    assert len(hashes(TEXTS[0], torch)) > 4


def test_a_hash_is_added_to_its_package_once() -> None:
    """First, beside those that were there; another package keeps its own."""
    text = "# why\na==1 \\\n    --hash=sha256:aa\nab==1 \\\n    --hash=sha256:bb\n"
    more = with_hash(text, "a", "cc")
    assert more == text.replace("a==1 \\\n", "a==1 \\\n    --hash=sha256:cc \\\n", 1)
    assert with_hash(more, "a", "cc") == more
    assert (hashes(more, "a==1"), hashes(more, "ab==1"), hashes(more, "c==1")) == (["cc", "aa"], ["bb"], [])
    assert (pins(more), head(more)) == (["a==1", "ab==1"], "# why\n")
