"""Files that are there whole or not at all, whatever the disk does."""

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import KINDS, Reference, Stages, Tamper, disturbed, points, references
from spira.base.errors import DataError
from spira.base.files import part_path, whole, write_bytes
from spira.base.system_errors import naming
from tiny import ROOT

FEW = (["ingest"], ["split"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stages, list[Reference]]]:
    with Stages(tmp_path_factory.mktemp("stages"), FEW) as stages:
        yield stages, references(stages, FEW)


@pytest.fixture
def tampered(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What ``Tamper`` takes the place of is back afterwards."""
    for name in ("open", "write", "fsync", "replace"):
        monkeypatch.setattr(os, name, getattr(os, name))
    return monkeypatch


def test_no_fault_leaves_half_a_file(undisturbed: tuple[Stages, list[Reference]]) -> None:
    """Every kind, spread over what two stages write: a sentence, its exit status, nothing left over."""
    stages, every = undisturbed
    assert all(one.n_points for one in every)
    for kind in KINDS:
        for reference, at in points(every, 4):
            assert disturbed(stages, reference, kind, at) == []


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["no space", "I/O error", "read-only"])
def test_what_was_there_stays_until_the_new_one_is_whole(
    kind: str, at: int, tmp_path: Path, tampered: pytest.MonkeyPatch
) -> None:
    """Opened, written to, synced, renamed: whichever fails, the old bytes are there, and nothing else."""
    path = tmp_path / "a.csv"
    write_bytes(b"old", path)
    Tamper(kind, at)
    message = f"^{re.escape(str(path))}: cannot be written: {os.strerror(KINDS[kind])}; "
    with pytest.raises(DataError, match=message):
        write_bytes(b"new" * 1000, path)
    tampered.undo()
    assert path.read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} <= {"a.csv"}


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Its own error comes out, not one about the file."""

    def fail() -> None:
        with whole(tmp_path / "new/a") as file:
            file.write(b"half")
            assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.part"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_run_left_is_written_over(tmp_path: Path) -> None:
    """The next run of the stage uses the same temporary name."""
    part_path(tmp_path / "a").write_bytes(b"half of something long")
    write_bytes(b"new", tmp_path / "a")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"new")]


def test_a_real_limit_of_the_kernel_is_met_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Not a patched call: the process may write 100 kB a file."""
    program = (
        "import resource, numpy as np; from pathlib import Path\n"
        "from spira.clips.arrays import ArrayWriter; from spira.base.program import exit_on_error\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "with exit_on_error(), ArrayWriter(Path('a.npy')) as writer:\n"
        "    writer.append(np.zeros(1_000_000, np.float32))\n"
    )
    ended = in_python(program, tmp_path)
    assert (ended.returncode, list(tmp_path.iterdir())) == (1, [])
    assert ended.stderr.startswith("DataError: a.npy: cannot be written: File too large; larger than this process may")


def test_sigterm_ends_a_stage_with_143_and_no_traceback(tmp_path: Path) -> None:
    """In the middle of a block, whose half-written file goes."""
    program = (
        "import os, signal; from pathlib import Path\n"
        "from spira.base.files import whole; from spira.base.program import exit_on_error\n"
        "with exit_on_error(), whole(Path('a')) as file:\n"
        "    file.write(b'x')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    file.write(b'y')\n"
    )
    ended = in_python(program, tmp_path)
    assert (ended.returncode, ended.stderr, list(tmp_path.iterdir())) == (128 + signal.SIGTERM, "", [])


@pytest.mark.parametrize(("number", "in_words"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.ENOENT, False)])
def test_of_the_systems_errors_only_a_disks_are_a_sentence(number: int, in_words: bool, tmp_path: Path) -> None:
    """A file that the code thought was there is a defect, and keeps its traceback."""
    program = (
        "from spira.base.program import exit_on_error\n"
        f"with exit_on_error():\n    raise OSError({number}, 'x', 'some/file')\n"
    )
    ended = in_python(program, tmp_path)
    assert ended.returncode == 1
    assert ("Traceback" not in ended.stderr) is in_words
    assert not in_words or ended.stderr.startswith(f"DataError: some/file: {os.strerror(number)}; ")


def test_a_disk_that_cannot_be_read_is_named() -> None:
    """``read`` itself forgets which file it was."""
    message = r"^a/b: cannot be read: Input/output error; the disk fails"
    with pytest.raises(DataError, match=message), naming(Path("a/b"), "read"):
        raise OSError(errno.EIO, "x")


def in_python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
