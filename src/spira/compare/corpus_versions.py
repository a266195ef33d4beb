"""What ingest made of the corpus, at a commit or as dvc.lock has it now: read from DVC's cache by hash."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from dvc.exceptions import DvcException
from dvc.repo import Repo
from pydantic import BaseModel

from spira.base.bounded_yaml import flat
from spira.base.section import HOLDOUT
from spira.base.tables import from_sheet
from spira.compare.committed import Lock, Pointer, read_committed
from spira.compare.corpus_changes import Clip, Version, described
from spira.compare.known_speakers import Derived, known_speakers
from spira.compare.results import cached, listed
from spira.compare.revision import Revision, read_tree
from spira.compare.staleness import hashes
from spira.evaluation.markdown import inert

CLIPS = "data/clips"
SUBSETS, NEAR, VOICES = DERIVED = ("data/subsets.csv", "data/near_duplicates.csv", "data/similar_voices.csv")
_COLUMNS = {"clip_id": pl.String, "speaker_id": pl.String, "label": pl.Int64, "digest": pl.String}


@dataclass(frozen=True)
class Locked:
    """One revision's dvc.lock on ingest, and the corpus's hash where a .dvc file names it."""

    name: str
    ingest: Mapping[str, Any]  # {} where it never ran
    pinned: str | None
    derived: Mapping[str, str] = field(default_factory=dict)  # md5 by path of the tables that later stages make

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
        derived = [_derived(repo.cache.local, one) for one in (base, head)]
    known = [version for version in versions if isinstance(version, Version)]
    why = [version for version in versions if isinstance(version, str)]
    if why:
        return "\n\n".join(filter(None, [f"What changed in the corpus is not known: {inert(why[0])}.", stale]))
    same = base.corpus == head.corpus
    speakers = known_speakers(known[0].clips, known[1].clips, *derived) if same else ""
    return "\n\n".join(
        filter(None, [described(*known), speakers, _not_at_hand(head, derived[1]) if same else "", stale])
    )


def _locked(name: str, tree: Any) -> Locked:
    stages = tree("dvc.lock", Lock).get("stages", {})
    entry = stages.get("ingest", {})
    if not entry:
        return Locked(name, {}, None)
    made = {path: md5 for stage in stages.values() for path, md5 in hashes(stage, "outs").items()}
    one = Locked(name, entry, None, {path: made[path] for path in DERIVED if path in made})
    pointer = tree(f"data/raw/{one.corpus}.dvc", Pointer)
    return replace(one, pinned=pointer["outs"][0]["md5"]) if pointer else one


def _fetch(revision: Revision) -> None:
    """The tables alone, not the waveforms. What a remote lacks, or no remote, shows as absent from the cache."""
    for targets in ([f"{CLIPS}/clips.csv", f"{CLIPS}/rejects.csv"], list(DERIVED)):
        with suppress(DvcException, OSError), Repo(str(revision.root)) as repo:
            repo.fetch(targets=targets, revs=[revision.commit], workspace=False)


def _derived(cache: Any, one: Locked) -> Derived:
    """What the stages after ingest say of a revision's corpus."""
    subsets = _rows(cache, one, SUBSETS, ("fold", "subset", "clip_id"))
    near, voices = (
        _rows(cache, one, path, (f"{what}_id", f"other_{what}_id"))
        for path, what in ((NEAR, "clip"), (VOICES, "speaker"))
    )
    return Derived(
        None if subsets is None else {clip: subset for fold, subset, clip in subsets if fold == HOLDOUT},
        None if near is None else [(first, second) for first, second in near],
        None if voices is None else [(first, second) for first, second in voices],
    )


def _rows(cache: Any, one: Locked, path: str, columns: Sequence[str]) -> list[tuple[str, ...]] | None:
    """The cells of a table; [] where the revision has none, None where it is not at hand or another version's."""
    if path not in one.derived:
        return []
    file = cached(cache, one.derived[path])
    if file is None:
        return None
    try:
        table = from_sheet(pl.read_csv(file, glob=False, infer_schema=False, empty_string_is_null=False))
        return list(table.select(columns).iter_rows())
    except pl.exceptions.PolarsError:
        return None


def _not_at_hand(head: Locked, derived: Derived) -> str:
    """Which of the three lists are missing above, and not because there is nothing to list."""
    absent = [path for path, found in zip(DERIVED, derived, strict=True) if found is None]
    return (
        f"Not at hand in DVC's cache for {inert(head.name)}, so not looked at: {', '.join(absent)}." if absent else ""
    )


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
