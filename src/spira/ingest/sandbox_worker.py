"""The process of a sandbox: takes items from a pipe, limits itself, and sends back results or faults."""

import errno
import faulthandler
import os
import pickle
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from spira.base.errors import MachineError
from spira.base.system_errors import ADVICE, sentence

_SECONDS_BETWEEN_LOOKS = 1.0
_ADDRESSES, _DATA = 0, 5  # columns of /proc/self/statm: pages of all memory, and of what RLIMIT_DATA counts


@dataclass(frozen=True)
class Limits:
    """Limits of the work on one item."""

    cpu_seconds: int
    megabytes: int  # beyond what the process had before


class Lost(NamedTuple):
    """Instead of a result: the item ended the work, and this is how."""

    reason: str
    limit: str = ""  # the one in ``Limits`` that it passed


class Failed(NamedTuple):
    """Instead of a result: the machine failed twice, the second time with no other work beside it."""

    reason: str


class Defect(NamedTuple):
    """Instead of a result: the work raised an error, which is a defect of the code."""

    error: Exception


def serve(pipe: Connection, work: Callable[[Any], Any], limits: Limits, shared: Any) -> None:
    """Answers items until it is stopped, or until the process that started it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the stage, which stops this
        signal.signal(number, signal.SIG_IGN)
    faulthandler.disable()
    _limit(resource.RLIMIT_CORE, 0)
    if own := _bytes_held(_DATA):
        _limit(resource.RLIMIT_DATA, own + limits.megabytes * 2**20)
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    starved = most != resource.RLIM_INFINITY and most < _bytes_held(_ADDRESSES) + limits.megabytes * 2**20
    above = os.getppid()
    while os.getppid() == above:  # forked, this holds the other end of its own pipe, which no death closes then
        if not pipe.poll(_SECONDS_BETWEEN_LOOKS):
            continue
        try:
            item = pipe.recv()
        except EOFError:
            return
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + limits.cpu_seconds)
        pipe.send(_answer(work, item, limits, memoryview(shared).cast("B"), starved=starved))


def _answer(
    work: Callable[[Any], Any], item: Any, limits: Limits, shared: memoryview, *, starved: bool
) -> tuple[bytes, list[int]]:
    outcome: Lost | Failed | Defect
    try:
        return _packed(work(item), shared)
    except MemoryError:
        outcome = Lost(f"needed more than {limits.megabytes} MB of memory", "megabytes")
        if starved:
            outcome = Failed(
                f"needed more memory than `ulimit -v` allows a process, which is less than {limits.megabytes} MB"
            )
    except Exception as error:
        error.add_note(f"in a worker, on {item!r}:\n{traceback.format_exc()}")
        fault = _machine_fault(error)
        outcome = Failed(fault) if fault else Defect(error)
    return _packed(outcome, shared)


def _machine_fault(error: Exception) -> str | None:
    """What the machine lacks, in words; None where the error is a defect of the work."""
    if isinstance(error, OSError) and error.errno in ADVICE:
        return sentence(error)
    if str(error) == "can't start new thread":  # a RuntimeError, for want of memory or of processes
        return f"{error}; {ADVICE[errno.EAGAIN]}"
    return str(error) if isinstance(error, MachineError) else None


def _packed(outcome: Any, shared: memoryview) -> tuple[bytes, list[int]]:
    """Pickles the outcome, with arrays in the shared memory where they fit; and the bounds of each there."""
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
    if most != resource.RLIM_INFINITY:  # below the hard limit: at that of time comes SIGKILL, as where memory runs out
        value = min(value, max(0, most - 1))
    resource.setrlimit(which, (value, most))


def _bytes_held(which: int) -> int:
    """Memory of this process, by a column of /proc/self/statm; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[which]) * resource.getpagesize() if statm.exists() else 0
