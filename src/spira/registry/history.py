"""The tags of a registry -> its versions, which of them stands in which stage, and what in the record is not right.

The names are GTO's: ``demo@v0.0.1`` registers a version, ``demo#champion#3`` assigns it, ``demo#champion!#4``
withdraws it. The number counts the assignments and withdrawals of a registry, so it is their order; times are not.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spira.base.errors import DataError
from spira.registry.record import STAGES, Action, Record, Stage, read_message

_NAME = re.compile(
    r"(?P<registry>[\w-]+)(?:@(?P<version>v\d+\.\d+\.\d+)|#(?P<stage>\w+)(?P<withdrawn>!?)#(?P<number>\d+))"
)


@dataclass(frozen=True)
class Tag:
    """A tag as git has it."""

    name: str
    object: str  # its own hash; that of a tag without a message is its commit's
    annotated: bool
    commit: str
    tagger: str
    when: int  # seconds since 1970, as its maker's clock said
    message: str


@dataclass(frozen=True)
class Event:
    """A tag that is a record of the registry."""

    tag: Tag
    action: Action
    number: int  # 0 where a version is registered
    record: Record


@dataclass(frozen=True)
class History:
    """All of a registry that can be read, and what could not."""

    registry: str
    events: tuple[Event, ...]  # registrations by version, then assignments and withdrawals by number
    problems: tuple[str, ...]

    @property
    def versions(self) -> dict[str, Event]:
        """Each registered version, the oldest first."""
        found = {event.record.version: event for event in self.events if event.action == "register"}
        return dict(sorted(found.items(), key=lambda item: _order(item[0])))

    def standing(self, stage: Stage) -> list[str]:
        """The versions that were given the stage and not withdrawn since; the last is the one in use."""
        found: list[str] = []
        for event in self.events:
            if event.record.stage == stage:
                found = [version for version in found if version != event.record.version]
                found += [event.record.version] if event.action == "assign" else []
        return found

    def in_use(self, stage: Stage) -> str | None:
        return next(reversed(self.standing(stage)), None)

    def last(self, stage: Stage) -> Event | None:
        """What was done last with the stage."""
        return next((event for event in reversed(self.events) if event.record.stage == stage), None)

    def version_at(self, commit: str) -> str | None:
        return next((version for version, event in self.versions.items() if event.tag.commit == commit), None)

    def next_version(self) -> str:
        """One more than the newest, in the last place; ``v0.0.1`` is the first, as GTO has it."""
        major, minor, patch = _order(next(reversed(self.versions), "v0.0.0"))
        return f"v{major}.{minor}.{patch + 1}"

    def looks(self, test_set: str) -> int:
        """How many earlier gates of promotions read the test set of this hash; that of a version counts once."""
        gates = {event.record.gate.model_dump_json(): event.record.gate for event in self.events if event.record.gate}
        return sum(gate.test_set is not None and gate.test_set.hash == test_set for gate in gates.values())

    def newest(self) -> str | None:
        """The object of the last tag, which the next one names."""
        numbered = [event for event in self.events if event.number]
        return max(numbered, key=lambda event: event.number).tag.object if numbered else None


def read_history(registry: str, tags: Iterable[Tag]) -> History:
    """The records in the tags of one registry; a tag that is no sound record is a problem, and counts for nothing."""
    found, problems = list[Event](), list[str]()
    for tag in tags:
        try:
            found.append(_event(registry, tag))
        except DataError as error:
            problems.append(str(error))
    found.sort(key=lambda event: (event.number, _order(event.record.version), event.tag.name))
    return History(registry, tuple(found), tuple(problems))


def _event(registry: str, tag: Tag) -> Event:
    match = _NAME.fullmatch(tag.name)
    if match is None or match["registry"] != registry or (match["stage"] and match["stage"] not in STAGES):
        raise DataError(f"{tag.name}: no name that the registry gives; somebody else made this tag")
    if not tag.annotated:
        raise DataError(f"{tag.name}: has no message, so it is no record: the registry did not make it")
    record = read_message(tag.message, tag.name)
    action: Action = "register" if match["version"] else "withdraw" if match["withdrawn"] else "assign"
    said = (record.registry, record.action, record.stage, record.version if match["version"] else None)
    if said != (registry, action, match["stage"], match["version"]):
        raise DataError(f"{tag.name}: its record is of {record.action} {record.version}, {record.stage}: it was forged")
    if record.commit != tag.commit:
        raise DataError(
            f"{tag.name}: stands at {tag.commit[:8]}, and its record says {record.commit[:8]}: it was moved"
        )
    if record.gate and (record.gate.commit, record.gate.package) != (record.commit, record.package):
        raise DataError(f"{tag.name}: its gate is of another commit or package: it was forged")
    if action != "withdraw" and not (record.gate and record.gate.passed):
        raise DataError(f"{tag.name}: its record has no gate that passed: it was forged")
    return Event(tag, action, int(match["number"] or 0), record)


def _order(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.removeprefix("v").split("."))
    return major, minor, patch


def contradictions(history: History, folders: Mapping[str, str | None]) -> Iterator[str]:
    """What no single tag shows: packages that are not their commit's, and links to tags that are gone.

    Args:
        folders: by commit, what dvc.lock there calls data/package by; None where it names none.
    """
    objects, versions = {event.tag.object for event in history.events}, history.versions
    for event in history.events:
        name, record = event.tag.name, event.record
        if folders.get(event.tag.commit) != record.folder:
            yield f"{name}: names the package {record.folder[:8]}, and dvc.lock of its commit another: it was forged"
        if record.previous is not None and record.previous not in objects:
            yield f"{name}: follows a tag that is gone or was replaced ({record.previous[:8]})"
        registered = versions.get(record.version)
        if registered is None:
            yield f"{name}: is of {record.version}, which is not registered"
        elif (registered.tag.commit, registered.record.package) != (event.tag.commit, record.package):
            yield f"{name}: is of {record.version}, and of another commit or package than that was registered with"


def differences(here: Mapping[str, str], there: Mapping[str, str], remote: str) -> list[str]:
    """Where this clone's tags are not the remote's.

    Args:
        here, there: by name, the tag's object.
    """
    lines = dict.fromkeys(here.keys() - there.keys(), "is only here; it was never promoted")
    lines |= dict.fromkeys(there.keys() - here.keys(), f"is on {remote} alone; git fetch --tags")
    moved = [name for name in here.keys() & there.keys() if here[name] != there[name]]
    lines |= {name: f"was moved: {here[name][:8]} here, {there[name][:8]} on {remote}" for name in moved}
    return [f"{name}: {line}" for name, line in sorted(lines.items())]


def find_version(history: History, name: str) -> Event:
    """The version that a stage, a version, or the first eight or more digits of a package's hash name.

    Raises:
        DataError: there is none, with what there is.
    """
    for stage in STAGES:
        if name == stage:
            in_use = history.in_use(stage)
            if in_use is None:
                raise DataError(f"registry {history.registry}: no {stage} yet; spira promote makes one")
            name = in_use
    if name in history.versions:
        return history.versions[name]
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        found = [event for event in history.versions.values() if event.record.package.startswith(name)]
        if found:
            return found[-1]
    raise DataError(f"registry {history.registry}: no version {name}; known: {_known(list(history.versions))}")


def _known(versions: Sequence[str]) -> str:
    return ", ".join(versions[-10:]) or "none yet"
