"""Recordings in use, from a folder or from a server's log, as people with numbers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from spira.base.errors import DataError
from spira.clips.parallel import ordered_map, progress
from spira.ingest.column_names import OPTIONAL
from spira.ingest.corpus import read_unlabelled
from spira.ingest.file_names import locate_files
from spira.ingest.packed import open_folder
from spira.ingest.sources import Source
from spira.population.log import read_log
from spira.population.people import FACTS, OTHER_TASK, VALUES, AnsweredRecording, Person, one_person
from spira.population.recording import describe
from spira.scorer.answer import Band, Refused
from spira.scorer.manifest import Manifest
from spira.scorer.scorer import Heard, Scorer

METADATA = "metadata.csv"


class Use(NamedTuple):
    """What was read of recordings in use."""

    people: dict[str, Person]  # by speaker of a folder, or by inference of a log
    said: tuple[str, ...]  # sentences on what was assumed or left out


class Listed(NamedTuple):
    """The files of a folder, before one is opened."""

    named: bool  # whether a table says whose each is; else every file is one, of a person of its own
    rows: "list[Row]"


class Row(NamedTuple):
    """A recording of a folder."""

    name: str  # its path there
    source: Source
    speaker: str
    facts: Mapping[str, str]  # the other columns: "" where unknown


class _File(NamedTuple):
    source: Source
    task: str
    untrained: Refused | None  # why it is not scored, where it is of a task that the model was not trained on


def recordings_in(folder: Path) -> Listed:
    """With a ``metadata.csv`` its rows are the recordings; a label is not read. Without one every file is.

    Raises:
        DataError: the folder has no recording, its table cannot be read, or the manifest of its tar shards.
    """
    raw = open_folder(folder)
    if (folder / METADATA).is_file():
        table = read_unlabelled(folder)
        paths = locate_files(raw, table["file_path"].to_list(), str).paths
        found = [(paths[row["file_path"]], row) for row in table.iter_rows(named=True)]
        return Listed(True, [Row(path, raw.source(path), row["speaker_id"], row) for path, row in found])
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name one of recordings, with metadata.csv or without")
    names = raw.files()
    if not names:
        raise DataError(f"{folder}: holds no file")
    unknown = dict.fromkeys(OPTIONAL, "")
    return Listed(False, [Row(name, raw.source(name), str(folder / name), unknown) for name in names])


def in_folder(folder: Path, scorer: Scorer, n_workers: int | None = None) -> Use:
    """The people whose recordings lie in a folder, scored now.

    Args:
        folder: of recordings.
        scorer: of the package.
        n_workers: recordings that are decoded at once; the scorer has as many decoders.

    Raises:
        DataError: as ``recordings_in``.
    """
    listed = recordings_in(folder)
    files = _by_person(listed, scorer)
    flat = [(speaker, file) for speaker, own in files.items() for file in own]
    heard = ordered_map(partial(_observe, scorer), [file for _, file in flat], n_workers)
    recordings: dict[str, list[AnsweredRecording]] = defaultdict(list)
    for (speaker, _), one in zip(flat, progress(heard, len(flat), folder.name), strict=True):
        recordings[speaker].append(one)
    values = {row.speaker: row.facts for row in reversed(listed.rows)}  # what the first of a person's says
    people = {
        speaker: _person(own, {name: values[speaker][name] for name in VALUES if values[speaker][name]}, scorer.band)
        for speaker, own in recordings.items()
    }
    alone = f"the folder has no {METADATA}: each of {len(flat)} files counts as a person of its own"
    return _merged(people, scorer.band, () if listed.named else (alone,))


def _by_person(listed: Listed, scorer: Scorer) -> dict[str, list[_File]]:
    """By speaker: their recordings, of which those are refused that an answer to all of them would refuse."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for row in listed.rows:
        tasks[row.speaker].add(row.facts["task"])
    refused = {speaker: scorer.untrained(names) for speaker, names in tasks.items()}
    files: dict[str, list[_File]] = defaultdict(list)
    for row in listed.rows:
        task = row.facts["task"]
        files[row.speaker].append(_File(row.source, task, refused[row.speaker].get(task)))
    return files


def _observe(scorer: Scorer, file: _File) -> AnsweredRecording:
    heard = file.untrained or scorer.hear(file.source)
    return observed(file.task, heard, scorer.manifest)


def _merged(people: Mapping[str, Person], band: Band, said: tuple[str, ...]) -> Use:
    """Those who share a recording are one person, and a recording that came again counts once."""
    names, everybody = list(people), list(people.values())
    groups = one_person([{one.digest for one in person.recordings if one.digest} for person in everybody])
    found = {}
    for group in groups:
        recordings: dict[str, AnsweredRecording] = {}
        for number, one in enumerate(one for i in group for one in everybody[i].recordings):
            recordings.setdefault(one.digest or f"refused {number}", one)
        values = {name: value for i in reversed(group) for name, value in everybody[i].values.items()}
        found[names[group[0]]] = _person(list(recordings.values()), values, band)
    n_fewer = len(people) - len(found)
    again = (f"{n_fewer} share a recording with another, and count as the same person",) if n_fewer else ()
    return Use(found, said + again)


def _person(recordings: Sequence[AnsweredRecording], values: Mapping[str, str], band: Band) -> Person:
    scores = [recording.score for recording in recordings if recording.score is not None]
    score = sum(scores) / len(scores) if scores else None
    return Person(score, band.diagnosis(score), tuple(recordings), values)


def in_log(path: Path, package: str, band: Band, since: date | None = None) -> Use:
    """The people of a server's log: a request each, but for those that share a recording.

    Args:
        path: the file.
        package: hash of the package whose answers count.
        band: of its scores.
        since: the first day that counts.

    Raises:
        DataError: a line cannot be read.
    """
    people, n_others, n_earlier = dict[str, Person](), 0, 0
    for one in read_log(path):
        if one.package != package:
            n_others += 1
        elif since and one.day < since:
            n_earlier += 1
        else:
            people[one.inference] = Person(one.score, one.diagnosis, one.recordings, {})
    said = ["a request counts as a person of its own: the log does not know who came again with a new recording"]
    said += [f"{n_others} answers are of other packages, and are left out"] if n_others else []
    said += [f"{n_earlier} answers are from before {since}, and are left out"] if n_earlier else []
    return _merged(people, band, tuple(said))


def file_facts(container: str, encoding: str, sample_rate: int, n_channels: int | None) -> dict[str, str]:
    """How a file is stored, by ``FACTS``; what it does not say is left out."""
    found = (container, encoding, str(sample_rate), "" if n_channels is None else str(n_channels))
    return {name: value for name, value in zip(FACTS, found, strict=True) if value}


def observed(task: str, heard: Heard | Refused, p: Manifest) -> AnsweredRecording:
    """What is kept of one recording.

    Args:
        task: the name that it came under; "" where there is none. Kept where it is a task of the training.
        heard: from the scorer.
        p: the package's manifest.
    """
    kept = task if task in p.tasks or not task else OTHER_TASK
    if isinstance(heard, Refused):
        return AnsweredRecording(task=kept, score=None, refused=heard.code, digest=None, facts=None, statistics=None)
    decoded = heard.decoded
    header = decoded.header
    return AnsweredRecording(
        task=kept,
        score=heard.score,
        refused=None,
        digest=sha256(decoded.waveform.data).hexdigest(),
        facts=file_facts(header.container, header.encoding, decoded.source_sample_rate, header.n_channels),
        statistics=describe(decoded.waveform, p.sample_rate, p.features.active_db),
    )
