"""Work in sandboxed processes: an item that crashes, never ends or fills the memory costs nothing but itself.

A decoder is C that reads what strangers wrote. In the process of the stage, one bad file could end the run, or more.
A fault of the machine is kept apart from that: it says nothing about the item.
"""

import multiprocessing
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from spira.ingest.sandbox_worker import Defect, Failed, Limits, Lost, serve

Item = TypeVar("Item")
Result = TypeVar("Result")

_IDLE = 24  # times as long as it may compute is how long it may take, waiting and sharing its core included
# Forked in a hundredth of a second, with what the stage has loaded; elsewhere a second, since a fork is not safe there.
_PROCESSES: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_BY_ITSELF = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)  # as what is broken ends
_BY_THE_KERNEL = {
    signal.SIGKILL: ", as the kernel does where memory runs out",
    signal.SIGBUS: ", as the kernel does where /dev/shm, or the folder for temporary files, is full",
}
_STARTING = Lock()  # one after the other: a process forked meanwhile would hold the other's end of the pipe open


class Guard(Generic[Item, Result]):
    """``guard(item)`` calls ``work(item)`` in one of n waiting processes; it is called from as many threads.

    Args:
        work: what to call, once an item.
        limits: those of one item.
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
        return self._retry(item) if isinstance(result, Failed) else result

    def _retry(self, item: Item) -> Result | Lost | Failed:
        """Tries once more, in a new process, while no other works: memory or cores may have been too few for all."""
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
        for worker in self._all:  # all at once, for the system takes milliseconds to end each
            worker.kill()
        for worker in self._all:
            worker.stop()


class _Worker:
    """One process, restarted where it dies; ``worker(item)`` is its result or what ended it."""

    def __init__(self, work: Callable[[Any], Any], limits: Limits, n_shared: int) -> None:
        self._work, self._limits = work, limits
        self._shared = _PROCESSES.RawArray("B", max(1, n_shared))  # read anew only when all of it was copied
        self._start()

    def _start(self) -> None:
        self._n_done = 0
        with _STARTING:
            self._pipe, other_end = _PROCESSES.Pipe()
            arguments = (other_end, self._work, self._limits, self._shared)
            self._process = _PROCESSES.Process(target=serve, args=arguments, daemon=True)
            self._process.start()
            other_end.close()  # else its death would leave the pipe open

    def kill(self) -> None:
        with suppress(ValueError):  # stopped before, and no new one could be started
            self._process.kill()

    def stop(self) -> None:
        self.kill()
        with suppress(ValueError):
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
                if isinstance(outcome, Defect):
                    raise outcome.error
                return outcome
            lost: Lost | Failed = Failed(f"did not finish within {patience} s, most of which it spent waiting")
        except (EOFError, ConnectionError):
            try:
                lost = self._death()
            except RuntimeError:  # a defect, which the next item need not pay for
                self.restart()
                raise
        self.restart()
        return lost

    def _death(self) -> Lost | Failed:
        self._process.join()
        if self._process.exitcode >= 0:  # it ended by itself, which no item causes
            raise RuntimeError(f"a worker ended with status {self._process.exitcode}")
        number = signal.Signals(-self._process.exitcode)
        if number in _BY_ITSELF:
            return Lost(f"crashed ({number.name})")
        if number != signal.SIGXCPU:
            return Failed(f"was killed ({number.name}){_BY_THE_KERNEL.get(number, '')}")
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if most != resource.RLIM_INFINITY and (self._n_done or most <= 1 + self._limits.cpu_seconds):
            return Failed(f"used up the {most} s of CPU time that `ulimit -t` allows a process")
        return Lost(f"did not finish in {self._limits.cpu_seconds} s of CPU time", "cpu_seconds")
