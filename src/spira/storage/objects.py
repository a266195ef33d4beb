"""Files on storage that all machines reach, by fsspec, where they share no disk: each under its MD5.

An object lies where DVC's remote has it (``files/md5/``), so the storage may be that remote: what was pushed is not
sent again, and what is sent is found by ``dvc push``. Two machines that send the same bytes send one object.
"""

import asyncio
import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import Literal, NamedTuple

from spira.base.errors import DataError, MachineError
from spira.base.files import hash_file, whole
from spira.base.system_errors import naming
from spira.storage.reads import Read, Span

_PIECE = 2**24  # bytes; what is asked for at once
_N_AT_ONCE = 8
_N_PIECES = 2  # of a file that are on their way at once, each in memory
_SECONDS_BETWEEN_LOOKS = 0.1
LARGEST_GAP = 2**18  # bytes; what lies between two spans is brought too where it is no more


Kind = Literal["file", "folder", "pipe", "link"]  # a pipe, a socket or a device; a link that leads nowhere


class Sent(NamedTuple):
    """A file that can be brought, or what is in the place of one."""

    path: str  # in the stage's folder
    md5: str  # "" for what is no file, of which nothing is read
    n_bytes: int
    spans: tuple[Span, ...]  # that are brought; () is all of it
    shown: str  # its name in a message
    spans_md5: str = ""  # of what the spans hold, one behind the other; "" where all is brought
    kind: Kind = "file"


class Storage:
    """Objects under one address; nothing is removed but what was just sent with other bytes than its name says."""

    def __init__(self, url: str) -> None:
        """Raises DataError where fsspec knows no such storage, or cannot begin with it."""
        import fsspec

        from spira.storage import s3

        self.url = url
        s3.configure()
        local = {"auto_mkdir": True} if url.startswith(("file:", "local:")) else {}
        try:
            self._files, self._root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **local)
        except (ValueError, ImportError, TypeError, OSError) as error:  # an address lacks what its kind must have
            raise DataError(f"{url}: {error}") from error
        if "s3" in self._files.protocol:
            s3.limit(self._files)

    def send(self, path: Path, shown: str = "") -> str:
        """Sends a file, unless it is there; returns its MD5.

        Args:
            path: of the file.
            shown: its name in a message, where that is another.

        Raises:
            DataError: it cannot be read, or changed meanwhile.
            MachineError: the storage cannot be reached, or refuses.
        """
        shown = shown or str(path)
        with naming(Path(shown), "read"):
            before, digest = path.stat(), hash_file(path, "md5")
        with self._explained(shown):
            if self._n_bytes(digest) == before.st_size:
                return digest
            self._files.put_file(str(path), self._key(digest), chunksize=_PIECE, max_concurrency=_N_PIECES)
            with naming(Path(shown), "read"):
                after = path.stat()
            if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
                self._files.rm_file(self._key(digest))
                raise DataError(f"{shown}: changed while it was sent; run again once nobody writes to it")
        return digest

    def bring(self, sent: Sent, path: Path) -> None:
        """What was sent becomes a file; of spans, one that has nothing else in it, and takes no more room.

        Raises:
            DataError: the object is not what was sent.
            MachineError: the storage cannot be reached, or refuses.
        """
        if sent.kind != "file":
            with naming(path, "written"):
                _put_in_place(sent.kind, path)
            return
        digest = md5(usedforsecurity=False)
        with self._explained(sent.shown), whole(path) as file:
            file.truncate(sent.n_bytes)
            for start, piece in self._pieces(sent) if sent.spans else self._whole(sent):
                digest.update(piece)
                file.seek(start)
                file.write(piece)
            if digest.hexdigest() != (sent.spans_md5 or sent.md5):
                raise DataError(f"{sent.shown}: its object in {self.url}, {sent.md5}, has other bytes; remove it there")

    def give_up(self) -> None:
        """Ends, unanswered, all that this process now asks of any storage by S3."""
        if self._files.async_impl:
            loop = self._files.loop
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])

    def _whole(self, sent: Sent) -> Iterator[tuple[int, bytes]]:
        start = 0
        with self._files.open(self._key(sent.md5), "rb", block_size=_PIECE) as there:
            while piece := there.read(_PIECE):
                yield start, piece
                start += len(piece)

    def _pieces(self, sent: Sent) -> Iterator[tuple[int, bytes]]:
        for first in range(0, len(sent.spans), _N_AT_ONCE):
            spans = sent.spans[first : first + _N_AT_ONCE]
            starts, ends = map(list, zip(*spans, strict=True))
            found = self._files.cat_ranges([self._key(sent.md5)] * len(spans), starts, ends, on_error="raise")
            yield from zip(starts, found, strict=True)

    def _n_bytes(self, digest: str) -> int | None:
        """None where there is no such object."""
        try:
            size: int = self._files.info(self._key(digest))["size"]
        except FileNotFoundError:
            return None
        return size

    def _key(self, digest: str) -> str:
        return f"{self._root}/files/md5/{digest[:2]}/{digest[2:]}"

    @contextmanager
    def _explained(self, shown: str) -> Iterator[None]:
        from spira.storage.faults import FAULTS, fault

        try:
            yield
        except FAULTS as error:
            raise MachineError(f"{self.url}: {shown}: {fault(error)}") from error


