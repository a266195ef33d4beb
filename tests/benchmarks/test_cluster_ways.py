"""`make bench-ways` finds a byte that differs; its long form is 100,000 clips."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import cluster_ways
from cluster_ways import Folder, RunStage

CHANGED = "data/predictions.csv"
ARGUMENTS = ("--clips", "400", "--shard-bytes", "262144")


@contextmanager
def careless(folder: Folder) -> Iterator[RunStage]:
    """Changes one byte of one file, once all are made."""
    with cluster_ways.threads(1, folder) as run_stage:
        yield run_stage
    scores = folder.path / CHANGED
    scores.write_bytes(scores.read_bytes().replace(b"1", b"2", 1))


@pytest.mark.long
def test_every_way_makes_the_same_bytes_and_one_that_does_not_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker is killed in the middle of each stage that makes shards."""
    monkeypatch.setitem(cluster_ways.WAYS, "careless", careless)
    monkeypatch.setattr(sys, "argv", ["cluster_ways.py", *ARGUMENTS])
    with pytest.raises(SystemExit, match="1"):
        cluster_ways.main()
    said = capsys.readouterr()
    rows = [row.split(" | ") for row in said.out.splitlines() if row.startswith("| ")][1:]
    last = {row[0].removeprefix("| "): row[-1].removesuffix(" |") for row in rows}
    assert last.pop("careless") == CHANGED
    assert list(last) == [name for name in cluster_ways.WAYS if name != "careless"]
    assert all(answer == "yes" or answer.startswith("left out") for answer in last.values())
    assert said.err.count("a worker was killed after") == 3
