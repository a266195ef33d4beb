"""Whom a package answered: the people in a server's log, or in a folder of recordings that are scored now."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spira.base.array_types import Waveform
from spira.base.errors import DataError
from spira.ingest.column_names import OPTIONAL
from spira.ingest.corpus import read_columns
from spira.ingest.file_names import locate_files, path_problems
from spira.ingest.metadata import canonical
from spira.monitoring.feedback_people import Asked, Request, asked
from spira.population.log import read_log
from spira.scorer.answer import UNTRAINED, Refused

METADATA = "metadata.csv"
FACTS = tuple(name for name in OPTIONAL if name not in ("speaker_id", "split"))
Hear = Callable[[Path], tuple[Waveform, float | None] | Refused]  # -> waveform; its score, where asked


class Brought(NamedTuple):
    """One recording of a folder."""

    path: Path
    speaker: str  # "" where nobody says whose it is
    facts: Mapping[str, str]  # ``FACTS`` in their canonical form; "" where unknown


class Heard(NamedTuple):
    """A recording, and what was made of it."""

    brought: Brought
    digest: str  # SHA-256 of the waveform, as in data/clips/clips.csv; "" where it was refused
    score: float | None  # None where it was refused, or nobody asked


def asked_in_log(path: Path, package: str) -> Asked:
    """The people whom this package answered; a line is a person, and so are lines that share a recording."""
    requests: tuple[list[Request], list[Request]] = ([], [])
    for answered in read_log(path):
        ids = frozenset([answered.inference, *(one.digest for one in answered.recordings if one.digest)])
        requests[answered.package != package].append(Request(answered.score, ids))
    return asked(*requests)


def asked_together(one: Asked, other: Asked) -> Asked:
    """The people of both, of whom those who share a recording are the same."""
    return asked([*one.people, *other.people])


def asked_in_folder(heard: Sequence[Heard]) -> Asked:
    """The people of a folder, each with the mean score of their recordings.

    Where nobody says whose a recording is, it is a person of its own; the same sound is the same person's.

    Raises:
        DataError: two speakers have the same sound.
    """
    by_person: dict[str, list[Heard]] = {}
    speaker_of: dict[str, str] = {}
    for one in heard:
        speaker = one.brought.speaker
        if speaker and one.digest and speaker_of.setdefault(one.digest, speaker) != speaker:
            raise DataError(f"{one.brought.path}: the same sound is there under another speaker_id; keep the right one")
    for one in heard:
        speaker = one.brought.speaker or speaker_of.get(one.digest, "")
        person = f"speaker {speaker}" if speaker else one.digest or str(one.brought.path)
        by_person.setdefault(person, []).append(one)
    return asked([_request(own) for own in by_person.values()])


def _request(own: Sequence[Heard]) -> Request:
    scores = {one.digest: one.score for one in own if one.score is not None}  # a copy counts once
    ids = frozenset(one.digest for one in own if one.digest)
    return Request(float(np.mean(list(scores.values()))) if scores else None, ids)


def hear_all(brought: Sequence[Brought], hear: Hear, tasks: Sequence[str]) -> list[Heard]:
    """What was made of each recording; which were refused, and why, is printed.

    Args:
        brought: from ``read_folder``.
        hear: reads one.
        tasks: of the training. Where somebody has recordings of these, their others are refused, as in an answer.
    """
    trained = {one.speaker for one in brought if one.speaker and one.facts.get("task") in tasks}
    heard, refused = list[Heard](), Counter[str]()
    for one in brought:
        other_task = one.speaker in trained and one.facts.get("task") not in tasks
        found = Refused(code=UNTRAINED, reason="") if other_task else hear(one.path)
        if isinstance(found, Refused):
            refused[found.code] += 1
            heard.append(Heard(one, "", None))
        else:
            waveform, score = found
            heard.append(Heard(one, sha256(waveform.data).hexdigest(), score))
    if refused:
        said = ", ".join(f"{code} ({n})" for code, n in sorted(refused.items()))
        print(f"{refused.total()} of {len(brought)} recordings were refused: {said}", file=sys.stderr)
    return heard


def read_folder(folder: Path) -> list[Brought]:
    """The recordings of a folder: the rows of its metadata.csv or, where it has none, every file in it, sorted.

    ``label`` and ``split`` are not read: what is true comes with the feedback.

    Raises:
        DataError: there is none, or a row of metadata.csv cannot be read.
    """
    if (folder / METADATA).is_file():
        with redirect_stdout(sys.stderr):  # what is said of names goes where it is no answer
            return list(_rows(folder))
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it is one with recordings and, where there is one, {METADATA}")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise DataError(f"{folder}: holds no recording")
    print(f"{folder}: no {METADATA}: each of its {len(files)} files counts as a person of its own", file=sys.stderr)
    return [Brought(path, "", {}) for path in files]


def _rows(folder: Path) -> Iterator[Brought]:
    path = folder / METADATA
    table = read_columns(folder)
    if "file_path" not in table:
        raise DataError(f"{path}: needs the column file_path, has {', '.join(table)}")
    lines = [line for line, _ in table["file_path"]]
    columns = {name: [cell for _, cell in table[name]] for name in ("file_path", "speaker_id", *FACTS) if name in table}
    if short := [name for name, cells in columns.items() if len(cells) != len(lines)]:
        raise DataError(f"{path}: expected as many fields in every row as in the header; some lack {', '.join(short)}")
    found, problems = canonical(columns, lines, day_first=False)
    said = [*path_problems(lines, columns["file_path"], path), *(f"{path}:{line}: {why}" for line, why in problems)]
    if said:
        raise DataError("\n".join(said[:20]))
    speakers = found.get("speaker_id", [""] * len(lines))
    if n_unknown := speakers.count(""):
        print(f"{path}: {n_unknown} of {len(lines)} rows have no speaker_id; each counts as a person of its own")
    located = locate_files(folder, found["file_path"], str).paths
    for i, (name, speaker) in enumerate(zip(found["file_path"], speakers, strict=True)):
        facts = {fact: found[fact][i] for fact in FACTS if fact in found}
        yield Brought(folder / located[name], speaker, facts)
