"""What ingest made of the corpus, at a commit or as dvc.lock has it now: read from DVC's cache by hash."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from dvc.exceptions import DvcException
from dvc.repo import Repo
from pydantic import BaseModel

from spira.base.bounded_yaml import flat
from spira.compare.committed import Lock, Pointer, read_committed
from spira.compare.corpus_changes import Clip, Version, described
from spira.compare.results import cached, listed
from spira.compare.revision import Revision, read_tree
from spira.compare.staleness import hashes
from spira.evaluation.markdown import inert

CLIPS = "data/clips"
_COLUMNS = {"clip_id": pl.String, "speaker_id": pl.String, "label": pl.Int64, "digest": pl.String}


@dataclass(frozen=True)
class Locked:
    """One revision's dvc.lock on ingest, and the corpus's hash where a .dvc file names it."""

    name: str
    ingest: Mapping[str, Any]  # {} where it never ran
    pinned: str | None

    @property
    def corpus(self) -> str:
        return str(self.params.get("corpus"))

    @property
    def params(self) -> dict[str, Any]:
        return flat(self.ingest.get("params", {}).get("params.yaml", {}))

    @property
    def source(self) -> str:
        return hashes(self.ingest, "deps").get(f"data/raw/{self.corpus}", "")

    @property
    def clips(self) -> str:
        return hashes(self.ingest, "outs").get(CLIPS, "")


def locked(revision: Revision) -> Locked:
    """As the commit has it."""
    return _locked(revision.name, lambda path, kind: read_tree(revision, path, kind))


def locked_now(root: Path) -> Locked:
    """As the working tree has it, where ``dvc repro`` has just written dvc.lock."""

    def tree(path: str, kind: type[BaseModel]) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return read_committed((root / path).read_bytes(), path, kind)
        return {}

    return _locked("the working tree", tree)


def corpus_changes_section(base: Revision, head: Revision, *, from_remote: bool) -> str:
    """Markdown on what became of the clips from one commit to another; "" where they are the same."""
    if from_remote:
        for revision in (base, head):
            _fetch(revision)
    return changes_between(head.root, locked(base), locked(head))


def changes_between(root: Path, base: Locked, head: Locked) -> str:
    """The same of any two; where a table is not in DVC's cache, that and how to get it."""
    stale = ""
    if head.ingest and head.pinned not in (None, head.source):
        stale = (
            f"{inert(f'data/raw/{head.corpus}.dvc is newer than what ingest read in {head.name}')}: dvc repro ingest."
        )
    if base.clips == head.clips:
        return stale
    if not base.clips or not head.clips:
        missing = base.name if not base.clips else head.name
        return f"No clips to compare: ingest has not run in {inert(missing)}."
    with Repo(str(root)) as repo:
        versions = [_version(repo.cache.local, one) for one in (base, head)]
    known = [version for version in versions if isinstance(version, Version)]
    why = [version for version in versions if isinstance(version, str)]
    text = described(*known) if not why else f"What changed in the corpus is not known: {inert(why[0])}."
    return "\n\n".join(filter(None, [text, stale]))


def _locked(name: str, tree: Any) -> Locked:
    entry = tree("dvc.lock", Lock).get("stages", {}).get("ingest", {})
    if not entry:
        return Locked(name, {}, None)
    one = Locked(name, entry, None)
    pointer = tree(f"data/raw/{one.corpus}.dvc", Pointer)
    return replace(one, pinned=pointer["outs"][0]["md5"]) if pointer else one


def _fetch(revision: Revision) -> None:
    """The two tables alone, not the waveforms. What a remote lacks, or no remote, shows as absent from the cache."""
    try:
        with Repo(str(revision.root)) as repo:
            targets = [f"{CLIPS}/clips.csv", f"{CLIPS}/rejects.csv"]
            repo.fetch(targets=targets, revs=[revision.commit], workspace=False)
    except (DvcException, OSError):
        return


def _version(cache: Any, one: Locked) -> Version | str:
    """The corpus as one revision has it, or the reason why that is not known."""
    files = listed(cache, one.clips)
    clips, rejects = (cached(cache, files.get(name)) for name in ("clips.csv", "rejects.csv"))
    if clips is None or rejects is None:
        return f"the tables in {CLIPS} of {one.name} are not in DVC's cache"
    odd = f"the tables in {CLIPS} of {one.name} have other columns than {', '.join(_COLUMNS)}, code"
    try:
        rows = pl.read_csv(clips, glob=False, schema_overrides=_COLUMNS, empty_string_is_null=False).select(
            _COLUMNS.keys()
        )
        codes = pl.read_csv(rejects, glob=False, infer_schema=False)["code"]
    except pl.exceptions.PolarsError:
        return odd
    if codes.has_nulls() or any(column.has_nulls() for column in rows):
        return odd
    deps = {path: value for path, value in hashes(one.ingest, "deps").items() if not path.startswith("data/")}
    params = {name: value for name, value in one.params.items() if name != "corpus"}
    clip_rows = tuple(Clip(*row) for row in rows.rows())
    return Version(one.corpus, one.source, deps | params, clip_rows, Counter(codes.to_list()))
