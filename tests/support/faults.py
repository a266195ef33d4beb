"""A disk that fails, and SIGTERM, at the n-th thing that a stage does to its outputs; and bits that flip unseen.

``python tests/support/faults.py`` answers requests, a JSON line each, in processes that it forks: a stage starts in a
twentieth of a second there, with all that it imports.
"""

import errno
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import md5, sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import yaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from tiny import ROOT, tiny_params, write_tiny_corpus

KINDS = {"no space": errno.ENOSPC, "I/O error": errno.EIO, "read-only": errno.EROFS, "SIGTERM": 0}
STAGES = (
    ["check"], ["synthesize"], ["ingest"], ["ingest_noise"], ["split"], ["featurize"], ["train", "holdout", "1"],
    ["predict"], ["evaluate"], ["alter"], ["probe"], ["report"],
)  # fmt: skip


class Outcome(NamedTuple):
    status: int
    said: str  # on stderr
    n_points: int  # things done to outputs: a file opened, written to, synced, renamed


class Tamper:
    """Stands before the system: from the n-th thing on a disk fails; at the n-th, SIGTERM comes."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind, self.at, self.n = kind, at, 0
        self._files: set[int] = set()
        self._real = (os.open, os.write, os.fsync, os.replace)
        os.open, os.write, os.fsync, os.replace = self._open, self._write, self._fsync, self._replace  # type: ignore[assignment]

    def _open(self, path: Any, *rest: Any, **more: Any) -> int:
        ours = str(path).endswith(".part")
        if ours:
            self._point()
        file: int = self._real[0](path, *rest, **more)
        if ours:
            self._files.add(file)
        return file

    def _write(self, file: int, piece: Any) -> int:
        if file in self._files:
            if self.n + 1 == self.at:  # half of it is on the disk
                self._real[1](file, memoryview(piece)[: len(piece) // 2])
            self._point()
        return self._real[1](file, piece)

    def _fsync(self, file: int) -> None:
        if file in self._files:
            self._point()
        self._real[2](file)

    def _replace(self, source: Any, target: Any) -> None:
        self._point()
        self._real[3](source, target)

    def _point(self) -> None:
        self.n += 1
        number = KINDS.get(self.kind, 0)
        if number and self.n >= self.at:
            raise OSError(number, os.strerror(number))
        if self.kind == "SIGTERM" and self.n == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


class Stages:
    """A workspace in which every stage can run, with faults."""

    def __init__(self, folder: Path, which: Sequence[Sequence[str]] = STAGES) -> None:
        self.folder, self._names = folder, [stage[0] for stage in which]
        write_tiny_corpus(folder / "data/raw/tiny", folder / "data/raw/tiny_noise")
        (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
        shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.png"))
        for name in ("requirements.txt", "dvc.yaml"):
            shutil.copy(ROOT / name, folder)

    def __enter__(self) -> Self:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "OMP_NUM_THREADS": "1",
            "DVC_STAGE": "each",
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._names],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.communicate("")

    def run(self, stage: Sequence[str], kind: str = "", at: int = 0) -> Outcome:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([stage, kind, at]) + "\n")
        self._process.stdin.flush()
        return Outcome(*json.loads(self._process.stdout.readline()))

    def digests(self) -> dict[str, str]:
        """Of all data but the curves, which dvclive writes, and for nobody to read but a person."""
        files = (path for path in (self.folder / "data").rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix(): path for path in files}
        return {
            name: sha256(path.read_bytes()).hexdigest() for name, path in names.items() if "/curves/" not in f"/{name}"
        }

    def record(self) -> None:
        """dvc.lock and the lists of folders in the cache, as DVC writes both after each stage."""
        declared = yaml.safe_load((self.folder / "dvc.yaml").read_text())["stages"]
        lock: dict[str, Any] = {"schema": "2.0", "stages": {}}
        for name in self._names:
            outs = [out for kind in ("outs", "metrics", "plots") for out in declared[name].get(kind, [])]
            paths = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
            filled = [path.replace("${item.fold}", "holdout").replace("${item.seed}", "1") for path in paths]
            lock["stages"][name] = {"cmd": name, "outs": [self._recorded(path) for path in filled]}
        (self.folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))

    def _recorded(self, name: str) -> dict[str, str]:
        path = self.folder / name
        if path.is_file():
            return {"path": name, "hash": "md5", "md5": md5(path.read_bytes()).hexdigest()}
        tree = Tree()
        for file in filter(Path.is_file, path.rglob("*")):
            tree.add(file.relative_to(path).parts, None, HashInfo("md5", md5(file.read_bytes()).hexdigest()))
        tree.digest()
        listing = self.folder / ".dvc/cache/files/md5" / tree.oid[:2] / tree.oid[2:]
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_bytes(tree.as_bytes())
        return {"path": name, "hash": "md5", "md5": str(tree.oid)}


class Reference(NamedTuple):
    """What a stage that nothing disturbs makes."""

    stage: Sequence[str]
    n_points: int
    made: Mapping[str, str]  # digest by name


def references(stages: Stages, which: Sequence[Sequence[str]]) -> list[Reference]:
    """Runs them all in turn."""
    found, before = [], stages.digests()
    for stage in which:
        outcome = stages.run(stage)
        assert outcome.status == 0, (stage, outcome.said)
        after = stages.digests()
        found.append(Reference(stage, outcome.n_points, {n: d for n, d in after.items() if before.get(n) != d}))
        before = after
    stages.record()
    shutil.copytree(stages.folder / "data", stages.folder / "kept")
    return found


def points(all_: Sequence[Reference], n: int) -> Iterator[tuple[Reference, int]]:
    """``n`` of all their points, evenly."""
    every = [(reference, at) for reference in all_ for at in range(1, reference.n_points + 1)]
    for i in range(n):
        yield every[i * len(every) // n + len(every) // (2 * n)]


def disturbed(stages: Stages, reference: Reference, kind: str, at: int) -> list[str]:
    """What is wrong after the stage met the fault, as DVC runs it: its outs removed first; then all is as it was."""
    for name in reference.made:
        (stages.folder / name).unlink()
    outcome, there = stages.run(reference.stage, kind, at), stages.digests()
    wrong = [f"{name} is half-written" for name, made in reference.made.items() if there.get(name, made) != made]
    wrong += [f"{name} is left over" for name in there if name.endswith(".part")]
    cause = os.strerror(KINDS[kind]) if KINDS[kind] else ""
    if outcome.status != (1 if cause else 143) or "Traceback" in outcome.said:
        wrong.append(f"status {outcome.status}: {outcome.said}")
    elif cause and (cause not in outcome.said or ": cannot be written: " not in outcome.said):
        wrong.append(f"no cause in {outcome.said!r}")
    shutil.rmtree(stages.folder / "data")
    shutil.copytree(stages.folder / "kept", stages.folder / "data")
    shutil.rmtree(stages.folder / ".ckpt", ignore_errors=True)  # or the next training goes on, and meets fewer points
    return [f"{reference.stage[0]}, {kind} at {at}: {what}" for what in wrong]


# Who reads what; the first that fits.
READERS = (
    ("data/features/validation/noisy_", "predict"), ("data/features/test", "predict"), ("data/features/", "train"),
    ("data/folds/", "train"), ("data/models/", "predict"),
    ("data/clips/rejects", ""), ("data/noise/rejects", ""), ("data/metrics.json", ""), ("data/near_duplicates", ""),
    ("data/clips/", "featurize"), ("data/noise/", "featurize"), ("data/subsets.csv", "featurize"),
    ("data/predictions", "evaluate"), ("data/altered", "probe"), ("data/evaluation", "report"),
    ("data/probes.json", "report"), ("data/plots/", "report"), ("data/worst", "report"), ("data/subsets_", "report"),
)  # fmt: skip


def read_by(name: str) -> Sequence[str] | None:
    """The first stage that reads this file of data; None where none does."""
    reader = next((stage for start, stage in READERS if name.startswith(start)), "")
    return next((stage for stage in STAGES if stage[0] == reader), None)


def found(stages: Stages, name: str, bit: int) -> bool:
    """The stage that reads it refuses a file of which one bit has flipped, by name."""
    reader = read_by(name)
    assert reader
    with flipped(stages.folder / name, bit):
        outcome = stages.run(reader)
    return outcome.status == 1 and f"DataError: {name}: damaged" in outcome.said


@contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """One bit is another, and what DVC looks at is as it was: size, inode, time of change and mode."""
    flip(path, bit)
    yield
    flip(path, bit)


def flip(path: Path, bit: int) -> None:
    state, content = path.stat(), bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    path.chmod(state.st_mode)


def _serve() -> None:
    for name in sys.argv[1:]:
        __import__(f"spira.stages.{name}")
    for line in sys.stdin:
        stage, kind, at = json.loads(line)
        if not (child := os.fork()):
            _child(stage, kind, at)
        _, status = os.waitpid(child, 0)
        said = json.loads(Path("said.json").read_text())
        print(json.dumps([os.waitstatus_to_exitcode(status), *said]), flush=True)


def _child(stage: list[str], kind: str, at: int) -> None:
    with Path("said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    sys.argv, status = stage, 0
    sys.modules.pop(f"spira.stages.{stage[0]}", None)  # it is to run, not to be imported
    tamper = Tamper(kind, at)
    try:
        runpy.run_module(f"spira.stages.{stage[0]}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    Path("said.json").write_text(json.dumps([Path("said").read_text(), tamper.n]))
    os._exit(status)


if __name__ == "__main__":
    _serve()
