"""The end of a sound file: tags and padding behind the promised sound, or sound that would be lost."""

from typing import BinaryIO

from spira.ingest.containers.chunks import NO_LENGTH, end_of_chunks, sound_chunk

MEND = "mend the header, or make two files of it"
_LEAST = 8  # bytes; fewer are neither a chunk nor a thousandth of a second
_PIECE = 2**20  # bytes
_MOST_PADDING = 2**28  # bytes; more zero bytes than these are not looked through


def behind_the_sound(file: BinaryIO, n_bytes: int) -> str | None:
    """What would be lost of a file of chunks, in words; None where nothing would.

    Tags (ID3, APE), zero bytes and every chunk that holds no sound may follow the sound.
    """
    sound = sound_chunk(file, n_bytes)
    if sound and sound.n_bytes == 0:  # its writer did not know
        return None
    end = end_of_chunks(file, n_bytes)
    file.seek(end)
    file.seek(end + (file.read(1) == b"\0"))  # which makes the size of a chunk even
    skip_tags(file)
    start, last = file.tell(), without_tags(file, n_bytes)
    if not anything_between(file, start, last):
        return None
    return f"{last - start} bytes follow the sound that the header promises, and are no tags: {MEND}"


def missing_sound(file: BinaryIO, n_bytes: int) -> str | None:
    """How much sound a file of chunks lacks of what its header promises, in words; None where nothing is missing."""
    sound = sound_chunk(file, n_bytes)
    if sound is None or sound.n_bytes >= NO_LENGTH or sound.start + sound.n_bytes - n_bytes < _LEAST:
        return None
    return f"the header promises {sound.n_bytes} bytes of sound, {n_bytes - sound.start} are there"


def nothing_but_notes(file: BinaryIO, n_bytes: int) -> bool:
    """Whether a file whose sound has no length holds only chunks without sound."""
    return without_tags(file, n_bytes) - end_of_chunks(file, n_bytes) < _LEAST


def skip_tags(source: BinaryIO) -> None:
    """Moves the file past the ID3 tags that begin here."""
    start = source.tell()
    while (head := source.read(10)).startswith(b"ID3"):
        start += 10 + sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:])))
        source.seek(start)
    source.seek(start)


def without_tags(file: BinaryIO, n_bytes: int) -> int:
    """Where a file ends without the tags at its end: ID3v1, APE and Lyrics3."""
    end = n_bytes
    while True:
        file.seek(max(0, end - 128))
        tail = file.read(min(128, end))
        if tail.startswith(b"TAG") and len(tail) == 128:
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":  # its size leaves its header out, which is optional
            end -= max(32, int.from_bytes(tail[-20:-16], "little")) + 32 * (tail[-9] >> 7)
        elif tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        else:
            return max(end, 0)


def anything_between(file: BinaryIO, start: int, end: int) -> bool:
    """Whether there is more than padding: zero bytes, or too few bytes to be anything."""
    if end - start < _LEAST:
        return False
    file.seek(start)
    looked_at = min(end, start + _MOST_PADDING)
    return end > looked_at or any(
        file.read(min(_PIECE, end - at)).strip(b"\0") for at in range(start, looked_at, _PIECE)
    )
