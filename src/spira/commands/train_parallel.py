"""side_by_side: the trainings that ``dvc repro`` would run one after the other, so many at once.

``spira train-parallel JOBS``, which ``make repro JOBS=3`` runs before the rest. Trainings read the same files
and each writes its own. On a CPU they share the cores out, since a training's threads wait for each other; GPUs are
dealt out in turn. The same bytes as one after the other. Exit status 1 where any failed.
"""

import argparse
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

from spira.base.program import exit_on_error
from spira.clips.parallel import n_cores
from spira.sweeps.clones import devices, dvc, end, environment_on, interruptible

BEFORE = ("split", "featurize")  # what a training reads comes from these, and from the stages before them
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_STOP = 10.0  # for DVC to give its locks back


class Trainings:
    """What those that run at once share."""

    def __init__(self, jobs: int) -> None:
        found = devices(os.environ)
        self._free: SimpleQueue[str | None] = SimpleQueue()
        for device in islice(cycle(found or [None]), jobs):
            self._free.put(device)
        self._threads = str(max(1, n_cores() // jobs))
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


def side_by_side(jobs: int) -> int:
    """Runs the trainings that are to run; the exit status."""
    if status := run_dvc(["repro", *BEFORE], environment_on(None), Event()):
        return status
    todo = list(json.loads(dvc(Path.cwd(), "status", "--json", "train")))
    jobs = min(jobs, len(todo))
    if jobs < 2:
        return 0  # ``dvc repro`` does it as well
    print(f"{len(todo)} trainings, {jobs} at once", flush=True)
    trainings = Trainings(jobs)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            done = list(pool.map(trainings.run, todo))
        except BaseException:
            trainings.stop.set()
            raise
    if failed := [stage for stage, well in zip(todo, done, strict=True) if not well]:
        print(f"{len(failed)} of {len(todo)} trainings failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m spira.commands.train_parallel", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("jobs", type=int, help="trainings at once")
    asked = parser.parse_args(arguments)
    if asked.jobs < 1:
        parser.error(f"jobs: must be at least 1, got {asked.jobs}")
    interruptible()
    return side_by_side(asked.jobs)


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main(sys.argv[1:]))
