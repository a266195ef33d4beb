"""The registry's tags in git: GTO writes them, git carries them, and the remote's are the truth.

A tag that only this clone has was never a promotion: its maker was killed, or another was faster. It is removed before
the next one is made, so that the same command finishes what was begun.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from spira.base.errors import DataError
from spira.base.params import load
from spira.registry.history import History, Tag, differences, read_history
from spira.registry.params import GateParams
from spira.registry.record import Record, message
from spira.repository.git import git

_FIELDS = ("refname:strip=2", "objectname", "objecttype", "*objectname", "taggername", "taggeremail", "taggerdate:unix")
_MOST_LEFT_OVER = 2  # that one promotion makes; more are a record that was never pushed


def registry_name(root: Path) -> str:
    """``gate.registry`` of params.yaml."""
    return load("gate", GateParams, path=root / "params.yaml").registry


def read_tags(root: Path, registry: str) -> list[Tag]:
    """All tags whose name begins as those of the registry do."""
    # a body that is read from the tag itself: %(contents) of a tag without a message is its commit's
    form = "%00".join(f"%({field})" for field in (*_FIELDS, "contents")) + "%00"
    listed = git(root, "for-each-ref", f"--format={form}", *_patterns(registry)).decode(errors="replace")
    cells = listed.split("\0")
    rows = [cells[start : start + 8] for start in range(0, len(cells) - 1, 8)]
    return [
        Tag(
            name=name.lstrip("\n"),
            object=found,
            annotated=kind == "tag",
            commit=target or found,
            tagger=f"{tagger} {email}".strip(),
            when=int(when or 0),
            message=said if kind == "tag" else "",
        )
        for name, found, kind, target, tagger, email, when, said in rows
    ]


def _patterns(registry: str) -> tuple[str, str]:
    return f"refs/tags/{registry}@*", f"refs/tags/{registry}#*"


def local_history(root: Path, registry: str) -> History:
    """What this clone's tags say."""
    return read_history(registry, read_tags(root, registry))


def remote_objects(root: Path, remote: str, registry: str) -> dict[str, str]:
    """By name, the object of each of the registry's tags on the remote."""
    listed = git(root, "ls-remote", "--tags", "--refs", remote, *_patterns(registry)).decode()
    pairs = (line.split("\t") for line in listed.splitlines())
    return {name.removeprefix("refs/tags/"): found for found, name in pairs}


def local_objects(root: Path, registry: str) -> dict[str, str]:
    """By name, the object of each of the registry's tags here."""
    return {tag.name: tag.object for tag in read_tags(root, registry)}


def refreshed(root: Path, remote: str, registry: str) -> History:
    """The remote's record: its tags are brought, and what a killed or beaten promotion left here is removed.

    Raises:
        DataError: the remote cannot be read, a tag was moved, or this clone has a record that the remote never had.
    """
    here, there = local_objects(root, registry), remote_objects(root, remote, registry)
    if moved := [line for line in differences(here, there, remote) if "was moved" in line]:
        raise DataError(f"{moved[0]}; spira registry --verify lists all")
    left = sorted(here.keys() - there.keys())
    if len(left) > _MOST_LEFT_OVER:
        raise DataError(
            f"{remote} lacks {len(left)} tags of the registry {registry} that are here, such as {left[0]}: is it the "
            f"right remote? Push them, or delete them"
        )
    if left:
        delete(root, left)
        print(f"removed {', '.join(left)}: never pushed, so never promoted", file=sys.stderr)
    if there.keys() - here.keys():
        _bring(root, remote, registry)
    return local_history(root, registry)


def shared_history(root: Path, remote: str, registry: str) -> History:
    """The remote's record, for who reads and writes nothing; this clone's alone, said aloud, where it is not reached.

    Raises:
        DataError: a tag was moved.
    """
    try:
        there = remote_objects(root, remote, registry)
    except DataError as error:
        why = str(error).partition("\n")[0] if remote_exists(root, remote) else f"no git remote {remote}"
        print(f"{why}; by the tags of this clone alone", file=sys.stderr)
        return local_history(root, registry)
    here = local_objects(root, registry)
    if moved := [line for line in differences(here, there, remote) if "was moved" in line]:
        raise DataError(f"{moved[0]}; spira registry --verify lists all")
    if there.keys() - here.keys():
        _bring(root, remote, registry)
    return read_history(registry, [tag for tag in read_tags(root, registry) if tag.name in there])


def _bring(root: Path, remote: str, registry: str) -> None:
    refs = [f"{pattern}:{pattern}" for pattern in _patterns(registry)]
    git(root, "fetch", "--quiet", "--no-tags", remote, *refs)


def delete(root: Path, names: Sequence[str]) -> None:
    """Removes tags of this clone."""
    git(root, "tag", "--delete", *names)


def write(root: Path, record: Record) -> str:
    """The name of a new tag with the record, made by GTO; this clone alone has it until it is pushed."""
    from gto import api
    from gto.exceptions import GTOException

    text, name = message(record), record.registry
    try:
        if record.action == "register":
            made = api.register(str(root), name, record.commit, version=record.version, message=text)
        elif record.action == "assign":
            made = api.assign(str(root), name, record.stage, version=record.version, message=text)
        else:
            made = api.unassign(str(root), name, version=record.version, stage=record.stage, message=text)
    except GTOException as error:
        raise DataError(f"gto {record.action} {name} {record.version}: {error}") from error
    return str(made.tag)


def push(root: Path, remote: str, names: Sequence[str]) -> None:
    """Sends the tags, all or none.

    Raises:
        DataError: the remote has others by these names, so another was faster; these are then removed here. Or it
            cannot be reached; these then stay, and the next promotion removes them.
    """
    refs = [f"refs/tags/{name}" for name in names]
    try:
        git(root, "push", "--quiet", "--atomic", remote, *(f"{ref}:{ref}" for ref in refs))
    except DataError as error:
        here = {name: found for name in names if (found := local_objects(root, _registry(name)).get(name))}
        there = remote_objects(root, remote, _registry(names[0]))
        if not any(name in there and there[name] != found for name, found in here.items()):
            raise DataError(f"the tags were not pushed ({error}); the same command again") from error
        delete(root, names)
        other = next(name for name in names if name in there)
        raise DataError(
            f"somebody else promoted or withdrew a model meanwhile ({other} is on {remote} already): nothing of this "
            f"was done; look at spira registry, then run again"
        ) from error


def _registry(name: str) -> str:
    return name.partition("@")[0].partition("#")[0]


def remote_exists(root: Path, remote: str) -> bool:
    return remote in git(root, "remote").decode().split()
