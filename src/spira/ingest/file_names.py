"""Find the files that a table names, though names may change on the way between systems.

A Mac writes the accents of a name as characters of their own, and takes ``clip.WAV`` for ``clip.wav``; what another
system unpacks from it has other names than the table.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from spira.clips.spelling import difference, key
from spira.ingest.packed import RawFolder
from spira.ingest.personal_data import shown

_PLAIN = re.compile(r"[^\\/:.][^\\/:]*(/[^\\/:.][^\\/:]*)*")  # a path with one spelling, inside its folder
_MOST_NAMED = 5


def path_problems(lines: Iterable[int], names: Iterable[str], source: Path) -> Iterator[str]:
    """Yields a message for each path that leads out of the corpus's folder, or was named before."""
    first: dict[str, tuple[int, str]] = {}
    for line, name in zip(lines, names, strict=True):
        path = PureWindowsPath("a" if _PLAIN.fullmatch(name) else name)  # knows C:\\ and both kinds of slash
        one, here = one_name(name), f"{source}:{line}: file_path must"
        if not name:
            yield f"{here} name a recording, and is blank"
        elif not path.parts or path.anchor or ".." in path.parts:
            yield f"{here} lie inside the corpus's folder, got {shown(name)}"
        elif one in first:
            before, spelled = first[one]
            encoded = name != spelled and _composed(name) == _composed(spelled)
            how = ", where its accents are encoded otherwise" if encoded else ""
            yield f"{here} be named once, got {shown(name)} again after line {before}{how}"
        else:
            first[one] = line, name


def one_name(name: str) -> str:
    r"""The one name of ``./a/b.wav``, ``a//b.wav`` and ``a\b.wav``, and of accents in either encoding."""
    return _composed(name if _PLAIN.fullmatch(name) else PureWindowsPath(name).as_posix())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


class Located(NamedTuple):
    """The paths of recordings in their folder."""

    paths: dict[str, str]  # by name in the table; the name itself where no other file can be meant
    doubts: dict[str, str]  # by name, a message where it is not clear which file is meant


def locate_files(folder: RawFolder, names: Sequence[str], named: Callable[[str], str]) -> Located:
    """Finds the file of each name: the one with that name, else the only one that is spelled alike and still free.

    Args:
        folder: the corpus's, with what is packed in it.
        names: those in its table, each once.
        named: gives a file's name in an output.

    How many files have another spelling is printed.
    """
    absent = [name for name in names if not folder.holds(name)]
    found = Located({name: name for name in names}, {})
    if not absent:
        return found
    listing, taken = cache(partial(_listing, folder)), set(names) - set(absent)
    meant = {name: _meant(name, taken, listing) for name in absent}
    claims = Counter(path for paths in meant.values() for path in paths)
    for name, paths in meant.items():
        if len(paths) == 1 and claims[paths[0]] == 1:
            found.paths[name] = paths[0]
        elif paths:
            found.doubts[name] = _doubt(name, paths, named) + " in this row only" * (len(paths) == 1)
    kinds = Counter(difference(name, path) for name, path in found.paths.items() if name != path)
    for how, n in sorted(kinds.items()):
        print(
            f"{folder.path}: the names of {n} of {len(names)} files differ from the table's only {how}; each was found"
        )
    return found


def _meant(name: str, taken: set[str], listing: Callable[[str], dict[str, list[str]]]) -> list[str]:
    """The files that may be meant: those with just the letters of the name, else those that are spelled alike."""
    paths = [""]
    for part in PurePosixPath(name).parts:
        paths = [f"{path}/{child}".lstrip("/") for path in paths for child in listing(path).get(key(part), ())]
    free = [path for path in paths if path not in taken]
    exact = [path for path in free if _composed(path) == _composed(name)]
    return exact or free


def _listing(folder: RawFolder, path: str) -> dict[str, list[str]]:
    """The names in a folder of the corpus, sorted, by their spelling key."""
    children = defaultdict(list)
    for child in folder.children(path):
        children[key(child)].append(child)
    return children


def _doubt(name: str, paths: Sequence[str], named: Callable[[str], str]) -> str:
    said = [f"{shown(named(path))}, which differs {difference(name, path)}" for path in paths[:_MOST_NAMED]]
    more = [f"{len(paths) - _MOST_NAMED} more"] if len(paths) > _MOST_NAMED else []
    return f"there is {' and '.join([*said, *more])}: name the one that is meant"
