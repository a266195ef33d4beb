"""A version, or a package that is served -> what it was made from, to the recordings; a recording -> versions."""

import io
import re
from pathlib import Path
from typing import Any

import polars as pl

from spira.base.errors import DataError
from spira.compare.revision import Revision, corpora, read_params
from spira.registry.history import Event, History, find_version
from spira.registry.packages import CLIPS, CLIPS_TABLE, PACKAGE, SUBSETS, bring_file, folder_listing, outs_at


def lineage(root: Path, history: History, name: str, *, recordings: bool) -> dict[str, Any]:
    """What a version was made from and where it was used; or, of a recording's hash, which versions met it.

    Args:
        name: a version, a stage, the first digits of a package's hash, or a recording's hash: the digest of its samples
            in the table of clips, or the MD5 of its file.
        recordings: whether each recording is listed.

    Raises:
        DataError: nothing has this name, or what it needs cannot be brought.
    """
    try:
        version = find_version(history, name)
    except DataError:
        if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", name):
            raise
        return _forward(root, history, name)
    return _backward(root, history, version, recordings=recordings)


def _backward(root: Path, history: History, version: Event, *, recordings: bool) -> dict[str, Any]:
    record, revision = version.record, Revision(root, version.record.version, version.tag.commit)
    outs, corpus = outs_at(root, version.tag.commit), str(read_params(revision).get("corpus"))
    clips = _clips(root, version, outs)
    found: dict[str, Any] = {
        "version": record.version,
        "package": record.package,
        "commit": record.commit,
        "made from": record.lineage.model_dump(mode="json", exclude={"metrics"}) if record.lineage else {},
        "metrics": record.lineage.metrics if record.lineage else {},
        "dvc": {path: outs[path] for path in (PACKAGE, CLIPS, SUBSETS) if path in outs} | corpora(revision),
        "corpus": corpus,
        "recordings": {
            f"{subset}": f"{n} recordings" for subset, n in clips.group_by("subset").len().sort("subset").rows()
        },
        "used": [_use(event) for event in history.events if event.record.version == record.version],
    }
    if recordings:
        files = _files(root, revision, f"data/raw/{corpus}")
        rows = clips.sort("clip_id").select("clip_id", "subset", "digest").iter_rows()
        found["each recording"] = [
            {"subset": subset, "digest": digest, "file": files.get(clip, "not a file of DVC's")}
            for clip, subset, digest in rows
        ]
    return found


def _use(event: Event) -> str:
    stage = f" {event.record.stage}" if event.record.stage else ""
    return f"{event.tag.name}: {event.record.action}{stage}, by {event.record.by}: {event.record.why}"


def _forward(root: Path, history: History, digest: str) -> dict[str, Any]:
    """Which versions met the recording, and as what."""
    met = list[dict[str, str]]()
    for name, version in history.versions.items():
        outs, revision = outs_at(root, version.tag.commit), Revision(root, name, version.tag.commit)
        clips = _clips(root, version, outs)
        by_file = {md5: clip for clip, md5 in _files(root, revision, _folder(revision)).items()}
        rows = clips.filter((pl.col("digest") == digest) | (pl.col("clip_id") == by_file.get(digest, "")))
        used = ", ".join(stage for stage in ("champion", "challenger") if history.in_use(stage) == name)
        met += [{"version": name, "as": subset, "in use as": used or "nothing"} for subset in rows["subset"]]
    if not met:
        raise DataError(f"registry {history.registry}: no version and no recording of one has the hash {digest}")
    return {"recording": digest, "versions": met}


def _folder(revision: Revision) -> str:
    return f"data/raw/{read_params(revision).get('corpus')}"


def _clips(root: Path, version: Event, outs: dict[str, str]) -> pl.DataFrame:
    """The table of clips of the version's commit, with the subset of each."""
    if CLIPS not in outs or SUBSETS not in outs:
        raise DataError(f"{version.tag.name}: dvc.lock of its commit names no {CLIPS} or no {SUBSETS}")
    clips = bring_file(root, outs[CLIPS], f"{version.tag.name}: {CLIPS}", CLIPS_TABLE)
    subsets = bring_file(root, outs[SUBSETS], f"{version.tag.name}: {SUBSETS}")
    tables = [pl.read_csv(io.BytesIO(content), infer_schema=False, glob=False) for content in (clips, subsets)]
    return tables[0].select("clip_id", "digest").join(tables[1], on="clip_id")


def _files(root: Path, revision: Revision, folder: str) -> dict[str, str]:
    """MD5 by name of the files of a corpus that DVC tracks, or that a stage made; {} where DVC has no such folder."""
    outs = outs_at(root, revision.commit) | corpora(revision)
    return folder_listing(root, outs[folder], f"{revision.name}: {folder}") if folder in outs else {}
