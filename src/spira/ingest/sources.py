"""Where a recording lies: in a file, in a tar shard, or in memory; each is read as a file, and none is unpacked."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from spira.base.errors import DataError

BLOCK = tarfile.BLOCKSIZE  # bytes; the header of a member, just before its content
PIECE = 2**20  # bytes that are read at once: a limit on memory holds, however long the recording is


class Member(NamedTuple):
    """A recording in a tar shard."""

    tar: Path
    offset: int  # bytes, to its content
    n_bytes: int
    sha256: str


Source = Path | Member


@contextmanager
def as_file(source: Source | bytes) -> Iterator[Path]:
    """The path of a file that holds the recording: for a member and for bytes, of one in memory.

    Raises:
        DataError: a member is not what its manifest says. Its hash is compared here, while it is read anyway.
    """
    if isinstance(source, Path):
        yield source
        return
    with os.fdopen(os.memfd_create("recording"), "wb") as file:
        if isinstance(source, bytes):
            file.write(source)
        else:
            _copy(source, file)
        file.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def read_bytes(source: Source) -> bytes:
    """The whole of a recording's file. Raises DataError as ``as_file``."""
    with as_file(source) as path:
        return path.read_bytes()


def n_bytes(source: Source) -> int:
    """The length of a recording's file; 0 where there is none: a folder's own size is another on each machine."""
    if isinstance(source, Member):
        return source.n_bytes
    try:
        return source.stat().st_size if source.is_file() else 0
    except OSError:
        return 0


def _copy(member: Member, to: BinaryIO) -> None:
    where = f"{member.tar}: bytes {member.offset} to {member.offset + member.n_bytes}"
    digest, left = sha256(), member.n_bytes
    with member.tar.open("rb", buffering=0) as tar:
        tar.seek(member.offset - BLOCK)
        if not _is_header(tar.read(BLOCK), member.n_bytes):
            raise DataError(
                f"{where} must be a recording, as the manifest has it, but the tar has no such member there; is this "
                "the tar that was packed with it?"
            )
        while left and (piece := tar.read(min(left, PIECE))):
            digest.update(piece)
            to.write(piece)
            left -= len(piece)
    if digest.hexdigest() != member.sha256:
        raise DataError(
            f"{where} are not those that were packed: their SHA-256 is another than the manifest's; copy the tar "
            "again, or pack the corpus anew"
        )


def _is_header(block: bytes, size: int) -> bool:
    """Whether this is the header of a file of so many bytes."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return header.isreg() and header.size == size
