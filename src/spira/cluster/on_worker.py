"""What a Dask worker does: starts a process for a stage, and passes it the stage's shards one after the other.

The worker itself opens no message and imports nothing that computes, so it goes on answering the scheduler while a
shard is made.
"""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from threading import Lock
from typing import Any

from spira.base.files import hash_file
from spira.cluster import shard_process
from spira.cluster.messages import Errand, Lost, Raised, environment, packed

LOADED = hash_file(Path(__file__))  # when this process began; the file may be another by now


def check(errand: Errand) -> tuple[str, bytes]:
    """``LOADED``, and the packed facts of the process for the errand, or why there is none."""
    from distributed import get_worker

    return LOADED, _begin(errand, get_worker().address)


def make(errand: Errand, shard: bytes) -> bytes:
    """The packed ``Made``, ``Raised`` or ``Lost`` of a shard, which is (what is asked for, the path of its file)."""
    from distributed import get_worker

    return _begin(errand, get_worker().address, shard)


async def ask(errand: Errand, message: bytes, dask_worker: Any = None) -> bytes:
    """As ``make``, beside whatever Dask runs here: for a short answer, so that nobody waits for a shard."""
    return await asyncio.to_thread(_begin, errand, dask_worker.address, message)


def end(token: str) -> None:
    """Ends the processes for a run of a stage."""
    with _STARTING:
        for key in [key for key in _processes if key[1] == token]:
            _processes.pop(key).stop()
            _first_facts.pop(key, None)


class _ProcessGoneError(Exception):
    """The process for an errand has died."""


class _Process:
    """A process for an errand, and what it says of itself; where it dies, a call raises ``_ProcessGoneError``."""

    def __init__(self, errand: Errand, folder: Path) -> None:
        self._job = packed((errand.job, errand.packages, errand.programs, errand.seconds_idle))
        self._asking = Lock()
        self._facts: bytes | None = None
        self._pipe, other_end = Pipe()
        number = other_end.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", shard_process.__name__, str(number)],
            cwd=folder,
            env=environment(errand, folder, os.environ, os.pathsep),
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
        )
        other_end.close()  # else its death would leave the pipe open

    def facts(self) -> bytes:
        """Waits until it has imported all that the errand needs."""
        with self._asking:
            if self._facts is None:
                self._facts = self._answer(self._job)
        return self._facts

    def ask(self, message: bytes) -> bytes:
        with self._asking:
            return self._answer(message)

    def _answer(self, message: bytes) -> bytes:
        try:
            self._pipe.send_bytes(message)
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            status = self.stop()
            killed = f"was killed by signal {-status} ({signal.strsignal(-status)})"
            raise _ProcessGoneError(killed if status < 0 else f"ended with status {status}") from error

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """Its exit status: its own, where it ended by itself."""
        self._process.kill()
        self._pipe.close()
        return self._process.wait()


_processes: dict[tuple[str, str], _Process] = {}  # by the worker's address, for one process may hold several, and token
_first_facts: dict[tuple[str, str], bytes] = {}  # of the same
_STARTING = Lock()


def _begin(errand: Errand, address: str, message: bytes | None = None) -> bytes:
    """What the process for the errand answers to a message, or its facts; it is started where there is none."""
    key = address, errand.token
    with _STARTING:
        process = _processes.get(key)
        if process is None or not process.is_alive():
            folder = _shared_folder(errand)
            if folder is None:
                return _refused(f"does not see {errand.folder}, nor was it started in that folder")
            process = _processes[key] = _Process(errand, folder)
    try:
        found = process.facts()
        if _first_facts.setdefault(key, found) != found:
            return _refused("has other code or settings than when the work began")
        return found if message is None else process.ask(message)
    except _ProcessGoneError as gone:
        return packed(Lost(str(gone)))


def _refused(why: str) -> bytes:
    return packed(Raised("DataError", why, ""))


def _shared_folder(errand: Errand) -> Path | None:
    """Where this machine has the folder that the stage runs in: at the same path, or as the current one."""
    for folder in (Path(errand.folder), Path.cwd()):
        with suppress(OSError):
            if (folder / errand.sign).read_text(encoding="utf-8") == errand.signed:
                return folder
    return None
