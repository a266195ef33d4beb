"""What the operating system says of a file, as a sentence with the file's name and what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spira.base.errors import DataError

ADVICE = {
    errno.ENOSPC: "free some of the disk that it is on; `spira doctor` says how much a run needs",
    errno.EDQUOT: "free some of what you may use of that disk; `spira doctor` says how much a run needs",
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


@contextmanager
def naming(path: Path, action: str) -> Iterator[None]:
    """What the system says of a file, with its name, which ``write`` forgets; ``action`` is ``read`` or ``written``."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be {action}: {sentence(error)}") from error


def sentence(error: OSError) -> str:
    """What the system says, and what to do where we know."""
    advice = ADVICE.get(error.errno or 0)
    return os.strerror(error.errno or 0) + (f"; {advice}" if advice else "")
