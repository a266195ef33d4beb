"""A Dask cluster of this machine, in processes that can be killed."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tiny import ROOT


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


class Cluster:
    """A real scheduler, and workers that are processes as on other machines."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._log = (folder / "cluster.log").open("ab")
        self._all: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        file.unlink(missing_ok=True)  # of another that was here
        command = ["distributed.cli.dask_scheduler", "--host", host, "--port", "0", "--no-dashboard"]
        self._start(*command, "--no-jupyter", "--scheduler-file", "scheduler.json", cwd=folder)
        assert eventually(lambda: file.exists() and file.read_text().endswith("}"))
        (self.address,) = re.findall(r'"address": "(tcp:[^"]*)"', file.read_text())

    def worker(
        self, cwd: Path, there: Sequence[str] = (), options: Sequence[str] = (), **environment: str
    ) -> "subprocess.Popen[bytes]":
        """``there`` are the words before a command that runs on another host; ``options`` are Dask's."""
        command = "spira", "worker", self.address, "--no-nanny", "--no-dashboard", *options
        return self._start(*command, cwd=cwd, there=there, **environment)

    def _start(
        self, *command: str, cwd: Path, there: Sequence[str] = (), **environment: str
    ) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests/support")])
        process = subprocess.Popen(
            [*there, sys.executable, "-m", *command],
            cwd=cwd, env={**os.environ, "PYTHONPATH": path, **environment}, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self._all.append(process)
        return process

    def stop(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()
        self._log.close()
