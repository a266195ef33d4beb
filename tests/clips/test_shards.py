"""A recording's name alone decides its shard, and the bytes of all how many there are."""

import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spira.clips.recordings import open_waveforms, waveforms_path
from spira.clips.shards import assign_shards, count_shards

NAMES = [f"patient_{i:05}.wav" for i in range(16_000)]
MB = 2**20


@pytest.mark.parametrize(
    ("megabytes", "expected"),
    [(0, 1), (64, 1), (127, 1), (128, 2), (255, 2), (256, 4), (6400, 64), (230_000, 2048)],
)
def test_more_bytes_have_more_shards(megabytes: int, expected: int) -> None:
    """Each is a file that DVC looks at: of 64 to 128 MB, but for a small corpus."""
    assert count_shards(megabytes * MB, 64 * MB) == expected


@pytest.mark.parametrize("n", [1, 2, 64, 256, 1024])
def test_a_clip_moves_only_where_its_shard_is_cut_in_two(n: int) -> None:
    """Half of a shard's clips stay, and the others have a shard of their own: no clip comes from a third."""
    before, after = assign_shards(NAMES, n), assign_shards(NAMES, 2 * n)
    assert {new - old for old, new in zip(before, after, strict=True)} == {0, n}


def test_a_clips_shard_is_its_names() -> None:
    """Not that of its place, nor of its neighbours."""
    known = dict(zip(NAMES, assign_shards(NAMES, 16), strict=True))
    some = NAMES[::-3]
    assert assign_shards(some, 16) == [known[name] for name in some]


@pytest.mark.parametrize("n", [16, 512])
def test_shards_are_of_one_size(n: int) -> None:
    """Within what chance does, of names as a corpus has them: also where there are more than 256."""
    counts = Counter(assign_shards(NAMES, n))
    mean = len(NAMES) / n
    assert len(counts) == n
    assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())


@pytest.fixture
def few_open_files() -> Iterator[None]:
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))


@pytest.mark.usefixtures("few_open_files")
def test_more_shards_than_files_may_be_open_are_read(tmp_path: Path) -> None:
    """A map holds its file, and a million recordings have thousands of shards; the usual limit is 1024."""
    for shard in range(200):
        np.save(waveforms_path(tmp_path, shard), np.full(3, shard, np.float32))
    opened = open_waveforms(tmp_path, range(200))
    assert [float(opened[shard][2]) for shard in range(200)] == list(range(200))
