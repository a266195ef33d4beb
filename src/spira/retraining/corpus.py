"""The corpus's new version -> data/raw and its .dvc file: from a folder, from where it is imported, or as it lies.

Each step can be done again after it was killed, and then does what is left.
"""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from spira.base.errors import DataError
from spira.base.files import part_path
from spira.base.params import load, read
from spira.base.section import FolderName
from spira.registry.packages import outs_at
from spira.repository.git import git
from spira.retraining.checked import Corpus
from spira.retraining.dvc_command import dvc

METADATA = "metadata.csv"


class Source(NamedTuple):
    """Where an imported corpus comes from, as its .dvc file says."""

    path: str  # in the repository ``url``, or an address of its own
    url: str | None  # of the repository; None where ``path`` is an address
    rev: str | None  # a branch or tag of the repository; None: its newest


class Place(NamedTuple):
    """The corpus of params.yaml in this repository."""

    name: str
    folder: Path  # data/raw/<corpus>
    pointer: Path  # the .dvc file beside it
    source: Source | None  # None where it is not imported


def place(root: Path) -> Place:
    """Where the corpus lies, and where it comes from.

    Raises:
        DataError: a stage makes it, so it has no newer version; or its .dvc file cannot be read.
    """
    name = load("corpus", FolderName, path=root / "params.yaml")
    path = f"data/raw/{name}"
    if path in outs_at(root, git(root, "rev-parse", "HEAD").decode().strip()):
        raise DataError(
            f"{path}: the corpus {name} is made by a stage of dvc.yaml, so it has no newer version; recordings "
            f"of your own are a corpus of their own: docs/how-to/bring-a-corpus.md"
        )
    pointer = root / f"{path}.dvc"
    return Place(name, root / path, pointer, _source(pointer) if pointer.is_file() else None)


def _source(pointer: Path) -> Source | None:
    tree: Any = read(pointer)[0]
    deps = tree.get("deps") or []
    if not deps:
        return None
    try:
        repo = deps[0].get("repo") or {}
        return Source(str(deps[0]["path"]), repo.get("url"), repo.get("rev"))
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{pointer}: not as dvc import writes it: {error}") from error


@contextmanager
def as_it_is_now(root: Path, given: Path | None) -> Iterator[Corpus]:
    """The newest version that can be looked at: the folder given, where the corpus is imported from, or data/raw.

    Of an import only metadata.csv is brought, for the length of the block.
    """
    name = load("corpus", FolderName, path=root / "params.yaml")
    pointer = root / f"data/raw/{name}.dvc"
    source = _source(pointer) if given is None and pointer.is_file() else None
    if source is None:
        yield Corpus(given or root / "data/raw" / name, recordings=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, METADATA))
        file = f"{source.path.rstrip('/')}/{METADATA}"
        if source.url is None:
            dvc(root, "get-url", "--quiet", _address(pointer.parent, file), out)
        else:
            rev = ["--rev", source.rev] if source.rev else []
            dvc(root, "get", "--quiet", "--out", out, *rev, source.url, file)
        yield Corpus(Path(folder), recordings=False)


def _address(beside: Path, path: str) -> str:
    """A path of the machine is from the .dvc file's own folder."""
    return path if "://" in path else os.path.normpath(beside / path)


def bring(root: Path, corpus: Place, given: Path | None) -> None:
    """data/raw/<corpus> and its .dvc file are the new version then; both stay as they are where there is none.

    Raises:
        DataError: a folder is given for a corpus that is imported from elsewhere, or is not one; or DVC failed.
    """
    target = f"data/raw/{corpus.name}"
    if given is None and corpus.source is not None:
        dvc(root, "update", f"{target}.dvc")
        return
    if given is not None:
        require_folder(corpus, given)
        mirror(given, corpus.folder)
    elif not (corpus.folder / METADATA).is_file():
        raise DataError(
            f"{corpus.folder}: has no {METADATA}; dvc pull, or name a folder with the corpus: --from FOLDER"
        )
    dvc(root, "add", "--quiet", target)


def require_folder(corpus: Place, given: Path) -> None:
    """Raises DataError where the folder cannot be a new version of the corpus."""
    if corpus.source is not None:
        raise DataError(
            f"{corpus.pointer}: the corpus {corpus.name} is imported from {corpus.source.url or corpus.source.path}; "
            f"without --from it is updated from there"
        )
    if not (given / METADATA).is_file():
        raise DataError(f"{given}: has no {METADATA}; a corpus is a folder with {METADATA} and audio")
    here, there = corpus.folder.resolve(), given.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise DataError(
            f"{given}: must lie apart from {corpus.folder}, which becomes its copy; without --from that is read"
        )


def mirror(source: Path, target: Path) -> None:
    """``target`` has exactly the files of ``source`` then.

    A file that differs is replaced and never written to, for DVC may have linked it to its cache. metadata.csv is
    copied last, so that a killed copy never names files that are not there.
    """
    if links := [name for name in _folders(source) if (source / name).is_symlink()]:
        raise DataError(f"{source / links[0]}: is a link to a folder, which is not followed; put the folder there")
    files = sorted(_files(source), key=lambda name: (name == METADATA, name))
    for name in files:
        _copy(source / name, target / name)
    kept = set(files)
    for name in set(_files(target)) - kept:
        (target / name).unlink()
    for folder, _, _ in os.walk(target, topdown=False):
        if Path(folder) != target and not os.listdir(folder):  # noqa: PTH208 - of a folder that os.walk names
            Path(folder).rmdir()


def _files(folder: Path) -> list[str]:
    """Paths of all files below, through links to files."""
    return [Path(above, name).relative_to(folder).as_posix() for above, _, names in os.walk(folder) for name in names]


def _folders(folder: Path) -> list[str]:
    """Paths of all folders below, and of links to folders."""
    return [Path(above, name).relative_to(folder).as_posix() for above, names, _ in os.walk(folder) for name in names]


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    for above in target.parents:
        if above.is_file():
            above.unlink()  # was a file, is a folder now
            break
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(target)
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        raise DataError(f"{error.filename or source}: cannot be copied: {error.strerror}; run again") from error
