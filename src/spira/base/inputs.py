"""The data that a stage reads: whether its bytes are still those that DVC recorded when they were made or added.

DVC takes a file for unchanged whose size, inode and time of change are: a bit that the disk has lost is none of these.
So every file is read once more, before the stage begins, and compared with its md5: dvc.lock has that of each output,
or of the list of a folder's files, which lies in DVC's cache; ``x.dvc`` has that of what ``dvc add x`` took in.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from spira.base.errors import DataError
from spira.base.files import hash_file
from spira.base.params import PARAMS, read
from spira.base.system_errors import naming

_SECONDS_BETWEEN_READS = 0.1  # of a dvc.lock that another training's DVC is just writing
_N_AT_ONCE = 4
_MOST_NAMED = 5


class Expected(NamedTuple):
    """A file, or a folder of which no list is at hand, and what DVC knows it by."""

    path: Path
    md5: str


def require_unchanged(stage: str, arguments: Sequence[str]) -> None:
    """Compares all data that dvc.yaml says the stage depends on; where it names none, or DVC knows none, does nothing.

    Args:
        stage: its name in dvc.yaml.
        arguments: of its command, in the order of its matrix.

    Raises:
        DataError: a file is not what DVC recorded, under DVC. By hand, where somebody may just have run the stage
            before it by hand too, stderr says so instead.
    """
    inputs = _inputs(stage, arguments)
    if not inputs:
        return
    expected = sorted(set(_expected(inputs)))
    with ThreadPoolExecutor(_N_AT_ONCE) as pool:
        found = list(pool.map(lambda one: _md5(one.path), expected))
    wrong = [
        f"{one.path}: damaged, or changed by another than the stage that wrote it: expected md5 {one.md5}, got {got}"
        for one, got in zip(expected, found, strict=True)
        if got not in ("", one.md5)
    ]
    if wrong:
        more = f"\nand {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        message = "\n".join(wrong[:_MOST_NAMED]) + more
        message += "; `spira doctor` brings it back, or says what to run again"
        if "DVC_STAGE" in os.environ:
            raise DataError(message)
        print(f"{message}; if it was made by hand since then, all is well", file=sys.stderr)


def _inputs(stage: str, arguments: Sequence[str]) -> list[str]:
    """The paths of data among the stage's dependencies, with ``${...}`` filled in as DVC does."""
    declared = Path("dvc.yaml")
    if not declared.is_file() or not PARAMS.is_file():
        return []
    stages = YAML(typ="safe").load(declared)["stages"]
    if stage not in stages:  # a program that is not this repository's
        return []
    values = {**read(PARAMS)[0], "item": dict(zip(stages[stage].get("matrix", {}), arguments, strict=False))}

    def value(found: re.Match[str]) -> str:
        here: Any = values
        for key in found[1].split("."):
            here = here.get(key, "") if isinstance(here, Mapping) else ""
        return str(here)

    deps = (re.sub(r"\$\{([\w.]+)\}", value, dep) for dep in stages[stage]["deps"])
    return [dep for dep in deps if dep.startswith("data/")]


def _expected(inputs: Sequence[str]) -> Iterator[Expected]:
    recorded = _recorded(inputs)
    for dep in inputs:
        for out, known in recorded.items():
            if _covers(dep, out) or _covers(out, dep):
                files = _files(Path(out), known)
                yield from (one for one in files if _covers(dep, one.path.as_posix()) or one.md5 == known)


def _covers(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _recorded(inputs: Sequence[str]) -> dict[str, str]:
    """md5 by path of all outputs in dvc.lock, and of those inputs that came by ``dvc add``."""
    added = {dep: YAML(typ="safe").load(file) for dep in inputs if (file := Path(f"{dep}.dvc")).is_file()}
    found = {dep: known for dep, tree in added.items() if (known := _md5_in(tree["outs"][0]))}
    lock, before = Path("dvc.lock"), None
    while lock.is_file():
        if (text := lock.read_text(encoding="utf-8")) != before:
            found |= _outs(text)
        if text == before or all(any(_covers(dep, out) or _covers(out, dep) for out in found) for dep in inputs):
            break
        before = text
        time.sleep(_SECONDS_BETWEEN_READS)
    return found


def _outs(lock: str) -> dict[str, str]:
    """None where DVC has not written its last line to the end."""
    try:
        stages = YAML(typ="safe").load(lock)["stages"].values() if lock.endswith("\n") else []
        return {out["path"]: known for stage in stages for out in stage.get("outs", []) if (known := _md5_in(out))}
    except (YAMLError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _md5_in(entry: Mapping[str, str]) -> str:
    """Nothing where DVC 2 wrote it, whose md5 is that of a text with other line ends."""
    return entry.get("md5", "") if entry.get("hash") == "md5" else ""


def _files(path: Path, known: str) -> list[Expected]:
    """The file itself; of a folder, those of its list, or the folder where DVC's cache has no such list."""
    if not known.endswith(".dir"):
        return [Expected(path, known)]
    listing = _cache() / known[:2] / known[2:]
    if not listing.is_file() or hash_file(listing, "md5") != known.removesuffix(".dir"):
        return [Expected(path, known)]
    return [Expected(path / entry["relpath"], entry["md5"]) for entry in json.loads(listing.read_bytes())]


def _cache() -> Path:
    """The repository's own, or that which its settings name."""
    settings = ConfigParser(interpolation=None, strict=False)
    settings.read([".dvc/config", ".dvc/config.local"], encoding="utf-8")
    return Path(".dvc", settings.get("cache", "dir", fallback="cache").strip("'\""), "files/md5")


def _md5(path: Path) -> str:
    """The md5 of what is there now, as DVC computes it; "" where there is nothing, which its reader reports."""
    with naming(path, "read"):
        if not path.is_dir():
            return hash_file(path, "md5") if path.is_file() else ""
        files = sorted(file for file in path.rglob("*") if file.is_file())
        rows = [{"md5": hash_file(file, "md5"), "relpath": file.relative_to(path).as_posix()} for file in files]
    listed = json.dumps(sorted(rows, key=lambda row: row["relpath"]), sort_keys=True, allow_nan=False)  # as DVC does
    return f"{md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"
