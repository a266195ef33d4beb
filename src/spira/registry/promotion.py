"""Promote and roll back: the gate, the bytes, then the tags; after any of these steps the machine may die.

What was killed is finished by the same command: bytes that are on the remote are not sent again, and tags that were
never pushed are removed and made anew (``tags.refreshed``).
"""

from pathlib import Path
from typing import NamedTuple

from spira.base.errors import DataError
from spira.base.tables import read_json
from spira.registry import tags
from spira.registry.gate import changed, gate
from spira.registry.history import Event, History
from spira.registry.listing import gate_text
from spira.registry.packages import PACKAGE, outs_at, package_of, push_all
from spira.registry.record import Gate, Lineage, Record, Stage
from spira.registry.rules import golden
from spira.registry.scoring import answers
from spira.registry.verification import problems_of
from spira.repository.git import git
from spira.scorer.manifest import MANIFEST, read_manifest
from spira.scorer.scorer import GOLDEN, GOLDEN_ANSWERS

_METRICS = ("auc", "sensitivity", "specificity")


class Asked(NamedTuple):
    """Who asks for what."""

    root: Path
    remote: str  # of git
    stage: Stage
    by: str
    why: str


def current(root: Path, remote: str) -> History:
    """The remote's record, sound.

    Raises:
        DataError: it cannot be read, or something in it was moved or forged.
    """
    if not tags.remote_exists(root, remote):
        raise DataError(f"no git remote {remote}: promotions are recorded there; git remote add {remote} <url>")
    history = tags.refreshed(root, remote, tags.registry_name(root))
    if problems := problems_of(root, history):
        raise DataError(f"{problems[0]}; spira registry --verify lists all")
    return history


def whoever(root: Path) -> str:
    """The person whom git takes for the maker of a tag, such as ``Ana <ana@example.org>``."""
    return git(root, "var", "GIT_COMMITTER_IDENT").decode().rsplit(" ", 2)[0]


def promote(asked: Asked) -> str:
    """Makes HEAD's package the one in use; what was done, in one line. Doing it twice does it once.

    Raises:
        DataError: the gate did not pass, bytes or tags could not be pushed, or somebody else was faster.
    """
    root = asked.root
    if dirty := changed(root):
        raise DataError(f"{dirty[0]}: a promotion is of a commit; commit or remove it first")
    history = current(root, asked.remote)
    commit = git(root, "rev-parse", "HEAD").decode().strip()
    in_use = history.in_use(asked.stage)
    if in_use and history.versions[in_use].record.folder == outs_at(root, commit).get(PACKAGE):
        return f"{history.registry} {in_use} is {asked.stage} already, by this package; nothing to do"
    registered = history.version_at(commit)
    if registered in history.standing(asked.stage):
        raise DataError(f"{registered}: was {asked.stage} before {in_use}; spira rollback {in_use} makes it so again")
    found = gate(root, history)
    if not found.passed:
        raise DataError(f"not promoted\n{gate_text(found)}")
    folder = outs_at(root, commit)[PACKAGE]
    said = push_all(root, folder)
    names = _tag(asked, history, found, folder)
    tags.push(root, asked.remote, names)
    version = history.version_at(commit) or history.next_version()
    return f"{said}\n{history.registry} {version} is {asked.stage}: {', '.join(names)} pushed to {asked.remote}"


def _tag(asked: Asked, history: History, found: Gate, folder: str) -> list[str]:
    """The names of the tags that record it, of this clone alone until they are pushed."""
    root, registered = asked.root, history.version_at(found.commit)
    record = Record(
        action="assign",
        registry=history.registry,
        version=registered or history.next_version(),
        stage=asked.stage,
        commit=found.commit,
        package=found.package,
        folder=folder,
        by=asked.by,
        why=asked.why,
        previous=history.newest(),
        lineage=None,
        gate=found,
    )
    names = []
    if registered is None:
        lineage = _lineage(root)
        names.append(
            tags.write(root, record.model_copy(update={"action": "register", "stage": None, "lineage": lineage}))
        )
    return [*names, tags.write(root, record)]


def _lineage(root: Path) -> Lineage:
    hashes = read_manifest(root / PACKAGE / MANIFEST).hashes
    tree = read_json(root / "data/metrics.json")
    numbers = {f"{metric}_{name}": value for metric in _METRICS for name, value in tree.get(metric, {}).items()}
    metrics = {name: float(value) for name, value in numbers.items() if isinstance(value, int | float)}
    return Lineage(**hashes.model_dump(), metrics=metrics)


def rollback(asked: Asked, version: str | None) -> str:
    """Withdraws the version in use, and makes the one before it the one in use again; what was done, in one line.

    That one is brought and answers its golden recordings first, so that nobody falls back on what does not work.

    Args:
        asked: of which stage.
        version: the one to withdraw; with it the command may be repeated. None: the one in use.

    Raises:
        DataError: nothing stands before it, or that does not work here.
    """
    history = current(asked.root, asked.remote)
    standing, last = history.standing(asked.stage), history.last(asked.stage)
    if not standing or last is None:
        raise DataError(f"registry {history.registry}: no {asked.stage}; there is nothing to withdraw")
    if version is None and last.action == "withdraw":
        raise DataError(
            f"{last.record.version} was withdrawn last, and {standing[-1]} is {asked.stage}; to withdraw that too: "
            f"spira rollback {standing[-1]}"
        )
    if version not in (None, standing[-1]):
        if version in history.versions and version not in standing:
            return f"{history.registry} {version} is not {asked.stage} any more; {standing[-1]} is: nothing to do"
        raise DataError(f"{version}: is not {asked.stage}, so it cannot be withdrawn; {standing[-1]} is")
    if len(standing) < 2:
        raise DataError(f"{standing[-1]}: nothing was {asked.stage} before it; promote another instead")
    withdrawn, before = history.versions[standing[-1]], history.versions[standing[-2]]
    require_works(asked.root, before)
    name = tags.write(asked.root, _withdrawal(asked, history, withdrawn))
    tags.push(asked.root, asked.remote, [name])
    return (
        f"{history.registry} {standing[-2]} is {asked.stage} again and answers its golden recordings; {standing[-1]} "
        f"is withdrawn: {name} pushed to {asked.remote}"
    )


def _withdrawal(asked: Asked, history: History, withdrawn: Event) -> Record:
    update = {
        "action": "withdraw",
        "stage": asked.stage,
        "by": asked.by,
        "why": asked.why,
        "lineage": None,
        "gate": None,
    }
    return withdrawn.record.model_copy(update={**update, "previous": history.newest()})


def require_works(root: Path, version: Event) -> None:
    """Brings a version's package, and holds it to the answers of its golden recordings.

    Raises:
        DataError: it cannot be brought, is not whole, or answers otherwise.
    """
    folder = package_of(root, version)
    found = golden(read_json(folder / GOLDEN / GOLDEN_ANSWERS), answers(folder, {}).golden)
    if found.verdict != "pass":
        raise DataError(f"{version.record.version}: does not work here: {found.reason}")
