"""Experiments on the workers of a Dask cluster, one each: given to another where a worker is lost."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from spira.base.errors import MachineError
from spira.cluster.address import Scheduler
from spira.cluster.fleet import MOST_TRIES, SECONDS_BETWEEN_LOOKS, Fleet, fleet
from spira.sweeps.clones import Workplace, furnish
from spira.sweeps.supervisor import SECONDS_TO_END
from spira.sweeps.trial_job import TrialJob

SECONDS_IDLE = 20.0  # without a question, after which a worker's process takes the sweep to be gone
SECONDS_UNTIL_ENDED = SECONDS_IDLE + 2 * SECONDS_TO_END  # of an experiment that nobody can ask about any more


@contextmanager
def workers(where: Scheduler, root: Path) -> Iterator["Workers"]:
    """Those of the cluster; what they started for the sweep is ended with the block."""
    with fleet(where, TrialJob(root), SECONDS_IDLE) as found:
        yield Workers(found)


class Workers:
    """The workers of a cluster, and which of them are free."""

    def __init__(self, found: Fleet) -> None:
        self.fleet = found
        self._choosing = Lock()
        self._slots: dict[str, object] = {}
        self._busy: dict[str, object] = {}  # the slot of each worker that has an experiment

    def n_at_once(self) -> int:
        """Experiments that may run at once; waits for the first worker, and for the check of all that are there."""
        while not ((there := self.fleet.workers()) and self.fleet.is_settled()):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return len({self._slot(worker) for worker in there})

    def take(self) -> str | None:
        """A free worker, which is then not free; None where there is none. Two on one GPU count as one."""
        with self._choosing:
            for worker in self.fleet.workers():
                if worker not in self._busy and self._slot(worker) not in self._busy.values():
                    self._busy[worker] = self._slot(worker)
                    return worker
        return None

    def give_back(self, worker: str) -> None:
        with self._choosing:
            del self._busy[worker]

    def start(self, place: Workplace, name: str, overrides: Sequence[str], log: Path) -> "OnWorker":
        """The experiment in its workplace, once a worker is free."""
        return OnWorker(self, place, name, overrides, log)

    def _slot(self, worker: str) -> object:
        """The GPU of a worker and its machine; the worker itself where it has none, or cannot say."""
        if worker not in self._slots:
            try:
                self._slots[worker] = self.fleet.ask(worker, "slot") or worker
            except MachineError:
                return worker
        return self._slots[worker]


class OnWorker:
    """An experiment on a worker, and on another where that one is lost; the third loss is its failure.

    Nobody knows whether a lost worker is dead, or only cannot be reached. So the next one begins when the experiment
    must have ended there, and in a new clone: the old one may hold the locks of a killed DVC.
    """

    def __init__(self, workers: Workers, place: Workplace, name: str, overrides: Sequence[str], log: Path) -> None:
        self._workers, self._place, self._command = workers, place, place.command(name, overrides, log)
        log.write_bytes(b"")  # it is read while no worker is free
        self._worker: str | None = None
        self._status: int | None = None
        self._n_lost = 0
        self._not_before = 0.0  # by time.monotonic()

    def poll(self) -> int | None:
        """The exit status; None while it runs, or waits for a worker."""
        try:
            if self._worker is not None and self._status is None:
                self._status = self._workers.fleet.ask(self._worker, "poll")
            elif self._status is None and time.monotonic() >= self._not_before:
                self._begin()
        except MachineError as error:
            self._lose(str(error))
        return self._status

    def end(self) -> int:
        """Ends what is left of it; the exit status, 1 where it never ran."""
        if self._worker is not None:
            try:
                status = self._workers.fleet.ask(self._worker, "end")
                self._status = status if self._status is None else self._status
            except MachineError:
                if self._status is None:
                    time.sleep(SECONDS_UNTIL_ENDED)
                    self._restore()
            self._workers.give_back(self._worker)
            self._worker = None
        return 1 if self._status is None else self._status

    def _begin(self) -> None:
        self._worker = self._workers.take()
        if self._worker is not None:
            if self._n_lost:
                self._restore()
            self._workers.fleet.ask(self._worker, self._command)

    def _restore(self) -> None:
        furnish(self._place.snapshot, self._place.folder, self._place.device)

    def _lose(self, why: str) -> None:
        if self._worker is not None:
            self._workers.give_back(self._worker)
        self._worker = None
        self._n_lost += 1
        self._not_before = time.monotonic() + SECONDS_UNTIL_ENDED
        if self._n_lost < MOST_TRIES:
            print(f"{self._command.name}: {why}; it goes to another worker", file=sys.stderr, flush=True)
            return
        self._status = 1
        with self._command.log.open("a", encoding="utf-8") as log:
            log.write(f"lost {self._n_lost} times; the last time {why}\n")
