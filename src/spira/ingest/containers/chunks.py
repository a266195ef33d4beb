"""The chunks that WAV, RF64, W64, AIFF, CAF, AVI, AU, MP4 are made of: where their sound lies, and where it ends."""

import re
from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import BinaryIO, NamedTuple

NO_LENGTH = 2**31 - 2**16  # bytes; sox, arecord and ffmpeg write this much or more where they cannot know
_SOUND = {b"data", b"SSND", b"BODY", b"movi"}
_ANOTHER = _SOUND | {b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff", b"caff", b"fLaC", b"OggS", b"wavl"}
_ONCE = {b"ftyp", b"moov"}  # in an MP4
_NOTES = {b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"JUNK", b"junk", b"PAD ", b"FLLR", b"free", b"idx1"}


class Chunk(NamedTuple):
    name: bytes
    start: int  # byte of its content
    n_bytes: int  # of its content, as its header says; negative, 0 or huge where the writer did not know


class _Dialect(NamedTuple):
    begins: re.Pattern[bytes]
    header: Struct  # name and size, or size and name
    first: int  # byte of the first chunk
    align: int  # bytes
    counts_itself: bool  # the size includes the header


_MOST = 10_000  # chunks; no writer needs as many
_DIALECTS = (
    _Dialect(re.compile(rb"(RIFF|RF64|BW64)....(WAVE|AVI )", re.DOTALL), Struct("<4sI"), 12, 2, counts_itself=False),
    _Dialect(re.compile(rb"RIFX....WAVE", re.DOTALL), Struct(">4sI"), 12, 2, counts_itself=False),
    _Dialect(re.compile(rb"FORM....(AIFF|AIFC|8SVX|16SV)", re.DOTALL), Struct(">4sI"), 12, 2, counts_itself=False),
    _Dialect(re.compile(rb"riff\x2e\x91\xcf\x11", re.DOTALL), Struct("<16sQ"), 40, 8, counts_itself=True),
    _Dialect(re.compile(rb"caff", re.DOTALL), Struct(">4sq"), 8, 1, counts_itself=False),
    _Dialect(re.compile(rb"....(ftyp|moov|mdat|free|skip|wide)", re.DOTALL), Struct(">I4s"), 0, 1, counts_itself=True),
)


def chunks(file: BinaryIO, n_bytes: int) -> Iterator[Chunk]:
    """Yields the chunks, to the end of the file or to what is no chunk; none where the file has no chunks."""
    return islice(_chunks(file, n_bytes), _MOST)


def _chunks(file: BinaryIO, n_bytes: int) -> Iterator[Chunk]:
    file.seek(0)
    head = file.read(64)
    if head.startswith(b".snd"):
        yield Chunk(b"data", int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big"))
    if head.startswith(b"NIST_1A") and (sound := _sphere(file)):
        yield sound
    dialect = next((d for d in _DIALECTS if d.begins.match(head)), None)
    at, n_large = dialect.first if dialect else n_bytes, -1
    while dialect and at + dialect.header.size <= n_bytes:
        chunk = _chunk(file, at, dialect, n_large)
        if chunk.name == b"ds64":
            n_large = int.from_bytes(file.read(16)[8:], "little")
        yield chunk
        end = chunk.start + max(chunk.n_bytes, 0)
        if end >= n_bytes:
            return
        file.seek(end)
        at = end if file.read(4) in _NOTES else end + -end % dialect.align  # some forget to pad


def _sphere(file: BinaryIO) -> Chunk | None:
    """The sound of NIST SPHERE, where its header says how much there is and it is not compressed."""
    file.seek(8)
    head = file.read(1016)
    fields = {name: int(number) for name, number in re.findall(rb"^(\w+) -i (\d+)", head, re.MULTILINE)}
    if b"shorten" in head or b"sample_count" not in fields or not head[:8].strip().isdigit():
        return None
    n_bytes = fields[b"sample_count"] * fields.get(b"sample_n_bytes", 1) * fields.get(b"channel_count", 1)
    return Chunk(b"data", int(head[:8]), n_bytes)


def _chunk(file: BinaryIO, at: int, dialect: _Dialect, n_large: int) -> Chunk:
    """The chunk that begins here; ``n_large`` is a size of the data that its own 32 bits cannot hold."""
    file.seek(at)
    name, size = dialect.header.unpack(file.read(dialect.header.size))
    start = at + dialect.header.size
    if isinstance(name, int):  # MP4: the size comes first; 1 is in the next 64 bits, 0 is to the end
        name, size = size, name or 2**63
        if size == 1:
            size, start = int.from_bytes(file.read(8), "big"), start + 8
    if name == b"data" and size == 2**32 - 1 and n_large >= 0:
        size = n_large
    return Chunk(name[:4], start, size - (start - at if dialect.counts_itself else 0))


def sound_chunk(file: BinaryIO, n_bytes: int) -> Chunk | None:
    """The first chunk that holds sound; in AVI, the list that holds all of it."""
    return next((chunk for chunk in chunks(file, n_bytes) if _kind(file, chunk) in _SOUND), None)


def end_of_chunks(file: BinaryIO, n_bytes: int) -> int:
    """The byte after the sound and the notes that follow it; ``n_bytes`` where the sound's length is not known."""
    seen: set[bytes] = set()
    end = n_bytes
    for chunk in chunks(file, n_bytes):
        kind = _kind(file, chunk)
        if kind in _ONCE and kind in seen:
            return chunk.start - 8
        if seen & _SOUND:
            fits = chunk.start + chunk.n_bytes <= n_bytes and re.fullmatch(rb"[ -~]{4}", kind)
            if kind in _ANOTHER or not (fits or chunk.name in _NOTES):
                break
        elif kind in _SOUND and not 0 <= chunk.n_bytes < NO_LENGTH:
            return n_bytes
        seen.add(kind)
        if seen & _SOUND:
            end = min(chunk.start + chunk.n_bytes, n_bytes)
    return end


def _kind(file: BinaryIO, chunk: Chunk) -> bytes:
    """The chunk's name; for a list, the name of what it lists."""
    if chunk.name != b"LIST":
        return chunk.name
    file.seek(chunk.start)
    return file.read(4)
