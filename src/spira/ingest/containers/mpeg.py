"""Count the blocks of an MP3 by their headers: libsndfile plays as many as the first one promises."""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from spira.ingest.containers.endings import MEND, skip_tags, without_tags

_DIVISORS = {3: 1, 2: 2, 0: 4}  # of the rates, by the two bits of the version
_RATES = (44100, 48000, 32000)  # Hz
_KBITS = {  # a second, by whether it is version 1, and the layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_IN_A_ROW = 3  # headers; as many by chance are in no picture and in no text
_GAP = 2**22  # bytes without a block, at most
_PIECE = 2**16  # bytes


class _Block(NamedTuple):
    n_bytes: int
    kind: tuple[int, int, bool]  # layer, Hz, mono: libsndfile stops where one of them changes


def blocks_left_out(file: BinaryIO, start: int, end: int) -> str | None:
    """What libsndfile silently leaves out of the MP3 between two bytes, in words; None where it reads all."""
    file.seek(start)
    skip_tags(file)
    blocks = _blocks(file, file.tell(), without_tags(file, end))
    at, first = next(blocks, (0, None))
    if first is None:
        return None
    file.seek(at)
    promised = _promised(file.read(first.n_bytes))
    n_blocks = 0 if promised is not None else 1  # the one that promises holds no sound
    n_others = 0
    for _, block in blocks:
        n_blocks += 1
        n_others += block.kind != first.kind
    if n_others >= _IN_A_ROW:
        return f"{n_others} of {n_blocks} blocks are of another sample rate, or mono beside stereo: {MEND}"
    if promised is not None and n_blocks > promised + 1:
        return f"the header promises {promised} blocks, {n_blocks} are there: {MEND}"
    return None


def _promised(block: bytes) -> int | None:
    found = re.search(rb"(?:Xing|Info)...[\x01\x03\x05\x07\x09\x0b\x0d\x0f](....)", block[:200], re.DOTALL)
    return int.from_bytes(found[1], "big") if found else None


def _blocks(file: BinaryIO, at: int, end: int) -> Iterator[tuple[int, _Block]]:
    """Yields each block and where it begins; what lies between two of them is passed over."""
    while at + 4 <= end:
        block = _block_at(file, at)
        if block is None or at + block.n_bytes > end:
            at = _next(file, at + 1, end)
            continue
        yield at, block
        at += block.n_bytes


def _next(file: BinaryIO, at: int, end: int) -> int:
    """Where the next run of blocks begins, tags passed over; ``end`` where there is none."""
    for piece in range(at, min(end, at + _GAP), _PIECE):
        file.seek(piece)
        for found in re.finditer(rb"\xff[\xe2-\xff]", file.read(_PIECE + 1)):
            if _is_run(file, piece + found.start()):
                return piece + found.start()
    return end


def _is_run(file: BinaryIO, at: int) -> bool:
    kinds = set()
    for _ in range(_IN_A_ROW):
        block = _block_at(file, at)
        if block is None:
            return False
        kinds.add(block.kind)
        at += block.n_bytes
    return len(kinds) == 1


def _block_at(file: BinaryIO, at: int) -> _Block | None:
    file.seek(at)
    head = file.read(4)
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE2:
        return None
    version, layer, rate, kbits = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 2 & 3, head[2] >> 4
    if version not in _DIVISORS or layer == 4 or rate == 3 or not 1 <= kbits <= 14:
        return None
    hertz, padding = _RATES[rate] // _DIVISORS[version], head[2] >> 1 & 1
    bits = 1000 * _KBITS[version == 3, layer][kbits - 1]
    if layer == 1:
        n_bytes = (12 * bits // hertz + padding) * 4
    else:
        n_bytes = (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
    return _Block(n_bytes, (layer, hertz, head[3] >> 6 == 3))
