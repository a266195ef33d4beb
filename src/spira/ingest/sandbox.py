"""Work in processes of their own: what crashes, computes for ever or fills the memory costs its item, and nothing else.

A decoder is C that reads what strangers wrote. In the process of the stage, one bad file could end the run, or more.
What the machine does to a worker is told apart from that, for it is no fact about the item.
"""

import errno
import faulthandler
import multiprocessing
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from spira.base.errors import MachineError
from spira.base.system_errors import ADVICE, sentence

Item = TypeVar("Item")
Result = TypeVar("Result")

_IDLE = 24  # times as long as it may compute is how long it may take, waiting and sharing its core included
# Forked in a hundredth of a second, with what the stage has loaded; elsewhere a second, since a fork is not safe there.
_PROCESSES: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_BY_ITSELF = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)  # as what is broken ends
_BY_THE_KERNEL = {
    signal.SIGKILL: ", as is done where memory is gone",
    signal.SIGBUS: ", as is done where /dev/shm, or the folder for temporary files, is full",
}
_ADDRESSES, _DATA = 0, 5  # columns of /proc/self/statm: pages of all memory, and of what RLIMIT_DATA counts
_STARTING = Lock()  # one after the other: a process forked meanwhile would hold the other's end of the pipe open


@dataclass(frozen=True)
class Limits:
    """Of the work on one item."""

    cpu_seconds: int
    megabytes: int  # beyond what the process had before


class Lost(NamedTuple):
    """Instead of a result: the work did not come through the item, and this is what it did."""

    reason: str
    limit: str = ""  # of the two in ``Limits``, which it passed


class Failed(NamedTuple):
    """Instead of a result: the machine failed the work twice, the second time with no other beside it."""

    reason: str


class _Defect(NamedTuple):
    error: Exception


class Guard(Generic[Item, Result]):
    """Calls ``work`` in one of n processes that wait for it; to be called from as many threads.

    Args:
        work: what to call, once an item.
        limits: of one item.
        n_workers: processes.
        n_shared: bytes of memory that each shares with the stage. The arrays of a result that fit in them go that
            way, which takes a third of the time of a pipe; others, and all else, go through the pipe.
    """

    def __init__(self, work: Callable[[Item], Result], limits: Limits, n_workers: int, n_shared: int = 0) -> None:
        self._all: list[_Worker] = []
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        self._gathering = Lock()  # two that each wait for all workers would wait for ever
        try:
            for _ in range(n_workers):
                self._all.append(_Worker(work, limits, n_shared))
        except BaseException:  # without this, the interpreter would wait for ever for those that were started
            self._stop()
            raise
        for worker in self._all:
            self._free.put(worker)

    def __call__(self, item: Item) -> Result | Lost | Failed:
        worker = self._free.get()
        try:
            result: Result | Lost | Failed = worker(item)
        finally:
            self._free.put(worker)
        return self._alone(item) if isinstance(result, Failed) else result

    def _alone(self, item: Item) -> Result | Lost | Failed:
        """Once more, in a new process, while no other works: memory, files and cores may have been too few for all."""
        with self._gathering:
            workers = [self._free.get() for _ in self._all]
            try:
                workers[0].restart()
                result: Result | Lost | Failed = workers[0](item)
            finally:
                for worker in workers:
                    self._free.put(worker)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        for worker in self._all:
            worker.stop()