class Sender:
    """Sends what is read, each file once, several at a time in the order in which they are asked for."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pool = ThreadPoolExecutor(_N_AT_ONCE)
        self._begun: dict[Path, Future[str]] = {}

    def begin(self, reads: Iterable[Read]) -> None:
        """Waits for nothing."""
        for read in reads:
            if read.path not in self._begun and _kind(read) == "file":
                self._begun[read.path] = self._pool.submit(self.storage.send, read.path, read.shown)

    def sent(self, reads: Iterable[Read]) -> tuple[Sent, ...]:
        """What a worker is told of them, once they are there; what there is nothing of is left out.

        Raises:
            DataError: one cannot be read, or lies outside of the current folder, where no worker would look for it.
            MachineError: the storage cannot be reached, or refuses.
        """
        reads = tuple(reads)
        self.begin(reads)
        kinds = [(read, "file" if read.path in self._begun else _kind(read)) for read in reads]
        return tuple(self._sent(read, kind) for read, kind in kinds if kind)

    def _sent(self, read: Read, kind: Kind) -> Sent:
        path, shown = read.path, read.shown or str(read.path)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{shown}: must lie in the folder that the stage runs in, to be sent to {self.storage.url}")
        if kind != "file":
            return Sent(path.as_posix(), "", 0, (), shown, kind=kind)
        digest, spans = self._begun[path].result(), _merged(read.spans)
        with naming(Path(shown), "read"):
            return Sent(path.as_posix(), digest, path.stat().st_size, spans, shown, _spans_md5(path, spans))

    def close(self) -> None:
        """Gives up what is still being sent."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in self._begun.values()):  # some may only now have their file's MD5
            self.storage.give_up()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self._pool.shutdown()


def _kind(read: Read) -> Kind | None:
    """None where there is nothing, nor can be. Raises DataError where the system does not say."""
    path = read.path
    with naming(Path(read.shown or path), "read"):
        try:
            if path.exists():
                return "file" if path.is_file() else "folder" if path.is_dir() else "pipe"
            return "link" if path.is_symlink() else None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return None


def _put_in_place(kind: Kind, path: Path) -> None:
    """What is no file, so that whoever reads it here is refused with the same words."""
    if kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name)  # to itself, and so to nothing


def _spans_md5(path: Path, spans: Sequence[Span]) -> str:
    """ "" where there are none."""
    if not spans:
        return ""
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        for start, end in spans:
            file.seek(start)
            digest.update(file.read(end - start))
    return digest.hexdigest()


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """In the order of the file; those between which little lies as one."""
    from fsspec.utils import merge_offset_ranges

    if not spans:
        return ()
    starts, ends = map(list, zip(*spans, strict=True))
    _, starts, ends = merge_offset_ranges([""] * len(spans), starts, ends, max_gap=LARGEST_GAP, max_block=_PIECE)
    return tuple(zip(starts, ends, strict=True))
