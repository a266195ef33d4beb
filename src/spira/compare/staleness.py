"""What dvc.yaml declares and dvc.lock remembers -> which results are older than what made them, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spira.base.bounded_yaml import flat
from spira.evaluation.markdown import code, inert

Tree = Mapping[str, Any]
Inside = Mapping[tuple[str, str], Sequence[str]]
_MOST_NAMED = 5


@dataclass(frozen=True)
class Declared:
    """A stage of dvc.yaml, with its ``${...}`` filled in."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: Mapping[str, tuple[str, ...]]  # dotted names by file; none is the whole file


def hashes(stage: Tree, kind: str) -> dict[str, str]:
    """md5 by path of a stage's ``deps`` or ``outs`` in dvc.lock."""
    return {entry["path"]: entry.get("md5", "") for entry in stage.get(kind, [])}


def stale(
    stages: list[Declared], lock: Tree, files: Mapping[str, str], params: Mapping[str, Tree], inside: Inside
) -> dict[str, list[str]]:
    """The reasons, as Markdown, for which each stage's results are not those of this revision; {} where all are.

    Args:
        stages: every stage, in dvc.yaml's order.
        lock: the ``stages`` of dvc.lock, by name.
        files: md5 by path of what this revision itself holds: files in git, and folders by their .dvc file.
        params: the tree of each parameter file, by path.
        inside: the files that differ, by folder and the md5 that it had; [] where nobody knows.
    """
    made = {path: md5 for entry in lock.values() for path, md5 in hashes(entry, "outs").items()}
    found = {}
    for stage in stages:
        if stage.name not in lock:
            found[stage.name] = ["it has never run"]
        elif reasons := list(_reasons(stage, lock[stage.name], {**made, **files}, params, inside)):
            found[stage.name] = reasons
    for name in lock.keys() - {stage.name for stage in stages}:
        found[name] = ["dvc.lock has results of a stage that dvc.yaml has not"]
    return found


def _reasons(
    stage: Declared, entry: Tree, now: Mapping[str, str], params: Mapping[str, Tree], inside: Inside
) -> Iterator[str]:
    if stage.cmd != entry.get("cmd"):
        yield "its command changed"
    deps, outs = hashes(entry, "deps"), hashes(entry, "outs")
    for path in stage.deps:
        if path not in deps:
            yield f"{code(path)} is a new dependency"
        elif path in now and now[path] != deps[path]:
            yield f"{_named(inside.get((path, deps[path]), []) or [path])} changed"
        elif path not in now and not any(path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in now):
            yield f"{code(path)} is gone"
    yield from (f"{code(path)} is no longer a dependency" for path in deps if path not in stage.deps)
    yield from (f"{code(path)} was never written" for path in stage.outs if path not in outs)
    yield from (f"{code(path)} is not what the stage wrote" for path in outs if now.get(path, outs[path]) != outs[path])
    for file, names in stage.params.items():
        yield from _changed(flat(entry.get("params", {}).get(file, {})), flat(params.get(file, {})), names)


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(code, paths[:_MOST_NAMED])) + more


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """Each parameter of those named that is not what the results were made with."""

    def meant(key: str) -> bool:
        return not names or any(key == name or key.startswith(f"{name}.") for name in names)

    absent = object()
    for key in sorted(filter(meant, then.keys() | now.keys())):
        if then.get(key, absent) != now.get(key, absent):
            yield f"{code(key)} is {inert(now.get(key, 'absent'))}, the results have {inert(then.get(key, 'none'))}"
