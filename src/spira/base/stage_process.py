"""A stage's life: it ends with the DVC that started it, and no other of its name runs beside it in its folder.

A DVC that is killed leaves its stages running (3.67.1), and they would write over what the next run makes. So a stage
begins with ``begin_stage()``, before it imports what takes seconds, and does its work ``with as_stage()``.
"""

import fcntl
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from select import select
from threading import Thread
from urllib.parse import quote

from spira.base import arithmetic
from spira.base.errors import DataError
from spira.base.inputs import require_unchanged
from spira.base.locks import locked
from spira.base.program import exit_on_error

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_END = 3.0  # of a stage whose DVC is gone; the next run waits for it


def begin_stage() -> None:
    """Settles this stage's arithmetic, and begins to watch for the end of the DVC above it, where there is one.

    To be called before NumPy, torch or numba is imported: they choose their instructions as they are loaded, and
    torch's import alone takes seconds in which DVC may be killed. Garbage is not collected before ``as_stage``: a tenth
    of the time in which a stage starts would go into looking for it among modules, which stay to the end.
    """
    gc.disable()
    arithmetic.settle()
    if "DVC_STAGE" in os.environ:
        os.register_at_fork(after_in_child=lambda: _begin(""))  # a worker that is born too late for _end looks itself
        _begin(f"{os.environ['DVC_STAGE']}: the dvc that started it is gone, so it ends too\n")


@contextmanager
def as_stage() -> Iterator[None]:
    """Runs the block as a stage: prints an error as a sentence, refuses damaged input and a second stage of its name.

    From here on garbage is collected, among all that comes after the imports.
    Its name is its module's, with the fold and seed that it was given; its folder is the current one.
    """
    gc.freeze()
    gc.enable()
    name = Path(sys.argv[0]).stem
    identity = quote("-".join([name, *sys.argv[1:]]), safe="")
    with exit_on_error(sys.modules["__main__"].__doc__), _alone(identity):
        arithmetic.require()
        require_unchanged(name, sys.argv[1:])
        yield


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Raises DataError where a living process holds the name. The kernel takes it from a dead one.

    By ``lockf``, whose lock a forked worker does not inherit: it is the stage's, and ends with it.
    """
    path = Path(".ckpt", f"{name}.lock")
    path.parent.mkdir(exist_ok=True)
    until = time.monotonic() + _SECONDS_TO_END
    with path.open("a+", encoding="ascii") as file:
        while not locked(file, fcntl.lockf, name):
            if time.monotonic() > until:
                pid = path.read_text(encoding="ascii").strip()
                raise DataError(f"{path}: {name} runs in this folder already, as process {pid}; wait for it, or end it")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _begin(last_words: str) -> None:
    Thread(target=_watch, args=[os.environ["DVC_STAGE"], last_words], daemon=True).start()


def _watch(stage: str, last_words: str) -> None:
    """Ends this process, and all that it started, when the DVC above it is gone, or what is in between."""
    line = _line_to_dvc(stage)
    while not _is_adopted(*line[-2:]) and all(_parent(child) == parent for child, parent in pairwise(line)):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _end(last_words)


def _is_adopted(pid: int, parent: int) -> bool:
    """Whether the process was orphaned before anybody looked: DVC starts its commands in its own process group."""
    try:
        return os.getpgid(pid) != os.getpgid(parent) and (parent == 1 or os.getsid(pid) != os.getsid(parent))
    except ProcessLookupError:
        return True


def _line_to_dvc(stage: str) -> list[int]:
    """This process, its parent and so on, up to the first that was not given this ``DVC_STAGE``: the one that gave it.

    In between is a shell, or is not: some put the command in their own place.
    """
    line = [os.getpid(), os.getppid()]
    while _was_given(line[-1], stage):
        line.append(_parent(line[-1]))
    return line


def _was_given(pid: int, stage: str) -> bool:
    """Where the system does not say (it has no /proc, or the process is another user's), no."""
    try:
        return f"DVC_STAGE={stage}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _parent(pid: int) -> int:
    """0 where there is no such process."""
    if pid == os.getpid():
        return os.getppid()
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _end(words: str) -> None:
    """At once, without a word where nobody reads."""
    family = {os.getpid()}
    parents = {int(folder.name): _parent(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family - {os.getpid()}:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    if select([], [sys.stderr], [], 0)[1]:  # a full pipe would hold this up
        with suppress(OSError):
            os.write(2, words.encode())
    os._exit(1)
