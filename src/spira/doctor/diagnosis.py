"""What is wrong with a repository's state, found from what its files say: DVC's locks, dvc.lock, versions, space."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_ENTRY = re.compile(r"^  [\w@./-]+:$", re.MULTILINE)  # where a stage begins in dvc.lock


class Finding(NamedTuple):
    """One thing that is not as it should be. Where there is nothing to do, it is repaired, or only worth knowing."""

    found: str
    did: str = ""
    todo: str = ""


def lines(findings: Sequence[Finding]) -> str:
    """A line each, then what was done and what a person must do, indented."""
    parts = (("", "found"), ("  done: ", "did"), ("  TO DO: ", "todo"))
    return "\n".join(
        prefix + text for finding in findings for prefix, name in parts if (text := str(getattr(finding, name)))
    )


class Holder(NamedTuple):
    """A process that DVC's rwlock names: it reads or writes some path."""

    pid: int
    cmd: str


def holders(rwlock: str) -> set[Holder] | None:
    """All that it names; None where it is not what DVC writes, and DVC refuses to run."""
    try:
        tree = json.loads(rwlock)
        entries = [*tree.get("write", {}).values(), *(e for of in tree.get("read", {}).values() for e in of)]
        return {Holder(int(entry["pid"]), str(entry["cmd"])) for entry in entries}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def released(rwlock: str, pids: set[int]) -> str:
    """The same lock without what these processes hold."""
    tree = json.loads(rwlock)
    write = {path: entry for path, entry in tree.get("write", {}).items() if entry["pid"] not in pids}
    left = {path: [e for e in of if e["pid"] not in pids] for path, of in tree.get("read", {}).items()}
    read = {path: of for path, of in left.items() if of}
    return json.dumps({kind: of for kind, of in (("write", write), ("read", read)) if of}, allow_nan=False)


def lock_fault(text: str) -> str:
    """Why a dvc.lock is none that DVC wrote to its end; "" where it is whole."""
    if not text.strip("\0 \n"):
        return "is empty"
    if re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE):
        return "holds both sides of a merge"
    if not text.endswith("\n"):
        return "ends in the middle of a line"
    try:
        tree = YAML(typ="safe").load(text)  # as DVC reads it
    except (YAMLError, ValueError):
        return "is no YAML"
    return "" if _whole(tree) else "is cut off"


def _whole(tree: Any) -> bool:
    stages = tree.get("stages") if isinstance(tree, Mapping) and tree.get("schema") == "2.0" else None
    if not isinstance(stages, Mapping):
        return False
    for stage in stages.values():
        if not isinstance(stage, Mapping) or "cmd" not in stage:
            return False
        entries = [entry for kind in ("deps", "outs") if kind in stage for entry in stage[kind] or [{}]]
        if not all(isinstance(entry, Mapping) and "path" in entry and len(entry) > 1 for entry in entries):
            return False
    return True


def stage_texts(lock: str) -> dict[str, str]:
    """The text of each stage of a dvc.lock by its name; of one that is cut off, of all but the last."""
    starts = [found.start() for found in _ENTRY.finditer(lock)]
    end = len(lock) if not lock_fault(lock) else (starts or [0])[-1]
    pieces = [lock[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)] if starts else []
    return {piece.partition(":")[0].strip(): piece for piece in pieces if piece}


def wrong_versions(pinned: Mapping[str, str], installed: Callable[[str], str | None]) -> Iterator[str]:
    """``numpy: 2.1 is installed, 2.2 is pinned``; a local part such as ``+cpu`` is no difference."""
    for name, version in sorted(pinned.items()):
        found = installed(name)
        if found is None:
            yield f"{name}: not installed, {version} is pinned"
        elif found.partition("+")[0] != version.partition("+")[0]:
            yield f"{name}: {found} is installed, {version} is pinned"


def pins(requirements: str) -> dict[str, str]:
    """Version by name of every ``name==version`` line, whatever follows on it."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)([^\\\n]*)", requirements, re.MULTILINE)
    return {name: version for name, version, rest in found if ";" not in rest}


def space(free: int, sizes: Sequence[int]) -> str:
    """What is wrong with the free bytes, where a run writes so much into the workspace, and again into the cache."""
    needed = 2 * sum(sizes)
    if free >= needed:
        return ""
    return f"{free / 1e9:.1f} GB are free, and a run of everything writes up to {needed / 1e9:.1f} GB"


def only_absent(changes: Sequence[Any]) -> bool:
    """Of a stage in ``dvc status``: nothing is wrong with it but that data are not here."""
    return all(
        isinstance(change, Mapping) and all(set(of.values()) == {"deleted"} for of in change.values())
        for change in changes
    )
