"""Experiments side by side, each in a workplace of its own, watched while it runs, here or on a cluster."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol

from spira.sweeps.clones import Workplace
from spira.sweeps.plan import Plan, override

SECONDS_BETWEEN_LOOKS = 0.5
Finish = Callable[[Workplace, float], str]  # keeps what came of it in so many seconds, and says how it ended
Watch = Callable[[Path, str], bool]  # the data of a running experiment and its log -> it is not worth going on


class Running(Protocol):
    """An experiment that was started."""

    def poll(self) -> int | None:
        """The exit status; None while it runs."""

    def end(self) -> int:
        """Ends what is left of it; the exit status."""


Start = Callable[[Workplace, str, Sequence[str], Path], Running]  # its place, name, overrides and log


class Trials:
    """What the experiments of one sweep share."""

    def __init__(self, places: Sequence[Workplace], plan: Plan, logs: Path, start: Start) -> None:
        self._plan, self._logs, self._start = plan, logs, start
        self._free: SimpleQueue[Workplace] = SimpleQueue()
        for place in places:
            self._free.put(place)
        self._speech = Lock()
        self.stop = Event()
        self.failed: dict[str, Path] = {}  # name -> log

    def run(
        self,
        row: str,
        ask: Callable[[], dict[str, Any]],
        finish: Finish,
        watch: Watch | None,
        give_up: Finish | None = None,
    ) -> None:
        """One experiment, from its parameters to what is kept of it. After ``stop`` nothing is kept."""
        place = self._free.get()
        name = self._plan.experiment(row)
        try:
            if self.stop.is_set():
                return
            place.reset()
            overrides = [override(key, value) for key, value in (self._plan.base | ask()).items()]
            self._say(f"{name}: started {' '.join(overrides)}".rstrip())
            began = time.monotonic()
            status, hopeless = self._wait(place, name, overrides, watch)
            seconds = time.monotonic() - began
            if self.stop.is_set():
                return
            if hopeless and give_up:
                outcome = give_up(place, seconds)
            elif status:
                self.failed[name], outcome = self._logs / f"{name}.log", "FAILED"
            else:
                outcome = finish(place, seconds)
            self._say(f"{name}: {outcome} ({seconds / 60:.1f} min)")
        finally:
            self._free.put(place)

    def trained(self, row: str) -> bool:
        """Whether a training ran, rather than came from DVC's cache, so that the time it took says something."""
        log = (self._logs / f"{self._plan.experiment(row)}.log").read_text(encoding="utf-8", errors="replace")
        return any(f"Running stage '{stage}@" in log for stage in ("train", "fit"))

    def _wait(self, place: Workplace, name: str, overrides: list[str], watch: Watch | None) -> tuple[int, bool]:
        """(exit status, whether the watch gave up). Nothing that the experiment started is left."""
        log = self._logs / f"{name}.log"
        running = self._start(place, name, overrides, log)
        hopeless = False

        def seen() -> bool:
            return watch is not None and watch(place.folder / "data", log.read_text(encoding="utf-8", errors="replace"))

        try:
            while running.poll() is None and not self.stop.is_set() and not hopeless:
                time.sleep(SECONDS_BETWEEN_LOOKS)
                hopeless = seen()
        finally:
            status = running.end()
        return status, hopeless or seen()

    def _say(self, text: str) -> None:
        with self._speech:
            print(text, flush=True)
