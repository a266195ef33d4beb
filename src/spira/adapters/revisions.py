"""Commits of this repository, read by git without checking them out."""

from dataclasses import dataclass
from hashlib import md5
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from spira.adapters.git import git, object_name
from spira.errors import DataError


@dataclass(frozen=True)
class Revision:
    """One commit."""

    root: Path
    name: str  # as it was asked for
    commit: str  # 40 hex digits


def resolve(root: Path, name: str) -> Revision:
    """The commit of that name, or else the one experiment of DVC's; DataError where there is neither."""
    found = object_name(root, f"{name}^{{commit}}") or _experiment(root, name)
    if found is None:
        raise DataError(f"{name}: not a commit of this repository; {_what_has_it(root)}")
    return Revision(root, name, found)


def _what_has_it(root: Path) -> str:
    """What to do about a commit that is not here."""
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        return "this clone is shallow, and the rest may have it: git fetch --unshallow"
    return "git branch --all and dvc exp list name what is"


def _experiment(root: Path, name: str) -> str | None:
    """What ``dvc exp show`` calls by this name, whatever commit it started from."""
    listed = git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").decode()
    of_name = [line.split()[0] for line in listed.splitlines() if line.split("/")[4:] == [name]]
    if len(of_name) > 1:
        raise DataError(f"{name}: {len(of_name)} experiments have this name; give a commit: {', '.join(of_name)}")
    return of_name[0] if of_name else None


def content(revision: Revision, path: str) -> bytes | None:
    """A file's bytes at the revision; None where it has no such file."""
    try:
        return git(revision.root, "cat-file", "blob", f"{revision.commit}:{path}")
    except DataError:
        if _is_file(revision, path):
            raise
        return None


def _is_file(revision: Revision, path: str) -> bool:
    """Whether the commit lists a file there, be its content at hand or not."""
    if PurePosixPath(path).is_absolute() or path.startswith("../"):  # no commit has what lies outside
        return False
    listed = git(revision.root, "--literal-pathspecs", "ls-tree", "--full-tree", revision.commit, "--", path)
    return listed.split(b" ")[1:2] == [b"blob"]


def yaml_tree(revision: Revision, path: str) -> dict[str, Any]:
    """A YAML or JSON file's tree, read as DVC reads it; {} where there is no such file."""
    try:
        tree = YAML(typ="safe", pure=True).load(content(revision, path) or b"{}")
    except (YAMLError, ValueError) as error:
        raise DataError(f"{revision.name}:{path}: not readable: {error}") from error
    if not isinstance(tree, dict):
        raise DataError(f"{revision.name}:{path}: must hold `key: value` lines")
    return tree


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
    listed = git(revision.root, "ls-tree", "-r", "-z", "--name-only", revision.commit, "--", "data")
    names = [name for name in listed.decode().split("\0") if name.endswith(".dvc")]
    return {name.removesuffix(".dvc"): str(yaml_tree(revision, name)["outs"][0]["md5"]) for name in names}
