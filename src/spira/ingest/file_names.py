"""The names of recordings in a table -> the files that are meant: names may change on the way between systems.

A Mac writes the accents of a name as characters of their own, and takes ``clip.WAV`` for ``clip.wav``; what another
system unpacks from it has other names than the table.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from spira.clips.spelling import difference, key
from spira.ingest.personal_data import shown

_PLAIN = re.compile(r"[^\\/:.][^\\/:]*(/[^\\/:.][^\\/:]*)*")  # a path with one spelling, inside its folder
_MOST_NAMED = 5


def path_problems(lines: Iterable[int], names: Iterable[str], source: Path) -> Iterator[str]:
    """Each row whose path leads out of the corpus's folder, or has been named before."""
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
    """Where each recording lies in its folder."""

    places: dict[str, str]  # by name in the table; the name itself where nothing else can be meant
    doubts: dict[str, str]  # by name, what is there where nobody can tell which file is meant


def located(folder: Path, names: Sequence[str], named: Callable[[str], str]) -> Located:
    """The file of each name: the one that is called so, else the only one that is spelled alike and is nobody else's.

    Args:
        folder: of the corpus.
        names: in its table, each once.
        named: what a file is called in an output.

    How many files are called otherwise is printed.
    """
    absent = [name for name in names if not os.path.lexists(folder / name)]
    found = Located({name: name for name in names}, {})
    if not absent:
        return found
    listing, taken = cache(_listing), set(names) - set(absent)
    meant = {name: _meant(folder, name, taken, listing) for name in absent}
    claims = Counter(place for places in meant.values() for place in places)
    for name, places in meant.items():
        if len(places) == 1 and claims[places[0]] == 1:
            found.places[name] = places[0]
        elif places:
            found.doubts[name] = _doubt(name, places, named) + " by this row alone" * (len(places) == 1)
    kinds = Counter(difference(name, place) for name, place in found.places.items() if name != place)
    for how, n in sorted(kinds.items()):
        print(f"{folder}: the names of {n} of {len(names)} files differ from the table's only {how}; each was found")
    return found


def _meant(folder: Path, name: str, taken: set[str], listing: Callable[[Path], dict[str, list[str]]]) -> list[str]:
    """The files that may be meant: of those with just the letters of the name, else of those that are spelled alike."""
    places = [""]
    for part in PurePosixPath(name).parts:
        places = [
            f"{place}/{child}".lstrip("/") for place in places for child in listing(folder / place).get(key(part), ())
        ]
    free = [place for place in places if place not in taken]
    exact = [place for place in free if _composed(place) == _composed(name)]
    return exact or free


def _listing(folder: Path) -> dict[str, list[str]]:
    """What lies in a folder, sorted, by what its name is spelled like."""
    children = defaultdict(list)
    if folder.is_dir():
        for child in sorted(path.name for path in folder.iterdir()):
            children[key(child)].append(child)
    return children


def _doubt(name: str, places: Sequence[str], named: Callable[[str], str]) -> str:
    said = [f"{shown(named(place))}, which differs {difference(name, place)}" for place in places[:_MOST_NAMED]]
    more = [f"{len(places) - _MOST_NAMED} more"] if len(places) > _MOST_NAMED else []
    return f"there is {' and '.join([*said, *more])}: name the one that is meant"
