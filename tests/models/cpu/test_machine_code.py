"""Machine code is compiled once and found again; a broken or read-only cache stops no training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from closures import ROOT

TWICE = """
from spira.models.cpu.machine_code import compiled

@compiled("float64(float64)")
def twice(x):
    return 2 * x
"""


def computed(folder: Path, cache: Path) -> str:
    """What a process of its own gets; '4.0 1' where it found the machine code of an earlier one."""
    code = "from twice import twice; print(twice(2.0), sum(twice.stats.cache_hits.values()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(folder)])}
    environment |= {"HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, cwd=folder
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "twice.py").write_text(TWICE)
    return tmp_path


def test_machine_code_is_found_again_and_a_broken_one_is_made_anew(folder: Path) -> None:
    """As after a power cut: the index or the code itself is empty, or ends in the middle."""
    assert computed(folder, folder) == "4.0 0"
    assert computed(folder, folder) == "4.0 1"
    kept = {path: path.read_bytes() for path in (folder / "__pycache__").glob("twice.twice*")}
    assert {path.suffix for path in kept} == {".nbi", ".nbc"}
    for path, held in kept.items():
        for broken in (b"", held[: len(held) // 2]):
            path.write_bytes(broken)
            assert computed(folder, folder) == "4.0 0"
        path.write_bytes(held)
    assert computed(folder, folder) == "4.0 1"


def test_where_no_folder_can_be_written_it_is_compiled_all_the_same(folder: Path) -> None:
    """An installed package on a file system that is read only, and no home: a file stands where each folder would."""
    (folder / "__pycache__").write_text("")
    assert computed(folder, folder / "twice.py") == "4.0 0"
