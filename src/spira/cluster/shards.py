"""Makes shards elsewhere: on the workers of a Dask cluster, or in processes that are started here.

A shard is a unit of work that pickles small. The process that makes it reads what it needs from the disk that all
share, writes its file there under a name of its own, and answers with rows and a hash; no array passes the scheduler.
The file gets its name here, once, so a worker that was given up and is still writing does no harm. Where no disk is
shared, what a shard reads and what it writes go by object storage.
"""

import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spira.base.errors import DataError, MachineError, ParamError
from spira.base.files import hash_file, linked
from spira.base.system_errors import naming
from spira.clips.parallel import progress
from spira.cluster import on_worker
from spira.cluster.address import Elsewhere, asked
from spira.cluster.fleet import (
    MOST_TRIES,
    SECONDS_BETWEEN_LOOKS,
    SECONDS_OF_SILENCE,
    SECONDS_TO_CONNECT,
    Fleet,
    fleet,
)
from spira.cluster.messages import Lost, Made, Raised, opened, packed
from spira.storage.objects import Sender, Sent, Storage
from spira.storage.reads import Read

if TYPE_CHECKING:
    from distributed import Future

_AT_A_WORKER = 2  # one that it makes, and the next, so that it need not wait for this process
_MOST_NAMED = 3
_SECONDS_IDLE = 600.0  # of a process, after which the stage is taken to be gone


class Shard(NamedTuple):
    """What the job is asked for, which pickles small."""

    asked: Any
    clips: Sequence[str]  # each as often as it is rendered: named and counted here, and not sent
    path: Path | None = None  # of the file that is made; None where the answer is all


class Finished(NamedTuple):
    """A shard that is made, and has its name."""

    number: int  # among the shards
    result: Any
    digest: str  # of its file; "" where it has none


def elsewhere() -> Elsewhere | None:
    """Where shards are to be made, None for this process as ever.

    Raises:
        ParamError: SPIRA_CLUSTER asks for something that cannot be.
    """
    return asked(os.environ)


class ShardJob(Protocol):
    """What all shards of a stage are made with, from parameters and paths alone: it pickles small."""

    def __call__(self) -> Callable[..., Any]:
        """Called once in each process; what it returns is called with what is asked for, and the path of its file."""

    def reads(self) -> Iterable[Read]:
        """What every shard reads."""

    def reads_for(self, asked: Any, /) -> Iterable[Read]:
        """What one shard reads besides."""


def make(where: Elsewhere, job: ShardJob, shards: Sequence[Shard], name: str) -> Iterator[Finished]:
    """Makes the shards elsewhere, and yields them as they are finished, in any order.

    Args:
        where: of ``elsewhere``.
        job: what makes them.
        shards: none of them twice.
        name: of the work, for the progress, which is counted in clips.

    Raises:
        DataError: the scheduler or the storage cannot be reached; a worker computes otherwise, or does not share this
            folder; the work on a shard raised an error, or was lost three times.
    """
    if not shards:
        return
    n_clips = sum(len(shard.clips) for shard in shards)
    with (
        _reached(),
        closing(Sender(Storage(where.storage))) if where.storage else nullcontext() as sender,
        fleet(where, job, _SECONDS_IDLE, sender, job.reads() if sender else ()) as workers,
    ):
        for one in progress(_Round(workers, job, shards, sender).finished(), n_clips, name):
            if one:
                yield one


@contextmanager
def _reached() -> Iterator[None]:
    """What this machine cannot do is an error of the stage."""
    try:
        yield
    except MachineError as error:
        raise DataError(str(error)) from error


class _Given(NamedTuple):
    """A shard, and whom it was given to."""

    number: int
    worker: str
    path: Path | None  # that its file is written to; no two tries have the same


