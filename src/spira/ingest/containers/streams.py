"""What libsndfile does not say about a recording: where an MP3 ends, and what its header promised."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import soundfile

from spira.ingest.containers.chunks import NO_LENGTH
from spira.ingest.containers.endings import skip_tags

_PIECE = 2**16  # bytes


class SoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read front to back, and never sought in.

    ``SoundFile.read`` seeks after every piece, which fails at the end of a streamed FLAC, unless the file says that it
    cannot.
    """

    def seekable(self) -> bool:
        """Never."""
        return False


@contextmanager
def piped(path: Path, start: int, end: int) -> Iterator[int]:
    """A pipe that gives the MP3 between two bytes of a file.

    Where an MP3 does not say its length, libsndfile takes it from the size of the file and
    the rate of the first block, and stops there, early or late. In a pipe it reads to the end.
    """
    reader, writer = os.pipe()

    def feed() -> None:
        # a reader that is gone has read enough; a disk that fails is found later, when the end is checked
        with suppress(OSError), path.open("rb") as source, os.fdopen(writer, "wb") as sink:
            source.seek(start)
            skip_tags(source)
            while piece := source.read(min(_PIECE, end - source.tell())):
                sink.write(piece)

    thread = Thread(target=feed)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)
        thread.join()


def promised_frames(file: SoundFile) -> int | None:
    """Frames that the header promises, or None where its writer did not know.

    libsndfile shortens a file that ends too early without an error and says so only in its log:
    ``data : 64000 (should be 32000)``.
    """
    n_frames: int = file.frames
    if n_frames == 2**63 - 1:
        return None
    sizes = re.search(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    promised, present = (int(sizes[1]), int(sizes[2])) if sizes else (0, 0)
    if promised >= NO_LENGTH:
        return None
    return max(n_frames, promised * n_frames // present) if present else n_frames
