"""The two errors that a person is meant to read, and how a stage shows them.

Both say where, what was expected and what was found. So does a disk that is full, broken or closed to us, which is
nobody's mistake in this repository; everything else that escapes a stage is a defect of it and keeps its traceback.
"""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from spira.utf8 import escape_what_cannot_be_shown, restart_in_utf8

ADVICE = {
    errno.ENOSPC: "free some of the disk that it is on; `make doctor` says how much a run needs",
    errno.EDQUOT: "free some of what you may use of that disk; `make doctor` says how much a run needs",
    errno.EFBIG: "larger than this process may write; see `ulimit -f`",
    errno.EIO: "the disk fails; see `dmesg`, and work on another",
    errno.EROFS: "mount that disk for writing, or work in another folder",
    errno.EACCES: "run as the user who owns it, or chown it",
    errno.EPERM: "run as the user who owns it, or chown it",
    errno.EMFILE: "raise the limit on open files; see `ulimit -n`",
    errno.ENFILE: "the machine has too many files open; end what holds them",
    errno.ENOMEM: "free memory, or work with fewer processes",
    errno.EAGAIN: "raise the limit on processes; see `ulimit -u`",
    errno.ESTALE: "the file server lost it; mount that disk anew",
}


class ParamError(ValueError):
    """``params.yaml`` asks for something that no stage can do."""


class DataError(ValueError):
    """A file that a stage was given is missing, broken or contradictory, or one that it makes cannot be written."""


class MachineError(RuntimeError):
    """The machine failed at something, which is no fact about what it worked on; it may be worth one more try."""


@contextmanager
def naming(path: Path, done: str) -> Iterator[None]:
    """What the system says of a file, with its name, which ``write`` forgets; ``done`` is ``read`` or ``written``."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be {done}: {sentence(error)}") from error


@contextmanager
def told() -> Iterator[None]:
    """The message of a ``ParamError`` or ``DataError``, or of a disk that fails, without a traceback; exit status 1.

    130 after Ctrl-C and 143 after SIGTERM, each once what was half done is put away. A command that is asked for
    ``--help`` says what it does, and does nothing. It starts anew where the locale would change names of files.
    """
    restart_in_utf8()
    escape_what_cannot_be_shown()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(
            sys.modules["__main__"].__doc__,
            "Settings are in params.yaml, files and descriptions in dvc.yaml.",
            sep="\n",
        )
        sys.exit()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except (ParamError, DataError) as error:
        sys.exit(f"{type(error).__name__}: {visible(str(error), lines=True)}")
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        sys.exit(f"DataError: {visible(str(error.filename or 'a file'))}: {sentence(error)}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def visible(text: str, *, lines: bool = False) -> str:
    """What a terminal shows as it is: control codes, turned writing and what has no shape as their escapes.

    Args:
        lines: whether line ends stay as they are.
    """
    shown = (char if char.isprintable() or (lines and char == "\n") else ascii(char)[1:-1] for char in text)
    return "".join(shown)


def sentence(error: OSError) -> str:
    """What the system says, and what to do where we know."""
    advice = ADVICE.get(error.errno or 0)
    return os.strerror(error.errno or 0) + (f"; {advice}" if advice else "")


def _end(number: int, _: object) -> NoReturn:
    """A second SIGTERM ends it there and then."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)