class _Round:
    """Gives shards to workers until all are made; one whose worker is lost goes to another."""

    def __init__(self, workers: Fleet, job: ShardJob, shards: Sequence[Shard], sender: Sender | None) -> None:
        self._fleet, self._client, self._errand = workers, workers.client, workers.errand
        self._job, self._shards, self._sender = job, shards, sender
        largest_first = sorted(range(len(shards)), key=lambda number: -len(shards[number].clips))
        self._waiting = deque(largest_first)  # so that in the end no worker waits long for another
        if sender:
            for number in self._waiting:
                sender.begin(job.reads_for(shards[number].asked))
        self._given: dict[Future, _Given] = {}  # in the order in which they were given
        self._done: SimpleQueue[Future] = SimpleQueue()
        self._n_failures: Counter[int] = Counter()
        self._tries = count()
        self._heard = time.monotonic()

    def finished(self) -> Iterator[Finished | None]:
        """Each shard once it is finished, and None as often as makes one item a clip."""
        try:
            while self._waiting or self._given:
                workers = self._fleet.workers()
                self._take_back(set(workers))
                self._give(workers)
                self._say_what_is_waited_for()
                with suppress(Empty):
                    if one := self._receive(self._done.get(timeout=SECONDS_BETWEEN_LOOKS)):
                        self._heard = time.monotonic()
                        yield one
                        yield from [None] * (len(self._shards[one.number].clips) - 1)
        finally:
            for future in self._given:
                with suppress(Exception):
                    future.cancel()

    def _say_what_is_waited_for(self) -> None:
        """A large shard takes its time, but so does a process that hangs, which only a person can tell apart."""
        if self._given and time.monotonic() - self._heard > SECONDS_OF_SILENCE:
            self._heard = time.monotonic()
            oldest = {to.worker: to.number for to in reversed(self._given.values())}
            listed = "; ".join(f"{_named(self._shards[n])} on worker {worker}" for worker, n in oldest.items())
            print(
                f"no shard was finished for {SECONDS_OF_SILENCE} s; waiting for {listed}", file=sys.stderr, flush=True
            )

    def _take_back(self, workers: set[str]) -> None:
        """Whatever was given to a worker that is gone; only what it had begun has failed."""
        lost = {future: to for future, to in self._given.items() if to.worker not in workers}
        begun = {to.worker: to.number for to in reversed(lost.values())}
        for future, to in lost.items():
            del self._given[future]
            self._waiting.appendleft(to.number)
            if begun[to.worker] == to.number:
                self._fail(to.number, f"worker {to.worker} is gone")

    def _give(self, workers: Sequence[str]) -> None:
        load = Counter(to.worker for to in self._given.values())
        for n_each in range(_AT_A_WORKER):
            for worker in workers:
                if self._waiting and load[worker] == n_each:
                    load[worker] += 1
                    self._submit(self._waiting.popleft(), worker)

    def _submit(self, number: int, worker: str) -> None:
        shard = self._shards[number]
        path = self._errand.written / f"{number}-{next(self._tries)}" if shard.path else None
        files = self._sender.sent(self._job.reads_for(shard.asked)) if self._sender else ()
        told = self._errand, packed((shard.asked, path)), files, path
        future = self._client.submit(on_worker.make, *told, workers=[worker], pure=False)
        self._given[future] = _Given(number, worker, path)
        future.add_done_callback(self._done.put)

    def _receive(self, future: "Future") -> Finished | None:
        """None where there is no shard: its worker was taken for gone, or its process was lost."""
        to = self._given.pop(future, None)
        if to is None:
            return None
        shard, (answer, sent) = self._shards[to.number], _answer(future)
        if isinstance(answer, Raised):
            raise _error(shard, answer, to.worker, shares_disk=not self._sender)
        if isinstance(answer, Lost):
            self._waiting.appendleft(to.number)
            self._fail(to.number, f"on worker {to.worker}: {answer.reason}")
            return None
        if shard.path and to.path and answer.digest:
            if self._sender:
                self._sender.storage.bring(Sent(str(to.path), sent, 0, (), str(to.path)), to.path)
            _give_name(to.path, shard.path, answer.digest)
        return Finished(to.number, answer.result, answer.digest)

    def _fail(self, number: int, why: str) -> None:
        self._n_failures[number] += 1
        if (n := self._n_failures[number]) >= MOST_TRIES:
            raise DataError(f"{_named(self._shards[number])}: lost {n} times; the last time {why}")


def _answer(future: "Future") -> tuple[Made | Raised | Lost, str]:
    """And the MD5 of its file, where it was sent."""
    try:
        answer, sent = future.result(timeout=SECONDS_TO_CONNECT)
        return opened(answer), sent
    except Exception as error:  # its worker died just then, or Dask itself failed
        return Lost(f"it gave no answer ({type(error).__name__}: {error})"), ""


def _give_name(written: Path, path: Path, digest: str) -> None:
    """The file that a worker wrote becomes the shard, if it is here what it was there."""
    with naming(written, "read"):
        here = hash_file(written)
    if here != digest:
        raise DataError(f"{written}: must have the hash {digest}, got {here}; do all machines see the same disk?")
    with naming(path, "written"):
        linked(written, path)
        written.unlink()


def _error(shard: Shard, raised: Raised, worker: str, *, shares_disk: bool) -> Exception:
    kinds = {"DataError": DataError, "ParamError": ParamError}
    if raised.kind in kinds:
        where = "" if shares_disk else f"on worker {worker}: "  # whose disk may be full, where its file is no other's
        return kinds[raised.kind](f"{_named(shard)}: {where}{raised.message}")
    return RuntimeError(f"{_named(shard)}: {raised.kind} on worker {worker}: {raised.message}\n{raised.trace}")


def _named(shard: Shard) -> str:
    names = list(dict.fromkeys(shard.clips))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"the shard of {', '.join(names[:_MOST_NAMED])}{more}"
