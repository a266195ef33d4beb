"""Files that are there whole or not at all, and whose bytes are still those that were written when they are read.

Beside ``x`` lies ``x.sha256``, a line that ``sha256sum --check`` understands. DVC takes a file for unchanged whose
size, inode and time of change are: a bit that the disk has lost is none of these.
"""

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import file_digest
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from spira.base.errors import DataError
from spira.base.system_errors import naming

PART = ".part"  # the end of a name under which a file is being written
SUM = ".sha256"
_BUFFER = 1 << 20  # bytes


class _Part(FileIO):
    """A file whose faults carry the name that it is to have."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with naming(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(os.open(part_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "w")

    def write(self, piece: Any) -> int:
        with naming(self._path, "written"):
            return os.write(self.fileno(), piece)


def part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def sum_of(path: Path) -> Path:
    return path.with_name(path.name + SUM)


@contextmanager
def whole(path: Path, *, summed: bool) -> Iterator[BinaryIO]:
    """A file to write to, which takes its name only once it is complete and on the disk.

    Until then it has another name in the same folder, which is removed when the block fails, and written over by the
    next run when this one is killed.

    Args:
        path: its folder is made.
        summed: whether its checksum is to lie beside it: where another stage reads it.

    Raises:
        DataError: it cannot be written; the message has the cause. Under its name is what was there before.
    """
    part = _Part(path)
    try:
        file = BufferedWriter(part, _BUFFER)
        yield cast("BinaryIO", file)
        file.flush()
        with naming(path, "written"), ThreadPoolExecutor(1) as meanwhile:  # the disk is waited for, and no core is busy
            hashed = meanwhile.submit(digest_of, part_of(path)) if summed else None
            os.fsync(part.fileno())
            digest = hashed.result() if hashed else None
            sum_of(path).unlink(missing_ok=True)  # first: no file is ever beside the checksum of another
            part_of(path).replace(path)
    finally:
        part.close()
        with suppress(OSError):  # it says no more than what has failed before
            part_of(path).unlink(missing_ok=True)
    if digest:
        _write_sum(digest, path)


def write_bytes(content: bytes, path: Path, *, summed: bool) -> None:
    """See ``whole``."""
    with whole(path, summed=summed) as file:
        file.write(content)


def linked(source: Path, digest: str, path: Path) -> None:
    """``path`` becomes a second name of a file that is whole, or a copy where there are no hard links.

    Args:
        source: never written to again but by ``whole``, which leaves other names as they are.
        digest: its SHA-256, which is written beside ``path``.
        path: what was there is gone; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sum_of(path).unlink(missing_ok=True)
    if not (path.exists() and path.samefile(source)):
        path.unlink(missing_ok=True)
        try:
            path.hardlink_to(source)
        except OSError:
            with source.open("rb") as read, whole(path, summed=False) as written:
                shutil.copyfileobj(read, written, _BUFFER)
    _write_sum(digest, path)


def _write_sum(digest: str, path: Path) -> None:
    write_bytes(f"{digest}  {path.name}\n".encode(), sum_of(path), summed=False)


def checked(path: Path) -> Path:
    """The same path, once its bytes are those of the checksum beside it; a file without one is taken as it is.

    The checksum is ``x.sha256``, or that of ``x.dvc`` where ``x`` came by ``dvc add``. A file is read for it once.

    Raises:
        DataError: they are not, or it cannot be read.
    """
    kind, expected = _promised(path)
    if expected and path.is_file():
        with naming(path, "read"):
            state = path.stat()
            found = _hashed(path, kind, state.st_size, state.st_mtime_ns, state.st_ino)
        if found != expected:
            raise DataError(
                f"{path}: damaged, or changed by another than the stage that wrote it: expected {kind} {expected}, "
                f"got {found}; `make doctor` brings it back, or says which stage to run again"
            )
    return path


def _promised(path: Path) -> tuple[str, str]:
    """The kind of checksum and the checksum; "" where there is none."""
    if (beside := sum_of(path)).is_file():
        text = _text(beside)
        return "sha256", text[:64] if text[64:] == f"  {path.name}\n" else repr(text)
    if (beside := path.with_name(f"{path.name}.dvc")).is_file():
        named = re.search(r"\bmd5: ([0-9a-f]{32})$", _text(beside), re.MULTILINE)
        return "md5", named[1] if named else ""
    return "", ""


def _text(path: Path) -> str:
    with naming(path, "read"):
        return path.read_text(encoding="utf-8", errors="replace")


@cache
def _hashed(path: Path, kind: str, *_: int) -> str:
    return digest_of(path, kind)


def digest_of(path: Path, kind: str = "sha256") -> str:
    """Of the bytes that are there now, in hexadecimal; ``kind`` as ``hashlib`` names it."""
    with path.open("rb") as file:
        return file_digest(file, kind).hexdigest()
