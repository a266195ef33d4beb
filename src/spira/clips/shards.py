"""Shards: the parts of what is too large for one file, each recording in the one that a hash of its name picks.

Their number is a power of two that grows with the bytes. One recording more changes one shard; at a doubling half of
each shard's recordings stay, and the others have a shard of their own.
"""

from collections.abc import Sequence
from hashlib import sha256

SHARD_BYTES = 2**26  # of frames, or of recordings as they were brought; a shard has one to two times as many


def count_shards(n_bytes: int, shard_bytes: int) -> int:
    """The largest power of two by which a shard has ``shard_bytes`` on average at least; 1 where there are fewer."""
    return 1 << max(0, (n_bytes // shard_bytes).bit_length() - 1)


def assign_shards(names: Sequence[str], n_shards: int) -> list[int]:
    """The number of each name's shard, from 0."""
    return [int.from_bytes(sha256(name.encode()).digest()[:4], "little") % n_shards for name in names]
