"""Clones of this repository in which experiments run, so that nobody's working tree is touched meanwhile.

Why not ``dvc exp run --temp`` or DVC's queue (3.67.1)? Each start of the former stashes the working tree, so a file
edited during a long sweep leaks into later trials; several at once share one stash list, and lost 1 start of 4 to its
lock; and both exit 0 over a queue with failures. Here each workplace has its own refs, stash and data and runs one
experiment at a time. The cache is shared, and the finished experiment is fetched by git.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spira.base import locks
from spira.base.errors import DataError
from spira.repository.git import environment_without_git, git, object_name

SECONDS_TO_END = 5
_DECIDING = (
    "src",
    "dvc.yaml",
    "requirements.txt",
    ":(glob)data/**/*.dvc",
)  # what decides a result, beside the parameters


@dataclass(frozen=True)
class Snapshot:
    """The repository as it is when a sweep starts: its commit, and what is changed since."""

    root: Path
    base: str  # commit, the parent of every experiment
    content: str  # commit or stash commit with the changes in it
    patch: bytes


@dataclass(frozen=True)
class Workplace:
    """One clone, with its device where there are any."""

    folder: Path
    snapshot: Snapshot
    device: str | None

    @property
    def checkpoints(self) -> Path:
        """Where a training goes on after the whole sweep was killed, in whichever workplace: beside them all."""
        return self.folder.parent / "checkpoints"

    def reset(self) -> None:
        """The snapshot's files, and no models or curves that could be taken for the next experiment's."""
        git(self.folder, "checkout", "-q", "--force", "--detach", self.snapshot.base)
        git(self.folder, "clean", "-fdq")
        if self.snapshot.patch:
            git(self.folder, "apply", "--whitespace=nowarn", "-", given=self.snapshot.patch)
        for name in ("models", "curves"):
            shutil.rmtree(self.folder / "data" / name, ignore_errors=True)

    def command(self, name: str, overrides: Sequence[str], log: Path) -> "Command":
        return Command(self.folder, name, tuple(overrides), log, self.checkpoints, self.device)

    def collect(self, name: str) -> str:
        """Brings the finished experiment into the repository, where one of the same name gives way; its commit."""
        where = reference(self.snapshot.base, name)
        git(self.snapshot.root, "fetch", "-q", "--no-tags", str(self.folder), f"+{where}:{where}")
        return git(self.folder, "rev-parse", "--verify", where).decode().strip()

    def remove(self) -> None:
        """With the checkpoints of trainings that were given up."""
        shutil.rmtree(self.folder)
        shutil.rmtree(self.checkpoints, ignore_errors=True)


@dataclass(frozen=True)
class Command:
    """A ``dvc exp run``, which pickles small."""

    folder: Path  # a workplace's
    name: str  # of the experiment
    overrides: tuple[str, ...]
    log: Path
    checkpoints: Path
    device: str | None


def alone(path: Path) -> AbstractContextManager[int]:
    """Raises DataError where another sweep of this repository runs: its experiments would meet on the GPUs."""
    return locks.alone(path, "sweep", "another sweep is running in this repository; wait, or end it")


def snapshot(root: Path) -> Snapshot:
    """Raises DataError where there is no commit yet."""
    if (base := object_name(root, "HEAD^{commit}")) is None:
        raise DataError(f"{root}: no commit yet; an experiment starts from one: git commit")
    # a copied repository looks changed by its files' times: `stash create` then finds nothing, and fails
    git(root, "update-index", "-q", "--refresh")
    content = git(root, "stash", "create").decode().strip() or base
    # without the plans themselves: a study that is given more trials goes on
    changed = ["--no-ext-diff", "--no-textconv", base, content, "--", ".", ":(exclude)experiments"]
    return Snapshot(root, base, content, git(root, "diff-tree", "-p", "--binary", *changed))  # heeds no diff.* setting


def furnish(snapshot: Snapshot, folder: Path, device: str | None) -> Workplace:
    """A clone in ``folder`` on the repository's cache, with the data of its commit where the cache has them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(snapshot.root, "clone", "-q", "--shared", "--no-checkout", str(snapshot.root), str(folder))
    for key in ("user.name", "user.email"):
        if value := git(snapshot.root, "config", "--default", "", "--get", key).decode().strip():
            git(folder, "config", key, value)
    place = Workplace(folder, snapshot, device)
    place.reset()
    if (local := snapshot.root / ".dvc/config.local").is_file():
        shutil.copy2(local, folder / ".dvc/config.local")
    cache = dvc(snapshot.root, "cache", "dir").strip()
    dvc(folder, "config", "--local", "cache.dir", cache)
    dvc(folder, "checkout", "--quiet", "--force", "--allow-missing")
    return place


