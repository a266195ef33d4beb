"""Locks on files, which the kernel takes from a process that ends; and file systems that have none."""

import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spira.base.errors import DataError

# Lustre mounted without -o flock, NFS without its lock daemon, some FUSE; by POSIX, EINVAL
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def locked(file: IO[Any], how: Callable[[IO[Any], int], Any], holder: str) -> bool:
    """Whether the lock is ours now; False where another process has it.

    Where the file system has no locks it counts as ours, and stderr says that nothing keeps a second one away.

    Args:
        how: ``fcntl.lockf``, whose lock a forked worker does not inherit, or ``fcntl.flock``, whose lock it does.
        holder: who would take it, in words.
    """
    try:
        how(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        why = os.strerror(error.errno or 0)
        print(
            f"{file.name}: no locks on this file system ({why}): nothing keeps a second {holder} away", file=sys.stderr
        )
    return True


@contextmanager
def alone(path: Path, holder: str, refusal: str) -> Iterator[int]:
    """The descriptor of a lock on a file, held for the length of the block, and by a process that is given it.

    Args:
        path: its folder is made.
        holder: as of ``locked``.
        refusal: a sentence.

    Raises:
        DataError: another process holds it; the refusal says who that may be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if not locked(file, fcntl.flock, holder):
            raise DataError(f"{path}: {refusal}")
        yield file.fileno()
