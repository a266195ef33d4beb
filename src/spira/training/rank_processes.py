"""The processes of one training, its ranks: which of them this one is, who starts the others, how all end together.

``SPIRA_RANKS=4`` makes the stage's own process rank 0, which starts the other three on this machine. torchrun starts
all of them, on one machine or several, and says in its variables which is which. No result depends on how many there
are. Only rank 0 writes and prints. This module loads no torch: a rank watches its parent before it does.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from typing import Self

from spira.base import arithmetic
from spira.base.errors import DataError, MachineError
from spira.base.program import exit_on_error
from spira.base.stage_process import as_stage
from spira.training.rank_place import ASKED, MEETING, PARENT, Place, place_in

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_SAY = 1.5  # in which rank 0 meets the same error itself, and says it as its own
_SECONDS_TO_BE_ENDED = 3.0  # in which whoever saw the rank that died ends one that only lost it
_LAST_LINES = 30  # of what a rank that died wrote


def begin_rank() -> None:
    """Ends this process when the one that started it has ended, if that one says that there are ranks."""
    if "RANK" in os.environ:
        parent = int(os.environ.get(PARENT, os.getppid()))
        Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


@contextmanager
def as_rank() -> Iterator[Place]:
    """Runs the block as a rank of the stage: the first as every stage runs, the others without a word or a lock.

    Raises:
        ParamError: SPIRA_RANKS or one of torchrun's variables cannot be.
        DataError: another rank has died.
    """
    with as_stage() if os.environ.get("RANK", "0") == "0" else _as_other_rank():
        place = place_in(os.environ)
        with _Others(place) if place.n > 1 and "RANK" not in os.environ else _Nobody() as others:
            try:
                yield place._replace(meeting=others.meeting or place.meeting)
            except MachineError as error:
                time.sleep(_SECONDS_TO_BE_ENDED)
                raise DataError(f"rank {place.rank} of {place.n}: {error}") from error


@contextmanager
def _as_other_rank() -> Iterator[None]:
    with (
        exit_on_error(sys.modules["__main__"].__doc__),
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
    ):
        arithmetic.require()
        yield


def _command() -> list[str]:
    """The one that this process was started with: ``python -m`` of a module, or ``python`` of a file."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return [sys.executable, *(["-m", module.name] if module else sys.argv[:1]), *sys.argv[1:]]


def _how_it_ended(status: int) -> str:
    return (
        f"ended with status {status}" if status > 0 else f"was killed by signal {-status} ({signal.strsignal(-status)})"
    )


class _Nobody:
    """The other ranks, where this process starts none."""

    meeting = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Others:
    """The other ranks, started here and ended here; this process ends with a message where one of them dies."""

    def __init__(self, place: Place) -> None:
        self._n = place.n
        self._folder = TemporaryDirectory(prefix="spira-ranks-")
        self.meeting = str(Path(self._folder.name, "meeting"))  # a file, so that no port is open to the network
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[Thread] = []
        self._leaving, self._ending = Event(), Lock()

    def __enter__(self) -> Self:
        if sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the ranks' connections stay on this machine
        shared = {name: value for name, value in os.environ.items() if name != ASKED}
        shared |= {PARENT: str(os.getpid()), MEETING: self.meeting}
        shared |= {"WORLD_SIZE": str(self._n), "LOCAL_WORLD_SIZE": str(self._n)}
        try:
            for rank in range(1, self._n):
                self._start(rank, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        except BaseException:
            self._leave()
            raise
        return self

    def _start(self, rank: int, environment: dict[str, str]) -> None:
        process = subprocess.Popen(
            _command(), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, encoding="utf-8", errors="backslashreplace",
        )  # fmt: skip
        self._processes.append(process)
        self._threads.append(Thread(target=self._watch, args=[rank, process], daemon=True))
        self._threads[-1].start()

    def _watch(self, rank: int, process: "subprocess.Popen[str]") -> None:
        """Ends this process where that one fails, unless this one is about to end by itself."""
        words = "".join(deque(process.stderr or (), maxlen=_LAST_LINES))
        status = process.wait()
        if status and not self._leaving.wait(_SECONDS_TO_SAY):
            self._ending.acquire()  # never given back: another rank's end is no news
            try:
                for other in self._processes:
                    other.kill()
                self._folder.cleanup()
                self._say(f"rank {rank} of {self._n} {_how_it_ended(status)}", words)
            finally:
                os._exit(1)

    @staticmethod
    def _say(what: str, words: str) -> None:
        message = f"DataError: {what}, so all end; the same command goes on from the checkpoint\n{words}"
        if select([], [sys.stderr], [], 0)[1]:  # a full pipe would hold this up
            os.write(2, message.encode())

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        """They write nothing, so that nothing is lost by a kill."""
        self._leaving.set()
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        self._folder.cleanup()
