"""Where a recording lies: in a file, in a tar shard, or in memory; each is read as a file, and none is unpacked."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from spira.base.errors import DataError

BLOCK = tarfile.BLOCKSIZE  # bytes; a tar consists of such blocks
PIECE = 2**20  # bytes that are read at once: a limit on memory holds, however long the recording is
_IN_MEMORY = 2**26  # bytes; a longer member is copied to a file without a name, as no limit on memory counts a memfd


class Member(NamedTuple):
    """A recording in a tar shard."""

    name: str
    tar: Path
    offset: int  # bytes, to its content
    n_bytes: int
    sha256: str

    def span(self) -> tuple[int, int]:
        """The bytes of the tar that are read for it: its header and its content."""
        return _start(self, tar_header(self.name, self.n_bytes)), self.offset + self.n_bytes


Source = Path | Member


@contextmanager
def as_file(source: Source | bytes) -> Iterator[Path]:
    """The path of a file that holds the recording: for a member and for bytes, of one that has no name on any disk.

    Raises:
        DataError: a member is not what its manifest says. Its hash is compared here, while it is read anyway.
    """
    if isinstance(source, Path):
        yield source
        return
    with _nameless(source) as file:
        if isinstance(source, bytes):
            file.write(source)
        else:
            _copy(source, file)
        file.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def _nameless(source: Member | bytes) -> BinaryIO:
    """An empty file in memory; for a long member, which lies on a disk anyway, in the folder for temporary files."""
    if isinstance(source, Member) and source.n_bytes > _IN_MEMORY:
        return TemporaryFile()
    return os.fdopen(os.memfd_create("recording"), "wb")


def tar_header(name: str, n_bytes: int) -> bytes:
    """What precedes a member's content in a tar: its path and its length, and nothing of whom or when it was."""
    header = tarfile.TarInfo(name)
    header.size = n_bytes
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


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


def _start(member: Member, header: bytes) -> int:
    """Where the header should be; a damaged manifest may have an offset before it."""
    return max(0, member.offset - len(header))


def _copy(member: Member, to: BinaryIO) -> None:
    where = f"{member.tar}: bytes {member.offset} to {member.offset + member.n_bytes}"
    header = tar_header(member.name, member.n_bytes)
    digest, left = sha256(), member.n_bytes
    with member.tar.open("rb", buffering=0) as tar:
        tar.seek(_start(member, header))
        if tar.read(len(header)) != header:
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
