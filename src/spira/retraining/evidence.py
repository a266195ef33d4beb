"""What the rules are about: the corpus as it is now, and the reports of monitoring."""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from spira.base.errors import DataError
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.tables import read_json
from spira.compare.revision import Revision, read_params
from spira.ingest.acceptance import IngestParams
from spira.ingest.corpus import read_corpus
from spira.ingest.file_names import locate_files
from spira.ingest.privacy import namer, renamed
from spira.ingest.waveforms import Job, shards_by_name, store_shards
from spira.monitoring.drift import Verdict as DriftVerdict
from spira.registry.evidence import met_by
from spira.registry.history import Event
from spira.retraining.rules import NewPeople, Report, new_people
from spira.split.holdout import one_label_each

_WHO = ("file_path", "speaker_id", "label")


class _Head(BaseModel):
    """What every report of monitoring opens with; the rest of it is for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1]
    package: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    day: date


class _Drift(_Head):
    verdict: DriftVerdict


class _Feedback(_Head):
    verdict: Literal["as promised", "below its promise", "too few"]


_KINDS: Mapping[str, type[_Drift | _Feedback]] = {"drift.json": _Drift, "feedback.json": _Feedback}


def reports(folder: Path, name: Literal["drift.json", "feedback.json"]) -> list[Report]:
    """Every ``FOLDER/*/NAME``, the oldest first; those of one day by the names of their folders.

    Raises:
        DataError: there is no such folder, or one of the files is not such a report.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; spira drift and spira feedback write their reports below it")
    found = []
    for path in sorted(folder.glob(f"*/{name}")):
        try:
            one = TypeAdapter(_KINDS[name]).validate_python(read_json(path))
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "the file"
            raise DataError(f"{path}: not a report of monitoring: {key}: {problem['msg']}") from error
        found.append(Report(one.day, one.verdict, one.package))
    return sorted(found, key=lambda report: report.day)  # which keeps the order within a day


def people_since(root: Path, champion: Event, folder: Path, *, recordings: bool) -> NewPeople:
    """Who is in the corpus now and was not in the one that the champion's commit had.

    Args:
        root: the repository, whose params.yaml says which corpus it is and how it is read.
        folder: with the corpus's metadata.csv.
        recordings: whether the recordings lie beside it.

    Raises:
        DataError: the champion was made from another corpus, or under other names; or one of the two cannot be read.
    """
    ingest = load("ingest", IngestParams, path=root / "params.yaml")
    _require_same_names(root, champion, ingest)
    name = namer(ingest.personal_data)
    known = met_by(root, champion)
    with redirect_stdout(sys.stderr):
        table = read_corpus(folder, name).select(_WHO)
        who = renamed(table, name)
        now = one_label_each(who["speaker_id"].to_list(), who["label"].to_list())
        new = ~who["speaker_id"].is_in(list(known.speakers))
        sounds = _sounds(root, folder, table.filter(new), ingest) if recordings else None
    digests: defaultdict[str, list[str]] | None = None
    if sounds is not None:
        digests = defaultdict(list)
        paths = table["file_path"].to_list()
        for path, speaker in zip(paths, who["speaker_id"].to_list(), strict=True):
            digests[speaker] += [sounds[path]] if path in sounds else []
    return new_people(now, known.speakers, digests, known.digests)


def _require_same_names(root: Path, champion: Event, ingest: IngestParams) -> None:
    then = read_params(Revision(root, champion.tag.name, champion.tag.commit))
    corpus, was = load("corpus", str, path=root / "params.yaml"), then.get("corpus")
    if corpus != was:
        raise DataError(f"the champion was trained on the corpus {was}, and params.yaml names {corpus}")
    hashed = then.get("ingest", {}).get("personal_data")
    if hashed != ingest.personal_data:
        raise DataError(
            f"the champion's speakers are named by ingest.personal_data={hashed}, those of now by "
            f"{ingest.personal_data}"
        )


def _sounds(root: Path, folder: Path, new: pl.DataFrame, ingest: IngestParams) -> dict[str, str]:
    """The digest of the waveform of each recording that ingest would accept, by its path."""
    if new.is_empty():
        return {}
    name = namer(ingest.personal_data)
    files = locate_files(folder, new["file_path"].to_list(), name)
    job = Job(load("sample_rate", SampleRate, path=root / "params.yaml"), ingest, "max_seconds")
    with tempfile.TemporaryDirectory() as out:
        shards = shards_by_name(folder, files, Path(out), name)
        accepted, refused, _ = store_shards(job, shards, None, folder.name)
    if lacking := [refusal.reason for _, refusal in refused if refusal.code == "unsupported"]:
        raise DataError(f"{folder}: {len(lacking)} new recordings cannot be read on this machine: {lacking[0]}")
    return {recording.file_path: recording.digest for recording in accepted}
