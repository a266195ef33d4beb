"""What a stage, or a sweep, and the processes that work for it say to each other, as bytes.

Nobody in between opens them. They are pickles, as is all that Dask sends: who reaches a scheduler's port can run code,
with or without these.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spira.storage.objects import Sent


class SharedFolder(NamedTuple):
    """Where a process for a stage starts: in the stage's own folder, on a disk that both see."""

    path: str
    sign: str  # a file in it, which says that both see the same folder
    signed: str  # what is in that file


class SentFolder(NamedTuple):
    """Where a process for a stage starts: in a folder of its own, with what was sent."""

    storage: str  # its address
    code: Sent  # an archive of the stage's code and parameters
    files: tuple[Sent, ...]  # that all shards read


class Errand(NamedTuple):
    """What a worker must know to start a process for a stage."""

    token: str  # of this run of the stage
    folder: SharedFolder | SentFolder
    source: str  # the folder of its code, seen from there
    written: Path  # likewise, for a shard's file until that has its name
    packages: tuple[str, ...]  # whose versions are compared
    programs: tuple[str, ...]  # likewise
    job: bytes
    seconds_idle: float  # without a message, after which the process for it ends by itself


class Made(NamedTuple):
    """A shard, made."""

    result: Any
    digest: str  # of its file; "" where there is none


class Raised(NamedTuple):
    """Instead of a shard: the work raised an error, which another worker's would too."""

    kind: str
    message: str
    trace: str


class Lost(NamedTuple):
    """Instead of a shard: the process that made it is gone, which is no fact about the shard."""

    reason: str


def packed(message: object) -> bytes:
    return pickle.dumps(message, protocol=5)


def opened(message: bytes) -> Any:
    return pickle.loads(message)


def environment(errand: Errand, folder: Path, inherited: Mapping[str, str], separator: str) -> dict[str, str]:
    """What a process for the errand is started with: the stage's own code, and one thread unless something is set."""
    paths = [str(folder / errand.source), *filter(None, [inherited.get("PYTHONPATH")])]
    return {"OMP_NUM_THREADS": "1", **inherited, "PYTHONPATH": separator.join(paths)}
