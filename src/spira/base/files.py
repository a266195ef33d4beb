"""Files that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from spira.base.system_errors import naming

PART = ".part"  # the end of a name under which a file is being written
_BUFFER = 1 << 20  # bytes
_BEGIN_TO_SYNC = 1 << 23  # bytes


class _Part(FileIO):
    """A file whose faults carry the name that it is to have."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = self._end = 0  # bytes that the disk was asked for; that were written front to back
        with naming(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(os.open(part_path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "w")

    def write(self, piece: Any) -> int:
        with naming(self._path, "written"):
            n_written = os.write(self.fileno(), piece)
        self._end += n_written
        if self._end - self._begun >= _BEGIN_TO_SYNC:
            self._begin_to_sync()
        return n_written

    def _begin_to_sync(self) -> None:
        """Has the disk begin with what is written, while the next is computed: the sync at the end then waits less."""
        if hasattr(os, "posix_fadvise"):  # the kernel starts to write what it is told is not needed again
            with suppress(OSError):
                os.posix_fadvise(self.fileno(), self._begun, self._end - self._begun, os.POSIX_FADV_DONTNEED)
        self._begun = self._end


def part_path(path: Path) -> Path:
    """The name under which the file is written until it is whole."""
    return path.with_name(path.name + PART)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its name only once it is complete and on the disk.

    Until then it has another name in the same folder, which is removed when the block fails, and written over by the
    next run when this one is killed.

    Args:
        path: its folder is made.

    Raises:
        DataError: it cannot be written; the message has the cause. Under its name is what was there before.
    """
    part = _Part(path)
    try:
        file = BufferedWriter(part, _BUFFER)
        yield cast("BinaryIO", file)
        file.flush()
        with naming(path, "written"):
            os.fsync(part.fileno())
            part_path(path).replace(path)
    finally:
        part.close()
        with suppress(OSError):  # it says no more than what has failed before
            part_path(path).unlink(missing_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    """See ``whole``."""
    with whole(path) as file:
        file.write(content)


def linked(source: Path, path: Path) -> None:
    """``path`` becomes a second name of a file that is whole, or a copy where there are no hard links.

    Args:
        source: never written to again but by ``whole``, which leaves other names as they are.
        path: what was there is gone; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (path.exists() and path.samefile(source)):
        path.unlink(missing_ok=True)
        try:
            path.hardlink_to(source)
        except OSError:
            with source.open("rb") as read, whole(path) as written:
                shutil.copyfileobj(read, written, _BUFFER)


def hash_file(path: Path, kind: str = "sha256") -> str:
    """The hash of the bytes that the file has now, in hexadecimal; ``kind`` as ``hashlib`` names it."""
    with path.open("rb") as file:
        return file_digest(file, kind).hexdigest()
