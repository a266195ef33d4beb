"""Text in a sound file beside its sound: INFO of WAV, comments of FLAC and OGG, ID3 of MP3."""

from collections.abc import Iterator, Sequence
from os import SEEK_END
from pathlib import Path

from spira.ingest.personal_data import personal

_MOST = 2**16  # bytes of ID3 that are looked through, pictures left out


def personal_tags(path: Path, comments: Sequence[str]) -> set[str]:
    """Kinds of personal data in a file's tags. (m4a, webm and AMR are not searched.)

    Args:
        path: the file, whose ID3 is read here.
        comments: all other tags, as libsndfile reads them.
    """
    return {kind for text in (*comments, *_texts(path)) if (kind := personal(text))}


def _texts(path: Path) -> Iterator[str]:
    with path.open("rb") as raw:
        head = raw.read(10)
        if head.startswith(b"ID3"):
            yield from _id3(raw.read(min(_size(head[6:], 7), _MOST)), version=head[3])
        raw.seek(-min(128, raw.seek(0, SEEK_END)), SEEK_END)
        if (end := raw.read(128)).startswith(b"TAG"):
            yield from (end[start : start + 30].decode("latin-1") for start in (3, 33, 63, 97))


def _id3(tag: bytes, version: int) -> Iterator[str]:
    """The frames of text, each without its zero bytes: UTF-16 keeps every name readable that way."""
    while len(tag) > 10 and tag[0]:
        end = 10 + _size(tag[4:8], 7 if version == 4 else 8)
        if tag.startswith((b"T", b"COMM")):
            content = tag[10:end].replace(b"\0", b"")
            yield content.decode("utf-8", errors="ignore")
            yield content.decode("latin-1")
        tag = tag[end:]


def _size(digits: bytes, bits: int) -> int:
    return sum(byte << bits * i for i, byte in enumerate(reversed(digits)))
