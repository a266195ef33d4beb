"""Whether shards of 100,000 clips are the same bytes wherever they are made, workers killed too: `make bench-ways`.

A corpus of 1 s clips, as `benchmarks/scale.py` makes it, goes through the stages once a way, from nothing each time, in
a folder that holds what a worker needs of a repository. The SHA-256 of every file that they write is that of the first
way, or the exit status is 1. The seconds are no measurement: a way runs once, on a machine that may be busy.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from subprocess import run
from threading import Event
from time import perf_counter

from distributed import Client

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import scale
from dask_cluster import Cluster
from s3_servers import Server
from spira.base.arithmetic import variables
from spira.base.files import hash_file
from spira.clips.shards import SHARD_BYTES
from tiny import ROOT
from two_hosts import HOST, lacking, second_host

STAGES = ("ingest", "split", "featurize", "predict")
HERE = {"PYTHONPATH": "src"}  # seen from the folder that all share, wherever a host has it
RunStage = Callable[[str], None]  # by its name


class LeftOutError(Exception):
    """A way that cannot be gone here, and why."""


class Folder:
    """What the stages and their workers share: of the repository, what they read, and the corpus."""

    def __init__(self, path: Path, shard_bytes: int) -> None:
        self.path, self._shard_bytes = path, shard_bytes
        shutil.copytree(ROOT / "src", path / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("params.yaml", "requirements.txt"):
            shutil.copy(ROOT / name, path)

    def run_stage(self, stage: str, *before: str, **environment: str) -> None:
        """A process of its own; ``before`` are the words before its command."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPIRA_CLUSTER")}
        command = [*before, sys.executable, scale.__file__, "--stage", stage, "--folder", "."]
        command += ["--shard-bytes", str(self._shard_bytes)]
        settings = inherited | variables("portable") | HERE | environment
        ended = run(command, cwd=self.path, env=settings, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{stage}: ended with status {ended.returncode}\n{ended.stderr}")

    def outputs(self) -> list[Path]:
        return [path for path in (self.path / "data").iterdir() if path.name not in ("raw", "noise")]

    def digests(self) -> dict[str, str]:
        files = (file for out in self.outputs() for file in (out, *out.rglob("*")) if file.is_file())
        return {str(file.relative_to(self.path)): hash_file(file) for file in files}

    def clear(self) -> None:
        """The next way begins from nothing."""
        for path in [*self.outputs(), self.path / ".ckpt"]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def threads(n: int, folder: Folder) -> Iterator[RunStage]:
    cores = sorted(os.sched_getaffinity(0))[:n]
    if len(cores) < n:
        raise LeftOutError(f"there are not {n} cores")
    pinned = "taskset", "--cpu-list", ",".join(map(str, cores))
    yield lambda stage: folder.run_stage(stage, *pinned, OMP_NUM_THREADS=str(n))


@contextmanager
def local(folder: Folder) -> Iterator[RunStage]:
    yield partial(folder.run_stage, SPIRA_CLUSTER="local:2")


@contextmanager
def scheduler(folder: Folder, host: str = "127.0.0.1") -> Iterator[Cluster]:
    cluster = Cluster(folder.path, host)
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def killed(folder: Folder) -> Iterator[RunStage]:
    """Two workers, of which each stage with shards loses one; the next has another in its place."""
    with scheduler(folder) as cluster, Client(cluster.address, set_as_default=False) as client:
        cluster.worker(folder.path, **HERE)

        def run_stage(stage: str) -> None:
            if stage == "split":
                folder.run_stage(stage)
                return
            victim = cluster.worker(folder.path, **HERE)
            client.wait_for_workers(2)
            (address,) = (worker for worker, pid in client.run(os.getpid).items() if pid == victim.pid)
            ended = Event()
            with ThreadPoolExecutor(1) as beside:
                watch = beside.submit(in_the_middle, client, address, ended, victim.kill)
                try:
                    folder.run_stage(stage, SPIRA_CLUSTER=cluster.address)
                finally:
                    ended.set()
            print(f"{stage}: a worker was killed after {watch.result()} of its shards", file=sys.stderr, flush=True)
            victim.wait()

        yield run_stage


def in_the_middle(client: Client, worker: str, ended: Event, kill: Callable[[], None]) -> int:
    """Kills a worker that has begun a shard after others, by what the scheduler knows; returns after how many."""
    given: set[str] = set()
    while not ended.wait(0.02):
        now = {str(key) for key in client.processing()[worker] if str(key).startswith("make-")}
        if now and given - now:
            kill()
            return len(given - now)
        given |= now
    sys.exit("the stage ended before the worker had made a shard and begun another: more clips, or smaller shards")


@contextmanager
def two_hosts(folder: Folder) -> Iterator[RunStage]:
    """The scheduler and the stages are on one, two workers on the other, which has the folder elsewhere."""
    if why := lacking():
        raise LeftOutError(why)
    with second_host(f"ways{os.getpid() % 10_000}") as there, scheduler(folder, HOST) as cluster:
        for _ in range(2):
            cluster.worker(folder.path, [*there, str(folder.path)], **HERE)
        yield partial(folder.run_stage, SPIRA_CLUSTER=cluster.address)


@contextmanager
def by_s3(folder: Folder) -> Iterator[RunStage]:
    """As ``two_hosts``, but they have no folder in common: what shards read and write goes by S3."""
    if why := lacking():
        raise LeftOutError(why)
    own = folder.path / "own"
    shutil.copytree(folder.path / "src", own / "src")
    with second_host(f"ways{os.getpid() % 10_000}") as there, scheduler(folder, HOST) as cluster:
        server = Server("rclone", folder.path / "store", HOST)
        access = {"AWS_ENDPOINT_URL": server.url, **server.key}
        try:
            for _ in range(2):
                cluster.worker(
                    folder.path, [*there, str(own)], **HERE, **access, DASK_TEMPORARY_DIRECTORY="/mnt/temporary"
                )
            by = {"SPIRA_CLUSTER_STORAGE": "s3://bucket/dvc", **access}
            yield partial(folder.run_stage, SPIRA_CLUSTER=cluster.address, **by)
        finally:
            server.kill()
    for path in (own, server.folder):
        shutil.rmtree(path)


WAYS: dict[str, Callable[[Folder], AbstractContextManager[RunStage]]] = {
    "one thread": partial(threads, 1),
    "two threads": partial(threads, 2),
    "local:2": local,
    "two workers, one killed in each stage": killed,
    "two workers on another host": two_hosts,
    "the same by S3": by_s3,
}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--clips", type=int, default=100_000)
    p.add_argument("--packed", action="store_true", help="the corpus is in tar shards, as `spira pack` makes them")
    p.add_argument("--shard-bytes", type=int, default=SHARD_BYTES, help=argparse.SUPPRESS)
    p.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=WAYS,
        metavar="WAY",
        help="which; all are compared with the first",
    )
    asked = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(Path(temporary).resolve(), asked.shard_bytes)
        scale.bring(folder.path, asked.clips, 1.0, packed=asked.packed)
        folder.run_stage("ingest_noise")
        sys.exit(0 if same_bytes(folder, asked.ways) else 1)


def same_bytes(folder: Folder, ways: Iterable[str]) -> bool:
    """Prints a row a way, as it ends; returns whether all have written the same."""
    print(f"| | {' s | '.join(STAGES)} s | the same bytes |\n{'|---' * (len(STAGES) + 2)}|")
    first: dict[str, str] = {}
    different = False
    for name in ways:
        try:
            with WAYS[name](folder) as run_stage:
                took = [f"{seconds(run_stage, stage):.0f}" for stage in STAGES]
        except LeftOutError as why:
            print(f"| {name} | left out: {why} |", flush=True)
            continue
        found = folder.digests()
        first = first or found
        others = sorted({path for path, _ in found.items() ^ first.items()})
        different |= bool(others)
        print(f"| {name} | {' | '.join(took)} | {', '.join(others) or 'yes'} |", flush=True)
        folder.clear()
    print(f"\n{len(first)} files")
    return not different


def seconds(run_stage: RunStage, stage: str) -> float:
    start = perf_counter()
    run_stage(stage)
    return perf_counter() - start


if __name__ == "__main__":
    main()
