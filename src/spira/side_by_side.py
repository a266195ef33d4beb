"""side_by_side: the trainings that ``dvc repro`` would run one after the other, so many at once.

``python -m spira.side_by_side JOBS``, which ``make repro JOBS=3`` runs before the rest. Trainings read the same files
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
from itertools import cycle, islice
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from spira.adapters.workers import n_cores
from spira.adapters.workplaces import devices, dvc, end, environment_on
from spira.errors import told

BEFORE = ("split", "featurize")  # what a training reads comes from these, and from the stages before them
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
        """One training, in DVC's hands; whether it came to its end."""
        device = self._free.get()
        try:
            return not self.stop.is_set() and self._ran(stage, device)
        finally:
            self._free.put(device)

    def _ran(self, stage: str, device: str | None) -> bool:
        environment = {"OMP_NUM_THREADS": self._threads, **environment_on(device)}
        # each holds DVC's lock but while its command runs; by itself DVC waits for it no longer than 3 s
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            while not self.stop.wait(0.1) and process.poll() is None:
                pass
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end(process)
        return process.returncode == 0


def side_by_side(jobs: int) -> int:
    """Runs the trainings that are to run; the exit status."""
    command = [sys.executable, "-m", "dvc", "repro", *BEFORE]
    if status := subprocess.run(command, env=environment_on(None), check=False).returncode:
        return status
    todo = [stage for stage in json.loads(dvc(Path.cwd(), "status", "--json")) if stage.startswith("train@")]
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
        prog="python -m spira.side_by_side", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("jobs", type=int, help="trainings at once")
    asked = parser.parse_args(arguments)
    if asked.jobs < 1:
        parser.error(f"jobs: must be at least 1, got {asked.jobs}")
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell starts `make repro &` deaf to it
        signal.signal(number, signal.default_int_handler)
    return side_by_side(asked.jobs)


if __name__ == "__main__":
    with told():
        sys.exit(main(sys.argv[1:]))
