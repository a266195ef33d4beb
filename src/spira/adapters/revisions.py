"""Commits of this repository, read without checking them out: files by git, data by DVC's cache."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from spira.core.comparison import Judged
from spira.core.metrics import Floats, youden_threshold
from spira.core.staleness import Declared
from spira.errors import DataError

PREDICTIONS = "data/predictions.csv"
_COLUMNS: dict[str, type[pl.DataType]] = {
    "subset": pl.String,
    "condition": pl.String,
    "seed": pl.Int64,
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "score": pl.Float64,
}


@dataclass(frozen=True)
class Revision:
    """One commit."""

    root: Path
    name: str  # as it was asked for
    commit: str  # 40 hex digits


def resolve(root: Path, name: str) -> Revision:
    """Raises DataError where git knows no such commit."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None:
        raise DataError(f"{name}: not a commit of this repository; a shallow clone lacks it: git fetch --unshallow")
    return Revision(root, name, found.decode().strip())


def content(revision: Revision, path: str) -> bytes | None:
    """A file's bytes at the revision; None where it has no such file."""
    return _git(revision.root, "cat-file", "blob", f"{revision.commit}:{path}")


def yaml_tree(revision: Revision, path: str) -> dict[str, Any]:
    """A YAML or JSON file's tree, read as DVC reads it; {} where there is no such file."""
    try:
        tree = YAML(typ="safe", pure=True).load(content(revision, path) or b"{}")
    except (YAMLError, ValueError) as error:
        raise DataError(f"{revision.name}:{path}: not readable: {error}") from error
    if not isinstance(tree, dict):
        raise DataError(f"{revision.name}:{path}: must hold `key: value` lines")
    return tree


def declared(revision: Revision) -> list[Declared]:
    """Every stage of the revision's dvc.yaml, as DVC itself resolves it."""
    stages = []
    try:
        with Repo(str(revision.root)) as repo:
            for name in repo.brancher(revs=[revision.commit]):
                if name != "workspace":
                    stages = [_declared(stage) for stage in repo.index.stages if hasattr(stage, "cmd") and stage.cmd]
    except DvcException as error:
        raise DataError(f"{revision.name}:dvc.yaml: {error}") from error
    return stages


def own_hashes(revision: Revision, paths: set[str]) -> dict[str, str]:
    """md5 by path of those that git holds, or that a .dvc file beside them names."""
    found = {}
    for path in paths:
        if (blob := content(revision, path)) is not None:
            found[path] = md5(blob, usedforsecurity=False).hexdigest()
        elif pointer := yaml_tree(revision, f"{path}.dvc"):
            found[path] = str(pointer["outs"][0]["md5"])
    return found


def corpora(revision: Revision) -> dict[str, str]:
    """md5 by path of every folder that a .dvc file names."""
    listed = _git(revision.root, "ls-tree", "-r", "-z", "--name-only", revision.commit, "--", "data") or b""
    names = [name for name in listed.decode().split("\0") if name.endswith(".dvc")]
    return {name.removesuffix(".dvc"): str(yaml_tree(revision, name)["outs"][0]["md5"]) for name in names}


def fetch(revision: Revision) -> str | None:
    """Brings the revision's predictions from the remote into the cache; the reason where that fails."""
    try:
        with Repo(str(revision.root)) as repo:
            repo.fetch(targets=[PREDICTIONS], revs=[revision.commit], workspace=False)
    except (DvcException, OSError) as error:
        return str(error).splitlines()[0]
    return None


def judged(revision: Revision, lock: Mapping[str, Any], condition: str) -> dict[str, Judged] | None:
    """By condition, what the revision's models said of the test clips; None where DVC's cache lacks it.

    Args:
        lock: the ``stages`` of the revision's dvc.lock, which names the predictions by hash.
        condition: the one whose validation clips choose each seed's threshold.
    """
    outs = [out for stage in lock.values() for out in stage.get("outs", []) if out["path"] == PREDICTIONS]
    if not outs:
        return None
    with Repo(str(revision.root)) as repo:
        path = Path(repo.cache.local.oid_to_path(outs[0]["md5"]))
    if not path.is_file():
        return None
    blob = path.read_bytes()
    if md5(blob, usedforsecurity=False).hexdigest() != outs[0]["md5"]:
        raise DataError(f"{path}: damaged, its hash is not its name; delete it, then dvc fetch or dvc repro")
    try:
        table = pl.read_csv(BytesIO(blob), schema_overrides=_COLUMNS, empty_string_is_null=False).select(
            _COLUMNS.keys()
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{revision.name}:{PREDICTIONS}: expected columns {', '.join(_COLUMNS)}: {error}") from error
    validation = table.filter((pl.col("subset") == "validation") & (pl.col("condition") == condition))
    if validation.is_empty():
        raise DataError(f"{revision.name}:{PREDICTIONS}: no validation clip under {condition!r} for a threshold")
    thresholds = [youden_threshold(part["label"].to_numpy(), part["score"].to_numpy()) for part in _seeds(validation)]
    parts = table.filter(pl.col("subset") == "test").partition_by("condition", as_dict=True)
    return {str(name): _judged(part, tuple(thresholds)) for (name,), part in sorted(parts.items())}


def _judged(part: pl.DataFrame, thresholds: tuple[float, ...]) -> Judged:
    seeds = _seeds(part)
    scores: Floats = np.stack([seed["score"].to_numpy() for seed in seeds])
    clips, speakers = tuple(seeds[0]["clip_id"]), tuple(seeds[0]["speaker_id"])
    return Judged(clips, speakers, seeds[0]["label"].to_numpy(), scores, thresholds)


def _seeds(part: pl.DataFrame) -> list[pl.DataFrame]:
    """One table a seed, clips in the same order in each."""
    return part.sort("seed", "clip_id").partition_by("seed", maintain_order=True)


def _declared(stage: Any) -> Declared:
    params = {str(dep.def_path): tuple(dep.params) for dep in stage.deps if hasattr(dep, "params")}
    deps = tuple(str(dep.def_path) for dep in stage.deps if not hasattr(dep, "params"))
    return Declared(stage.name, str(stage.cmd), deps, tuple(str(out.def_path) for out in stage.outs), params)


def _git(root: Path, *arguments: str) -> bytes | None:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    return result.stdout if result.returncode == 0 else None
