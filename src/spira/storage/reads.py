"""What making a shard reads, by which it can be sent to another machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

Span = tuple[int, int]  # bytes of a file: the first, and the one behind the last


class Read(NamedTuple):
    """Of a file."""

    path: Path
    spans: Sequence[Span] = ()  # () is all of it
    shown: str = ""  # its name in a message, where its own may name a person
