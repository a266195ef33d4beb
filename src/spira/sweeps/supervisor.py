"""Runs a command in its own process group, and ends that group once its standard input is closed.

Whoever holds the other end may be killed: the kernel closes it then, so that nothing of the command is left.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from select import select

_SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_TO_END = 5  # after SIGTERM; then by SIGKILL


def main() -> None:
    """Its exit status is the command's."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # the whole group gets it; the command decides what comes of it
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    while (status := command.poll()) is None:
        if select([sys.stdin], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
            os.killpg(0, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                command.wait(SECONDS_TO_END)
            os.killpg(0, signal.SIGKILL)
    sys.exit(status)


if __name__ == "__main__":
    main()
