"""Commits of this repository, read by git without checking them out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from pydantic import BaseModel

from spira.base.errors import DataError
from spira.compare.committed import Mapped, Params, Pointer, files_of_vars, read_committed
from spira.repository.git import git, object_name

_LONGEST_PATH = 4096  # bytes, of Linux
_N_COMMITS = 50  # that are looked through for the one that a folder's hash is of
_DVC_FILES = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore")  # what it reads of a commit, beside .dvc and *.dvc


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
    commits = [line.split()[0] for line in listed.splitlines() if line.split("/")[4:] == [name]]
    if len(commits) > 1:
        raise DataError(f"{name}: {len(commits)} experiments have this name; give a commit: {', '.join(commits)}")
    return commits[0] if commits else None


def content(revision: Revision, path: str) -> bytes | None:
    """A file's bytes at the revision; None where it has no such file."""
    if not _may_be_a_path(path):
        return None
    try:
        return git(revision.root, "cat-file", "blob", f"{revision.commit}:{path}")
    except DataError:
        if _is_file(revision, path):
            raise
        return None


def _may_be_a_path(path: str) -> bool:
    """Whether git can be asked for it: of a length that a system takes, without the character 0 or half a character."""
    try:
        return "\0" not in path and len(os.fsencode(path)) <= _LONGEST_PATH
    except UnicodeEncodeError:
        return False


def _is_file(revision: Revision, path: str) -> bool:
    """Whether the commit lists a file there, be its content at hand or not."""
    if PurePosixPath(path).is_absolute() or path.startswith("../"):  # no commit has what lies outside
        return False
    listed = git(revision.root, "--literal-pathspecs", "ls-tree", "--full-tree", revision.commit, "--", path)
    return listed.split(b" ")[1:2] == [b"blob"]


def read_tree(revision: Revision, path: str, kind: type[BaseModel]) -> dict[str, Any]:
    """A YAML or JSON file's tree; {} where there is no such file, or an empty one.

    Raises:
        DataError: what is read of such a file is not as ``kind`` says, or the file is larger than any of its kind.
    """
    blob = content(revision, path)
    return read_committed(blob, f"{revision.name}:{path}", kind) if blob else {}


def read_params(revision: Revision) -> dict[str, Any]:
    """Its params.yaml."""
    return read_tree(revision, "params.yaml", Params)


def own_hashes(revision: Revision, paths: set[str]) -> dict[str, str]:
    """md5 by path, as dvc.lock has it, of each file or folder that git holds, or that a .dvc file beside it names."""
    found = {}
    for path in paths:
        if (blob := content(revision, path)) is not None:
            found[path] = md5(blob, usedforsecurity=False).hexdigest()
        elif pointer := read_tree(revision, f"{path}.dvc", Pointer):
            found[path] = pointer["outs"][0]["md5"]
        elif inside := _files_inside(revision.root, revision.commit, path):
            found[path] = folder_hash(inside)
    return found


def folder_hash(files: Mapping[str, str]) -> str:
    """What DVC calls a folder by.

    Args:
        files: md5 of each, by its path in the folder.
    """
    tree = Tree()
    for path, value in files.items():
        tree.add(tuple(path.split("/")), None, HashInfo("md5", value))
    tree.digest()
    return str(tree.oid)


def changed_inside(revision: Revision, folder: str, then: str) -> list[str]:
    """The files of a folder that are not as they were when it had the hash ``then``; [] where no commit has that."""
    before = git(revision.root, "rev-list", f"--max-count={_N_COMMITS}", revision.commit, "--", folder).decode()
    now = _files_inside(revision.root, revision.commit, folder)
    for commit in before.split():
        files = _files_inside(revision.root, commit, folder)
        if files and folder_hash(files) == then:
            return sorted({f"{folder}/{name}" for name, _ in files.items() ^ now.items()})
    return []


def _files_inside(root: Path, commit: str, folder: str) -> dict[str, str]:
    """md5 by path in the folder of all that the commit has there; {} where it is no folder."""
    if not _may_be_a_path(folder) or PurePosixPath(folder).is_absolute() or folder.startswith("../"):
        return {}
    listed = git(root, "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", f"{folder}/")
    entries = (entry.partition("\t") for entry in os.fsdecode(listed).split("\0") if entry)
    objects = {path.removeprefix(f"{folder}/"): facts.split()[1:3] for facts, _, path in entries}
    return {path: _md5_of_object(root, kind, name) for path, (kind, name) in objects.items()}


@cache
def _md5_of_object(root: Path, kind: str, name: str) -> str:
    """Of a submodule, which git has no content of, its name's: it is never what DVC found there."""
    of = git(root, "cat-file", "blob", name) if kind == "blob" else name.encode()
    return md5(of, usedforsecurity=False).hexdigest()


def refuse_what_dvc_cannot_read(revision: Revision) -> None:
    """Each file that DVC will read of the commit is read here first, within bounds: DVC has none, and may crash.

    Raises:
        DataError: one of them is not YAML or has no end, or is a link, which DVC follows, or a submodule, for which it
            waits for ever; or dvc.yaml takes values from a file that is not there.
    """
    entries = os.fsdecode(git(revision.root, "ls-tree", "-r", "-z", revision.commit)).split("\0")
    kinds = {path: kind for kind, _, path in (entry.partition("\t") for entry in entries) if path}
    odd = {path for path, kind in kinds.items() if not kind.startswith("100")}
    for path in map(PurePosixPath, kinds):
        if str(path) in odd and (path.name in _DVC_FILES or path.suffix == ".dvc" or ".dvc" in path.parts):
            raise DataError(f"{revision.name}:{path}: must be a file, and is a link or a submodule")
        if path.name == "dvc.yaml":
            read_tree(revision, str(path.parent / "params.yaml"), Mapped)
            for name in files_of_vars(read_tree(revision, str(path), Mapped), f"{revision.name}:{path}"):
                values = normpath(path.parent / name)
                if values in odd or not read_tree(revision, values, Mapped):
                    raise DataError(f"{revision.name}:{path}: vars: no such file, or an empty one: {name[:100]}")
        elif path.name == "dvc.lock" or path.suffix == ".dvc":
            read_tree(revision, str(path), Mapped)


def corpora(revision: Revision) -> dict[str, str]:
    """md5 by path of every folder that a .dvc file names."""
    listed = git(revision.root, "ls-tree", "-r", "-z", "--name-only", revision.commit, "--", "data")
    found = {}
    for name in os.fsdecode(listed).split("\0"):
        if name.endswith(".dvc"):
            tree = read_tree(revision, name, Pointer)
            if not tree:
                raise DataError(f"{revision.name}:{name}: is empty, or no file; it must name a folder in DVC's cache")
            found[name.removesuffix(".dvc")] = tree["outs"][0]["md5"]
    return found
