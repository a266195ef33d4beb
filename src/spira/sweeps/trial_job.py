"""What a worker's process does for a sweep: it starts an experiment, says how that is going, and ends it."""

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spira.base.errors import DataError, MachineError
from spira.cluster.address import ASKED
from spira.sweeps.clones import Command, devices
from spira.sweeps.experiment_process import ExperimentProcess


@dataclass(frozen=True)
class TrialJob:
    """Of a sweep in this folder."""

    root: Path

    def __call__(self) -> "Trial":
        """Raises DataError where this machine has the folder at another path: clones and their cache name it."""
        if not (self.root.is_dir() and self.root.samefile(Path.cwd())):
            raise DataError(f"a sweep's folder must be at the same path on all machines, {self.root}, got {Path.cwd()}")
        return Trial()


class Trial:
    """At most one experiment, which ends with this process."""

    def __init__(self) -> None:
        self._process: ExperimentProcess | None = None

    def __call__(self, asked: Command | str) -> Any:
        """Starts a command, which lasts longer than this call; else the answer to a question.

        Args:
            asked: a command, ``"slot"``, ``"poll"`` or ``"end"``.

        Raises:
            MachineError: the process in which the experiment was started is gone, and so is the experiment.
        """
        device = next(iter(devices(os.environ)), None)
        if isinstance(asked, Command):
            os.environ.pop(ASKED, None)  # stages would wait for the workers that their sweep keeps busy
            self._process = ExperimentProcess(replace(asked, device=device))
            return None
        if asked == "slot":
            return device and (platform.node(), device)
        if self._process is None:
            raise MachineError("its process is another than the one that began")
        return self._process.end() if asked == "end" else self._process.poll()
