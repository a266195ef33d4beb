"""What a Dask worker does: starts a process for a stage, and passes it the stage's shards one after the other.

The worker itself opens no message and imports nothing that computes, so it goes on answering the scheduler while a
shard is made.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from multiprocessing import Pipe
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from spira.base.errors import DataError, MachineError
from spira.base.files import hash_file
from spira.cluster import shard_process, stage_folder
from spira.cluster.messages import Errand, Lost, Raised, environment, packed
from spira.cluster.stage_folder import StageFolder, open_folder
from spira.storage import objects
from spira.storage.objects import Sent

_HERE = [Path(file) for file in (__file__, stage_folder.__file__, objects.__file__)]  # what a worker itself runs
LOADED = sha256("".join(map(hash_file, _HERE)).encode()).hexdigest()  # when it began; the files may be others by now


def check(errand: Errand) -> tuple[str, bytes]:
    """``LOADED``, and the packed facts of the process for the errand, or why there is none."""
    from distributed import get_worker

    worker = get_worker()
    return LOADED, _answer(lambda: _process(errand, worker).facts())


def make(errand: Errand, shard: bytes, files: tuple[Sent, ...], written: Path | None) -> tuple[bytes, str]:
    """The packed ``Made``, ``Raised`` or ``Lost`` of a shard; and the MD5 of its file, where that was sent.

    Args:
        errand: of the stage.
        shard: what is asked for, and the path of its file, packed.
        files: that it reads, where the stage's disk is not seen here.
        written: the path of its file.
    """
    from distributed import get_worker

    worker, digests = get_worker(), [""]

    def work() -> bytes:
        process = _process(errand, worker)
        with process.making:
            process.folder.bring(files)
            answer = process.ask(shard)
            if written:
                digests.append(process.folder.send(written))
            return answer

    return _answer(work), digests[-1]


async def ask(errand: Errand, message: bytes, dask_worker: Any = None) -> bytes:
    """As ``make``, beside whatever Dask runs here: for a short answer, so that nobody waits for a shard."""
    return await asyncio.to_thread(_answer, lambda: _process(errand, dask_worker).ask(message))


class Held:
    """What a worker keeps for as long as the scheduler hears of the stage; with it all ends that was begun for that."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __del__(self) -> None:
        with suppress(RuntimeError):  # no thread can begin where the worker itself ends, and its processes with it
            Thread(target=_end, args=[self._token]).start()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """A copy, which Dask gives to another worker where this one is to leave, holds nothing."""
        return str, (self._token,)


def hold(token: str) -> Held:
    """Kept by a future of the stage's, which the scheduler releases however the stage ends."""
    return Held(token)


async def end(token: str) -> None:
    """Ends the processes for a run of a stage, and has none begin for it, beside whatever Dask runs here."""
    await asyncio.to_thread(_end, token)


def _end(token: str) -> None:
    with _STARTING:
        _ended.add(token)
        for key in [key for key in _processes if key[1] == token]:
            _forget(key)


class _Process:
    """A process for an errand, and what it says of itself; where it dies, a call raises ``MachineError``."""

    def __init__(self, errand: Errand, folder: StageFolder) -> None:
        self.folder = folder
        self.making = Lock()  # one shard at a time, where a worker has several threads: each brings its own spans
        self._job = packed((errand.job, errand.packages, errand.programs, errand.seconds_idle))
        self._asking = Lock()
        self._facts: bytes | None = None
        self._pipe, other_end = Pipe()
        number = other_end.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", shard_process.__name__, str(number)],
            cwd=folder.path,
            env=environment(errand, folder.path, os.environ, os.pathsep),
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
            raise MachineError(f"its process {killed if status < 0 else f'ended with status {status}'}") from error

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """Its exit status: its own, where it ended by itself."""
        self._process.kill()
        self._pipe.close()
        return self._process.wait()


_processes: dict[tuple[str, str], _Process] = {}  # by the worker's address, for one process may hold several, and token
_first_facts: dict[tuple[str, str], bytes] = {}  # of the same
_ended: set[str] = set()  # tokens; a check that had not begun when its stage failed begins after the end
_STARTING = Lock()


def _process(errand: Errand, worker: Any) -> _Process:
    """The process for the errand, which is started where there is none, and in the same folder where it has died.

    Raises:
        DataError: this machine does not have what it needs, or no longer.
        MachineError: it died, or its files cannot be reached.
    """
    key = worker.address, errand.token
    with _STARTING:
        if errand.token in _ended:
            raise MachineError("the stage has ended")
        process = _processes.get(key)
        if process is None or not process.is_alive():
            own = Path(worker.local_directory, errand.token)
            process = _processes[key] = _Process(errand, process.folder if process else open_folder(errand.folder, own))
    found = process.facts()
    if _first_facts.setdefault(key, found) != found:
        raise DataError("it has other code or settings than when the work began")
    return process


def _forget(key: tuple[str, str]) -> None:
    process = _processes.pop(key)
    process.stop()
    process.folder.remove()
    _first_facts.pop(key, None)


def _answer(work: Callable[[], bytes]) -> bytes:
    try:
        return work()
    except DataError as error:
        return packed(Raised("DataError", str(error), ""))
    except MachineError as error:
        return packed(Lost(str(error)))
