"""``dvc exp run`` in a workplace, as a process and all that it starts; it ends with the process that started it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spira.sweeps import supervisor
from spira.sweeps.clones import Command, Workplace, end, environment_on


class ExperimentProcess:
    """A process group of its own; all it says goes to the log."""

    def __init__(self, command: Command) -> None:
        asked = [part for text in command.overrides for part in ("-S", text)]
        dvc = [sys.executable, "-m", "dvc", "exp", "run", "--name", command.name, *asked]
        with command.log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-P", supervisor.__file__, *dvc],
                cwd=command.folder,
                env=environment_on(command.device) | {"SPIRA_CHECKPOINTS": str(command.checkpoints)},
                stdin=subprocess.PIPE,  # the supervisor's sign that this process lives
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def end(self) -> int:
        """Ends what is left of it; the exit status."""
        end(self._process)
        if self._process.stdin:
            self._process.stdin.close()
        return self._process.returncode


def start(place: Workplace, name: str, overrides: Sequence[str], log: Path) -> ExperimentProcess:
    """The experiment in its workplace, on this machine."""
    return ExperimentProcess(place.command(name, overrides, log))