class _Worker:
    def __init__(self, work: Callable[[Any], Any], limits: Limits, n_shared: int) -> None:
        self._work, self._limits = work, limits
        self._shared = _PROCESSES.RawArray("B", max(1, n_shared))  # read anew only when all of it was copied
        self._start()

    def _start(self) -> None:
        self._n_done = 0
        with _STARTING:
            self._pipe, other_end = _PROCESSES.Pipe()
            told = (other_end, self._work, self._limits, self._shared)
            self._process = _PROCESSES.Process(target=_serve, args=told, daemon=True)
            self._process.start()
            other_end.close()  # else its death would leave the pipe open

    def stop(self) -> None:
        with suppress(ValueError):  # stopped before, and no new one could be started
            self._process.kill()
            self._process.join()
            self._process.close()
        self._pipe.close()

    def restart(self) -> None:
        self.stop()
        self._start()

    def __call__(self, item: Any) -> Any:
        patience = _IDLE * self._limits.cpu_seconds
        try:
            self._pipe.send(item)
            if self._pipe.poll(patience):
                content, ends = self._pipe.recv()
                shared = memoryview(self._shared).cast("B")
                outcome = pickle.loads(content, buffers=[bytearray(shared[a:b]) for a, b in pairwise(ends)])
                self._n_done += 1
                if isinstance(outcome, _Defect):
                    raise outcome.error
                return outcome
            lost: Lost | Failed = Failed(f"was not done after {patience} s, most of which it waited")
        except (EOFError, ConnectionError):
            lost = self._death()
        self.restart()
        return lost

    def _death(self) -> Lost | Failed:
        self._process.join()
        if self._process.exitcode >= 0:  # it ended by itself, which is no file's doing
            raise RuntimeError(f"a worker ended with status {self._process.exitcode}")
        number = signal.Signals(-self._process.exitcode)
        if number in _BY_ITSELF:
            return Lost(f"crashed ({number.name})")
        if number != signal.SIGXCPU:
            return Failed(f"was killed ({number.name}){_BY_THE_KERNEL.get(number, '')}")
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if most != resource.RLIM_INFINITY and (self._n_done or most <= 1 + self._limits.cpu_seconds):
            return Failed(f"came to the end of the {most} s of computing that `ulimit -t` gives a process")
        return Lost(f"was not done in {self._limits.cpu_seconds} s of computing", "cpu_seconds")


def _serve(pipe: Connection, work: Callable[[Any], Any], limits: Limits, shared: Any) -> None:
    """The life of a worker: until it is stopped, or the stage is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the stage, which stops this
        signal.signal(number, signal.SIG_IGN)
    faulthandler.disable()
    _limit(resource.RLIMIT_CORE, 0)
    if own := _bytes_held(_DATA):
        _limit(resource.RLIMIT_DATA, own + limits.megabytes * 2**20)
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    starved = most != resource.RLIM_INFINITY and most < _bytes_held(_ADDRESSES) + limits.megabytes * 2**20
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + limits.cpu_seconds)
        pipe.send(_answer(work, item, limits, memoryview(shared).cast("B"), starved=starved))


def _answer(
    work: Callable[[Any], Any], item: Any, limits: Limits, shared: memoryview, *, starved: bool
) -> tuple[bytes, list[int]]:
    outcome: Lost | Failed | _Defect
    try:
        return _packed(work(item), shared)
    except MemoryError:
        outcome = Lost(f"needed more than {limits.megabytes} MB of memory", "megabytes")
        if starved:
            outcome = Failed(f"needed more than `ulimit -v` gives a process, which is less than {limits.megabytes} MB")
    except Exception as error:
        error.add_note(f"in a worker, on {item!r}:\n{traceback.format_exc()}")
        fault = _machine_fault(error)
        outcome = Failed(fault) if fault else _Defect(error)
    return _packed(outcome, shared)


def _machine_fault(error: Exception) -> str | None:
    """What the machine lacks, where that is what the error says; None where the work has a defect."""
    if isinstance(error, OSError) and error.errno in ADVICE:
        return sentence(error)
    if str(error) == "can't start new thread":  # a RuntimeError, for want of memory or of processes
        return f"{error}; {ADVICE[errno.EAGAIN]}"
    return str(error) if isinstance(error, MachineError) else None


def _packed(outcome: Any, shared: memoryview) -> tuple[bytes, list[int]]:
    """The outcome, pickled but for the arrays that were put into the shared memory; and where each begins and ends."""
    ends = [0]

    def put(buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        end = ends[-1] + content.nbytes
        if fits := end <= shared.nbytes:
            shared[ends[-1] : end] = content
            ends.append(end)
        return not fits  # true has it pickled with the rest

    return pickle.dumps(outcome, protocol=5, buffer_callback=put), ends


def _limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:  # below it, for at the hard limit of time comes SIGKILL, as where memory is gone
        value = min(value, max(0, most - 1))
    resource.setrlimit(which, (value, most))


def _bytes_held(which: int) -> int:
    """Of this process, by a column of /proc/self/statm; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[which]) * resource.getpagesize() if statm.exists() else 0
