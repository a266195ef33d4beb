"""A FLAC file as if its header did not say how long it is, so that what follows its promised end is found."""

from os import SEEK_END, SEEK_SET
from typing import BinaryIO

from spira.adapters.endings import skip_tags, without_tags

_TAIL = 2**16  # bytes; libFLAC is not further ahead of what it decodes
_PADDING = bytes(16)
_MARKER = b"\0\0\0\x22"  # after "fLaC", of every header


class LengthlessFlac:
    """What ``soundfile`` reads in place of the file, tags at its end left out.

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
        file.seek(0)

    def read(self, n_bytes: int) -> bytes:
        at = self._file.tell()
        try:
            content = self._file.read(max(0, min(n_bytes, self._end - at)))
        except OSError:  # what calls this is C, which no exception passes; who asks why the sound ends will meet it too
            return b""
        if at >= self._field.stop:
            return content
        mask = {place - at: 0xF0 if place == self._field.start else 0 for place in self._field}
        return bytes(byte & mask.get(i, 0xFF) for i, byte in enumerate(content))

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._file.seek(self._end + offset if whence == SEEK_END else offset, whence % SEEK_END)

    def tell(self) -> int:
        return self._file.tell()

    def is_padded(self) -> bool:
        """Whether the file ends in noughts, and no other begins shortly before them."""
        self._file.seek(max(0, self._end - _TAIL))
        tail = self._file.read(_TAIL)
        return tail.endswith(_PADDING) and b"fLaC" + _MARKER not in tail[4:]
