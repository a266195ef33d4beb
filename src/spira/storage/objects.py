"""Files on storage that all machines reach, by fsspec, where they share no disk: each under its MD5.

An object lies where DVC's remote has it (``files/md5/``), so the storage may be that remote: what was pushed is not
sent again, and what is sent is found by ``dvc push``. Two machines that send the same bytes send one object.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import NamedTuple

from spira.base.errors import DataError, MachineError
from spira.base.files import hash_file, whole
from spira.base.system_errors import naming
from spira.storage.reads import Read, Span

_PIECE = 2**24  # bytes; what is asked for at once
_N_AT_ONCE = 8
LARGEST_GAP = 2**18  # bytes; what lies between two spans is brought too where it is no more


class Sent(NamedTuple):
    """A file that can be brought."""

    path: str  # in the stage's folder
    md5: str  # "" for a folder, of which nothing is read
    n_bytes: int
    spans: tuple[Span, ...]  # that are brought; () is all of it


class Storage:
    """Objects under one address; nothing is ever removed."""

    def __init__(self, url: str) -> None:
        """Raises DataError where fsspec knows no such storage."""
        import fsspec

        from spira.storage import s3

        self.url = url
        s3.configure()
        local = {"auto_mkdir": True} if url.startswith("file:") else {}
        try:
            self._files, self._root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **local)
        except (ValueError, ImportError) as error:
            raise DataError(f"{url}: {error}") from error
        if "s3" in self._files.protocol:
            s3.limit(self._files)

    def send(self, path: Path) -> str:
        """Sends a file, unless it is there; returns its MD5.

        Raises:
            DataError: it cannot be read.
            MachineError: the storage cannot be reached, or refuses.
        """
        with naming(path, "read"):
            digest, n_bytes = hash_file(path, "md5"), path.stat().st_size
        with self._explained(path):
            if self._n_bytes(digest) != n_bytes:
                self._files.put_file(str(path), self._key(digest))
        return digest

    def bring(self, sent: Sent, path: Path) -> None:
        """What was sent becomes a file; of spans, one that has nothing else in it, and takes no more room.

        Raises:
            DataError: the object is not what was sent.
            MachineError: the storage cannot be reached, or refuses.
        """
        if not sent.md5:
            path.mkdir(parents=True, exist_ok=True)
            return
        with self._explained(path), whole(path) as file:
            if sent.spans:
                file.truncate(sent.n_bytes)
                for start, piece in self._pieces(sent):
                    file.seek(start)
                    file.write(piece)
                return
            digest = md5(usedforsecurity=False)
            with self._files.open(self._key(sent.md5), "rb", block_size=_PIECE) as there:
                while piece := there.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() != sent.md5:
                raise DataError(f"{path}: its object in {self.url}, {sent.md5}, has other bytes; remove it there")

    def _pieces(self, sent: Sent) -> Iterator[tuple[int, bytes]]:
        for first in range(0, len(sent.spans), _N_AT_ONCE):
            spans = sent.spans[first : first + _N_AT_ONCE]
            starts, ends = map(list, zip(*spans, strict=True))
            found = self._files.cat_ranges([self._key(sent.md5)] * len(spans), starts, ends, on_error="raise")
            for (start, end), piece in zip(spans, found, strict=True):
                if len(piece) != end - start:
                    raise DataError(f"{sent.path}: its object in {self.url}, {sent.md5}, is too short; remove it there")
                yield start, piece

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
    def _explained(self, path: Path) -> Iterator[None]:
        from spira.storage.faults import FAULTS, fault

        try:
            yield
        except FAULTS as error:
            raise MachineError(f"{self.url}: {path}: {fault(error)}") from error


class Sender:
    """Sends what is read, each file once, several at a time in the order in which they are asked for."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._pool = ThreadPoolExecutor(_N_AT_ONCE)
        self._begun: dict[Path, Future[str]] = {}

    def begin(self, reads: Iterable[Read]) -> None:
        """Waits for nothing."""
        for path, _ in reads:
            if path not in self._begun and path.is_file():
                self._begun[path] = self._pool.submit(self.storage.send, path)

    def sent(self, reads: Iterable[Read]) -> tuple[Sent, ...]:
        """What a worker is told of them, once they are there; what is no file is left out, but for folders.

        Raises:
            DataError: one cannot be read, or lies outside of the current folder, where no worker would look for it.
            MachineError: the storage cannot be reached, or refuses.
        """
        reads = tuple(reads)
        self.begin(reads)
        return tuple(self._sent(path, spans) for path, spans in reads if path in self._begun or path.is_dir())

    def _sent(self, path: Path, spans: Sequence[Span]) -> Sent:
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{path}: must lie in the folder that the stage runs in, to be sent to {self.storage.url}")
        if path not in self._begun:
            return Sent(path.as_posix(), "", 0, ())
        return Sent(path.as_posix(), self._begun[path].result(), path.stat().st_size, _merged(spans))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """In the order of the file; those between which little lies as one."""
    from fsspec.utils import merge_offset_ranges

    if not spans:
        return ()
    starts, ends = map(list, zip(*spans, strict=True))
    _, starts, ends = merge_offset_ranges([""] * len(spans), starts, ends, max_gap=LARGEST_GAP, max_block=_PIECE)
    return tuple(zip(starts, ends, strict=True))
