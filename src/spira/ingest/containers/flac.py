"""A FLAC file read as if its header did not say its length, so that what follows its promised end is found."""

from os import SEEK_END, SEEK_SET
from typing import Any, BinaryIO

from spira.ingest.containers.endings import skip_tags, without_tags

_TAIL = 2**16  # bytes; libFLAC is not further ahead of what it decodes
_PADDING = bytes(16)
_MARKER = b"\0\0\0\x22"  # after "fLaC", of every header


class LengthlessFlac:
    """The file that ``soundfile`` reads instead, without the tags at its end.

    Attributes:
        promised: samples a channel, as the header says; None where it does not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = without_tags(file, file.seek(0, SEEK_END))
        file.seek(0)
        skip_tags(file)
        start = file.tell()
        self.promised = int.from_bytes(file.read(26)[21:], "big") % 2**36 or None
        self._field = range(start + 21, start + 26)  # its lower 36 bits hold the length
        self._at = file.seek(0)

    def readinto(self, buffer: Any) -> int:
        """Called for every few thousand bytes."""
        n_bytes = min(len(buffer), self._end - self._at)
        if n_bytes <= 0:
            return 0
        try:
            n_read = self._file.readinto(memoryview(buffer)[:n_bytes])  # type: ignore[attr-defined]
        except (
            OSError
        ):  # what calls this is C, which no exception passes; ``decode`` meets it again when it asks why the sound ends
            return 0
        if self._at < self._field.stop:
            for at in range(max(self._at, self._field.start), min(self._at + n_read, self._field.stop)):
                kept = 0xF0 if at == self._field.start else 0
                buffer[at - self._at] = bytes([buffer[at - self._at][0] & kept])
        self._at += n_read
        return int(n_read)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._at = self._file.seek(self._end + offset if whence == SEEK_END else offset, whence % SEEK_END)
        return self._at

    def tell(self) -> int:
        return self._at

    def is_padded(self) -> bool:
        """Whether the file ends in zero bytes, and no other begins shortly before them."""
        self._file.seek(max(0, self._end - _TAIL))
        tail = self._file.read(_TAIL)
        return tail.endswith(_PADDING) and b"fLaC" + _MARKER not in tail[4:]
