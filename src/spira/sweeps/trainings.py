"""The trainings of this repository that are to run, several at once.

Trainings read the same files and each writes its own. On a CPU they share the cores, since a training's threads wait
for each other; GPUs are dealt out in turn. The same bytes as one after the other.
"""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from spira.sweeps.clones import devices, dvc, end, environment_on

BEFORE = ("split", "featurize")  # what a training reads comes from these, and from the stages before them
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_STOP = 10.0  # for DVC to give its locks back


class Trainings:
    """What those that run at once share."""

    def __init__(self, jobs: int, n_cores: int) -> None:
        found = devices(os.environ)
        self._free: SimpleQueue[str | None] = SimpleQueue()
        for device in islice(cycle(found or [None]), jobs):
            self._free.put(device)
        self._threads = str(max(1, n_cores // jobs))
        self.stop = Event()

    def run(self, stage: str) -> bool:
        """One training; whether it came to its end."""
        device = self._free.get()
        try:
            environment = {"OMP_NUM_THREADS": self._threads, **environment_on(device)}
            # each holds DVC's lock but while its command runs; by itself DVC waits for it no longer than 3 s
            words = ["--wait-for-lock", "repro", "--single-item", stage]
            return not self.stop.is_set() and run_dvc(words, environment, self.stop) == 0
        finally:
            self._free.put(device)


def run_dvc(words: list[str], environment: dict[str, str], stop: Event) -> int:
    """The exit status of DVC, which is interrupted as Ctrl-C would once ``stop`` is set, or this program is."""
    process = subprocess.Popen([sys.executable, "-m", "dvc", *words], env=environment, start_new_session=True)
    try:
        while process.poll() is None and not stop.wait(SECONDS_BETWEEN_LOOKS):
            pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_STOP)
        end(process)
    return process.returncode


def train_parallel(jobs: int, n_cores: int) -> int:
    """Runs the trainings that are to run; the exit code: 1 where one failed.

    Args:
        jobs: trainings at once.
        n_cores: that they share.
    """
    if status := run_dvc(["repro", *BEFORE], environment_on(None), Event()):
        return status
    todo = list(json.loads(dvc(Path.cwd(), "status", "--json", "train")))
    jobs = min(jobs, len(todo))
    if jobs < 2:
        return 0  # ``dvc repro`` does it as well
    print(f"{len(todo)} trainings, {jobs} at once", flush=True)
    trainings = Trainings(jobs, n_cores)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            ended_well = list(pool.map(trainings.run, todo))
        except BaseException:
            trainings.stop.set()
            raise
    if failed := [stage for stage, well in zip(todo, ended_well, strict=True) if not well]:
        print(f"{len(failed)} of {len(todo)} trainings failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))