def missed(root: Path, deps: Sequence[str]) -> list[str]:
    """What the stages need and no experiment would get: files that git does not know, data newer than its .dvc file."""
    paths = sorted({"src", "dvc.yaml", "params.yaml", ".dvc", *(dep.partition("${")[0].rstrip("/") for dep in deps)})
    others = ("ls-files", "-z", "--others", "--exclude-standard", "--")
    unknown = [
        f"{name}: unknown to git; git add it, or list it in .gitignore"
        for name in _names(git(root, "--literal-pathspecs", *others, *paths))
    ]
    pointers = _names(git(root, "ls-files", "-z", "--", "*.dvc"))
    states = json.loads(dvc(root, "status", "--json", *pointers)) if pointers else {}
    newer = {pointer: _newer(changes) for pointer, changes in states.items()}
    return unknown + [
        f"{', '.join(paths)}: newer than {name}; dvc add it again" for name, paths in newer.items() if paths
    ]


def _names(listed: bytes) -> list[str]:
    """Of what git lists with ``-z``, which writes names as they are."""
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def _newer(changes: Sequence[Any]) -> list[str]:
    """The outs of a .dvc file, as ``dvc status --json`` has it, that are there with another content."""
    outs = [change["changed outs"] for change in changes if isinstance(change, dict) and "changed outs" in change]
    return [path for states in outs for path, state in states.items() if state in ("modified", "new")]


def experiment(snapshot: Snapshot, name: str) -> str | None:
    """The commit of the experiment of this name; None where there is none, or it is of other code or data."""
    commit = object_name(snapshot.root, reference(snapshot.base, name))
    if commit and git(snapshot.root, "diff-tree", "-r", "--name-only", commit, snapshot.content, "--", *_DECIDING):
        return None
    return commit


def slots(jobs: int, found: Sequence[str]) -> list[str | None]:
    """The device of each experiment that may run at once: one each where there are any, so two never share one."""
    return [*found[:jobs]] if found else [None] * jobs


def devices(environment: Mapping[str, str]) -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` names, else the GPUs (or their slices) that nvidia-smi lists; [] without any."""
    if (named := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in {"", "-1"}]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return []
    return listed_devices(listed)


def listed_devices(listed: str) -> list[str]:
    """The identifiers in what ``nvidia-smi -L`` prints; a GPU cut into slices counts as its slices."""
    found: list[str] = []
    for line in listed.splitlines():
        if match := re.search(r"UUID: ((GPU|MIG)-[^)]+)\)", line):
            if match[2] == "MIG" and found and found[-1].startswith("GPU-"):
                found.pop()
            found.append(match[1])
    return found


def interruptible() -> None:
    """Lets SIGTERM and a terminal that goes away end this program as Ctrl-C does, so that it can end what it started.

    Ctrl-C too, since a shell starts ``spira sweep plan.yaml &`` deaf to it; but ``nohup`` is heeded.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def end(process: subprocess.Popen[Any]) -> None:
    """Ends the process and all that it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def dvc(folder: Path, *arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = environment_without_git() | {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if result.returncode:
        raise DataError(f"dvc {' '.join(arguments[:2])}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode(errors="surrogateescape")


def environment_on(device: str | None) -> dict[str, str]:
    """For a DVC whose stages' ``python`` is this one and see this device alone, where there are any."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**environment_without_git(), "PATH": path} | (
        {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
    )
    environment.pop("PYTHONPATH", None)
    return environment


def reference(base: str, name: str) -> str:
    """Where DVC keeps an experiment: a git ref by the commit that it started from."""
    return f"refs/exps/{base[:2]}/{base[2:]}/{name}"
