"""A git repository with a package, a bare git remote and a folder as DVC's remote: promotions are real."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from in_process import spira
from packaged import Packaged
from spira.base.params import load
from spira.evaluation.params import EvaluateParams
from spira.registry.history import History
from spira.registry.record import Check, Gate
from spira.repository.git import environment_without_git
from spira.scorer.contents import require_whole
from spira.scorer.manifest import read_manifest
from spira.stages import evaluate, package
from tiny import GIT_IDENTITY, ROOT

REGISTRY = "tiny"
# Six test speakers, and no time for a thousand: the numbers that a real gate asks for are tested as rules.
GATE = {
    "registry": REGISTRY,
    "min_speakers": 2,
    "min_sensitivity": 0.0,
    "max_seconds": 60.0,
    "max_megabytes": 100_000,
    "margin": 0.5,
    "confidence": 0.95,
    "power": 0.8,
    "group_min_speakers": 3,
    "group_margin": 0.5,
}
STAGES = {  # what DVC knows of the results, as if these had made them
    "prepare": (["params.yaml"], ["data/clips", "data/subsets.csv", "data/predictions.csv"]),
    "evaluate": (["data/predictions.csv"], []),
    "package": (["data/predictions.csv"], ["data/package"]),
}
IN_GIT = {"evaluate": ["data/evaluation.json", "data/metrics.json"], "prepare": ["data/probes.json"]}
CARDS = {"model_card.md": "| model | {model} |", "data_card.md": "Corpus: tiny."}


class Registered:
    """One clone, and what is typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        home = {"HOME": str(self.folder.parent), "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        paths = {"PATH": path, "PYTHONPATH": str(ROOT / "src")}
        return {**environment_without_git(), **GIT_IDENTITY, **home, **paths, "DVC_NO_ANALYTICS": "1"}

    def spira(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """In this process."""
        return spira(self.folder, *arguments, environment=self.environment())

    def says(self, *arguments: str) -> str:
        done = self.spira(*arguments)
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        done = self.spira(*arguments)
        assert done.returncode == 1, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def git(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def tags(self) -> list[str]:
        return self.git("tag", "--list", "--sort=refname").split()

    def remote_tags(self) -> list[str]:
        listed = self.git("ls-remote", "--tags", "--refs", "origin")
        return sorted(re.findall(r"refs/tags/(\S+)", listed))

    def copy(self, folder: Path) -> "Registered":
        """The same with remotes of its own, whose tests change nothing of this one."""
        shutil.copytree(self.folder.parent, folder, symlinks=True)
        copied = Registered(folder / "work")
        copied.git("remote", "set-url", "origin", str(folder / "remote.git"))
        copied.point(folder / "bytes")
        return copied

    def point(self, bytes_: Path) -> None:
        """DVC's remote is this folder."""
        local = f"[core]\n    remote = folder\n['remote \"folder\"']\n    url = {bytes_}\n"
        (self.folder / ".dvc/config.local").write_text(local)

    def give_remotes(self) -> None:
        """Makes it a repository of git and DVC, with a bare git remote and a folder as DVC's beside it."""
        beside = self.folder.parent
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(beside / "remote.git")], check=True)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(beside / "remote.git"))
        (beside / "bytes").mkdir()
        Repo.init(str(self.folder)).close()
        self.point(beside / "bytes")

    def clone(self, name: str) -> "Registered":
        """Another person's: with the commits and tags of the remote, and nothing of DVC's."""
        folder = self.folder.parent / name
        subprocess.run(["git", "clone", "-q", str(self.folder.parent / "remote.git"), str(folder)], check=True)
        other = Registered(folder)
        other.point(self.folder.parent / "bytes")
        return other

    def commit(self, message: str) -> None:
        """Everything, with a dvc.lock that calls it fresh, and pushed."""
        previous = Path.cwd()
        os.chdir(self.folder)
        try:
            with Repo() as repo:
                repo.commit(force=True)
        finally:
            os.chdir(previous)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "main")

    def settle(self, model: str, **gate: object) -> None:
        """Deploys a model of the tiny corpus: evaluation, probes, cards and package are those of it, and committed."""
        params = yaml.safe_load((self.folder / "params.yaml").read_text())
        params["gate"], params["evaluate"]["deploy"] = GATE | gate, model
        params["evaluate"]["min_speakers"] = 2
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        previous = Path.cwd()
        os.chdir(self.folder)
        try:
            evaluate.run("tiny", load("evaluate", EvaluateParams))
            _write_evidence(model)
            package.run()
        finally:
            os.chdir(previous)
        self.commit(f"deploy {model}")


def _write_evidence(model: str) -> None:
    answer = {"question": "?", "verdict": "pass", "rule": "none", "why": "so"}
    lead = {"auc": 0.5, "lead": 0.4, "lead_lo": 0.1, "lead_hi": 0.6}
    probes = {"metadata": answer | lead, "gain": answer}
    models = {name: {"verdict": "pass", "probes": probes} for name in ("pooled_cnn", "statistics")}
    Path("data/probes.json").write_text(json.dumps({"corpus": "tiny", "models": models}))
    for name, line in CARDS.items():
        Path("data/report", name).write_text(f"# A card\n\n{line.format(model=model)}\n")


def registered(folder: Path, packaged: Packaged) -> Registered:
    """A repository in ``folder/work`` whose model is the network; nothing is promoted yet."""
    work = Registered(folder / "work")
    skip = shutil.ignore_patterns("packages", "features", "noise", "*.lock", ".ckpt", "__pycache__")
    shutil.copytree(packaged.root, work.folder, ignore=skip)
    (work.folder / "docs").mkdir()
    fields = yaml.safe_load((ROOT / "docs/card.yaml").read_text())
    (work.folder / "docs/card.yaml").write_text(yaml.safe_dump(dict.fromkeys(fields, "hums") | {"corpus": "tiny"}))
    (work.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": _stages()}))
    for name in (".dvcignore", "data/.gitignore"):
        shutil.copy2(ROOT / name, work.folder / name)
    (work.folder / ".gitignore").write_text("/.ckpt/\n__pycache__\n/data/raw/\n/data/models/\n")
    work.give_remotes()
    work.settle("pooled_cnn")
    return work


def _stages() -> dict[str, Any]:
    stages = {}
    for name, (deps, outs) in STAGES.items():
        kept = [{path: {"cache": False}} for path in IN_GIT.get(name, [])]
        stages[name] = {"cmd": "true", "deps": deps, "outs": [*outs, *kept]}
    return stages


def dying(work: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """The same work, whose process is killed by SIGKILL before it or after."""

    def dies(*arguments: Any) -> None:
        if not before:
            work(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return dies


def passed(root: Path, history: History, against: str | None = None) -> Gate:
    """A gate that nothing had to pass, for tests of what comes after it."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    manifest = read_manifest(root / "data/package/package.json")
    return Gate(
        registry=history.registry,
        commit=commit.strip(),
        package=require_whole(root / "data/package"),
        model=manifest.model,
        corpus=manifest.corpus,
        against=against or history.in_use("champion"),
        test_set=None,
        checks=(Check(name="nothing", verdict="pass", reason="a test"),),
    )
