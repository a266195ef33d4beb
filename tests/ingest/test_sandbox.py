"""Work that crashes, hangs or fills the memory: its item is lost, by name, and every other is done."""

import ctypes
import errno
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from spira.clips.parallel import ordered_map
from spira.ingest import sandbox as guarded
from spira.ingest.sandbox import Guard
from spira.ingest.sandbox_worker import Failed, Limits, Lost

LIMITS = Limits(cpu_seconds=1, megabytes=64)


def work(item: str) -> str:
    match item:
        case "crash":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "memory":
            return str(np.empty(2**31).nbytes)  # 16 GB: more than a large process has free by itself
        case "killed":  # as the kernel does where memory is gone
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            os._exit(3)
        case "defect":
            raise KeyError(item)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
    return item.upper()


KILLED = Failed("was killed (SIGKILL), as the kernel does where memory runs out")
TROUBLE = {
    "crash": Lost("crashed (SIGSEGV)"),
    "abort": Lost("crashed (SIGABRT)"),
    "killed": KILLED,
    "memory": Lost("needed more than 64 MB of memory", "megabytes"),
}


@pytest.mark.parametrize("n_workers", [1, 2])
def test_only_the_bad_item_is_lost(n_workers: int) -> None:
    """Each kind of trouble twice among good items: the good ones are done, in order; the bad ones say why."""
    items = [item for i, bad in enumerate([*TROUBLE, *TROUBLE]) for item in (f"good {i}", bad, f"fine {i}")]
    with Guard(work, LIMITS, n_workers) as guard:
        results = list(ordered_map(guard, items, n_workers))
    assert results == [TROUBLE.get(item, item.upper()) for item in items]


def test_no_worker_holds_the_pipe_of_another_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are started anew at once: the death of each is seen at once, though the other lives and waits."""
    pipe = guarded._PROCESSES.Pipe

    def slow() -> object:
        ends = pipe()
        time.sleep(0.1)  # time for the other to be forked
        return ends

    with Guard(work, LIMITS, 2) as guard:
        monkeypatch.setattr(guarded._PROCESSES, "Pipe", slow)
        monkeypatch.setattr(guarded, "_IDLE", 3)
        assert list(ordered_map(guard, ["killed"] * 2, 2)) == [KILLED] * 2
        assert [guard("killed") for _ in range(2)] == [KILLED] * 2


def test_what_computes_for_ever_is_given_up_and_so_is_what_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time of its core, which a busy machine does not use up; and at last by the clock."""
    with Guard(work, LIMITS, 1) as guard:
        assert guard("spin") == Lost("did not finish in 1 s of CPU time", "cpu_seconds")
        monkeypatch.setattr(guarded, "_IDLE", 1)
        assert guard("sleep") == Failed("did not finish within 1 s, most of which it spent waiting")
        assert guard("a") == "A"


def test_a_defect_in_the_work_reaches_the_caller() -> None:
    """It is no bad file: the run stops, with the traceback of the worker."""
    with Guard(work, LIMITS, 1) as guard:
        with pytest.raises(KeyError) as error:
            guard("defect")
        assert "in a worker, on 'defect'" in error.value.__notes__[0]
        assert "raise KeyError(item)" in error.value.__notes__[0]
        with pytest.raises(RuntimeError, match="a worker ended with status 3"):
            guard("leave")
        assert guard("a") == "A"  # a server goes on


def test_a_worker_that_cannot_be_replaced_is_the_systems_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are too many files or processes; the message says that, and not what follows from it."""

    def no_more() -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with Guard(work, LIMITS, 1) as guard:
        monkeypatch.setattr(guarded._PROCESSES, "Pipe", no_more)
        with pytest.raises(OSError, match="Too many open files"):
            guard("crash")


def test_ctrl_c_is_for_the_stage() -> None:
    """A worker does not die of it with a traceback of its own."""
    with Guard(work, LIMITS, 1) as guard:
        assert guard("interrupt") == "INTERRUPT"


def test_time_is_counted_anew_for_each_item() -> None:
    """Three items of 0.6 s each are no hang, though together they pass the second that one may take."""

    def busy(_: int) -> float:
        until = time.process_time() + 0.6
        while time.process_time() < until:
            pass
        return until

    with Guard(busy, LIMITS, 1) as guard:
        assert all(isinstance(guard(item), float) for item in range(3))


def test_nothing_is_left_behind() -> None:
    """Neither a process nor a descriptor."""

    def count() -> tuple[int, int]:
        return len(multiprocessing.active_children()), len(os.listdir("/dev/fd"))  # noqa: PTH208

    before = count()
    with Guard(work, LIMITS, 3) as guard:
        assert guard("crash") == Lost("crashed (SIGSEGV)")
        threads = [threading.Thread(target=guard, args=("a",)) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert count() == before


def several(item: int) -> tuple[list[np.ndarray], str]:
    rng = np.random.default_rng(item)
    return [rng.standard_normal(size).astype(np.float32) for size in (item, 100, 3 * item)], f"item {item}"


@pytest.mark.parametrize("n_shared", [0, 1000, 2**20])
def test_arrays_come_whole_and_stay_whole(n_shared: int) -> None:
    """Through shared memory or the pipe, whichever has room for them; the next result overwrites none."""
    with Guard(several, LIMITS, 2, n_shared) as guard:
        results = list(ordered_map(guard, range(60), 2))
    for item, result in enumerate(results):
        assert not isinstance(result, Lost | Failed)
        expected, name = several(item)
        assert result[1] == name
        assert [array.tobytes() for array in result[0]] == [array.tobytes() for array in expected]
        assert all(array.flags.writeable for array in result[0])
