"""What libsndfile cannot be asked of a recording: where an MP3 ends, whether an Ogg does, what a header promised."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import soundfile

_NO_LENGTH = 2**31 - 2**16  # bytes; sox, arecord and ffmpeg write this much or more where they cannot know
_PAGE = 27 + 255 + 255 * 255  # bytes of the longest Ogg page: header, table of segments, segments


@contextmanager
def piped(path: Path) -> Iterator[int]:
    """A pipe that gives an MP3.

    Where an MP3 does not say its length, libsndfile takes it from the size of the file and
    the rate of the first block, and stops there, early or late. In a pipe it reads to the end.
    """
    reader, writer = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), path.open("rb") as source, os.fdopen(writer, "wb") as sink:
            _skip_tags(source)
            shutil.copyfileobj(source, sink)

    thread = Thread(target=feed)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)
        thread.join()


def _skip_tags(source: BinaryIO) -> None:
    """Past the ID3 tags: in a pipe, libsndfile finds no sound behind a picture of the cover."""
    start = 0
    while (head := source.read(10)).startswith(b"ID3"):
        start += 10 + sum(byte << 7 * place for place, byte in enumerate(reversed(head[6:])))
        source.seek(start)
    source.seek(start)


def ends_inside_a_page(path: Path) -> bool:
    """Whether the last page of an Ogg file says that it is longer than what is left of the file.

    libsndfile plays such a file as far as it goes, and tells its log of "junk", or of a missing end.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _PAGE))
        tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    if start < 0:  # a megabyte of tags behind the sound
        return False
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(segments) == page[26]
    return not whole or len(page) < 27 + len(segments) + sum(segments)


def promised_frames(file: soundfile.SoundFile) -> int | None:
    """Frames that the header promises, or None where its writer did not know.

    libsndfile shortens a file that ends too early without an error and tells only its log:
    ``data : 64000 (should be 32000)``.
    """
    n_frames: int = file.frames
    if n_frames == 2**63 - 1:
        return None
    sizes = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    promised, held = (int(sizes[1]), int(sizes[2])) if sizes else (0, 0)
    if promised >= _NO_LENGTH:
        return None
    return max(n_frames, promised * n_frames // held) if held else n_frames
