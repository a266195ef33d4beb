"""Pages of an Ogg file: libsndfile plays only the first stream, and mentions the rest only in its log."""

from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from spira.ingest.acceptance import Refusal
from spira.ingest.containers.endings import MEND, anything_between, without_tags

_PIECE = 2**16  # bytes
_BEGINS, _ENDS = 2, 4  # flags of a page


class _Page(NamedTuple):
    end: int  # byte after it, by what it says
    flags: int
    granule: int  # samples up to its end; -1 where no packet ends in it
    serial: bytes  # of its stream


def refuse_pages(file: BinaryIO, n_bytes: int) -> Refusal | None:
    """Refuses a file that ends inside a page, or has sound after the end of the first stream.

    A chain of streams is one sound to a player, but two recordings to a table: whether they belong in one row is
    not for us to say.
    """
    end, sounds, ended = 0, False, set()
    last: dict[bytes, int] = defaultdict(lambda: -1)  # granule of each stream
    for page in _pages(file, n_bytes):
        if page.end > n_bytes:
            return Refusal("truncated", "the file ends inside an Ogg page")
        if (page.flags & _BEGINS and sounds) or page.serial in ended:
            return Refusal("trailing", "a second Ogg stream follows the first: split them, or join them into one")
        if page.flags & _ENDS:
            ended.add(page.serial)
            if 0 <= page.granule < last[page.serial]:
                before = f"one before at {last[page.serial]}"
                return Refusal("trailing", f"the last Ogg page ends at {page.granule} samples, {before}: {MEND}")
        last[page.serial] = max(last[page.serial], page.granule)
        end, sounds = page.end, sounds or not page.flags & _BEGINS
    if anything_between(file, end, without_tags(file, n_bytes)):
        return Refusal("trailing", f"{n_bytes - end} bytes follow the last Ogg page: {MEND}")
    return None


def _pages(file: BinaryIO, n_bytes: int) -> Iterator[_Page]:
    at = 0
    while (at := _next(file, at, n_bytes)) < n_bytes:
        file.seek(at)
        head = file.read(27)
        segments = file.read(head[26]) if len(head) == 27 else b""
        complete = len(head) == 27 and len(segments) == head[26]
        end = at + 27 + len(segments) + sum(segments) if complete else n_bytes + 1
        granule = int.from_bytes(head[6:14], "little", signed=True)
        yield _Page(end, head[5] if len(head) > 5 else 0, granule, head[14:18])
        at = end


def _next(file: BinaryIO, at: int, n_bytes: int) -> int:
    """Where the next page begins, holes passed over; ``n_bytes`` where there is none."""
    for piece in range(at, n_bytes, _PIECE):
        file.seek(piece)
        found = file.read(_PIECE + 3).find(b"OggS")
        if found >= 0:
            return piece + found
    return n_bytes
