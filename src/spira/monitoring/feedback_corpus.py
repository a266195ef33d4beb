"""Recordings whose truth is known -> rows of a corpus: files named by their digest, and the table that ingest reads."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from spira.base.array_types import CLASSES
from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.ingest.column_names import OPTIONAL, our_names
from spira.ingest.metadata import canonical
from spira.ingest.personal_data import NAME, kinds
from spira.ingest.sources import Source, read_bytes
from spira.monitoring.feedback_answers import UNNAMED, Heard
from spira.monitoring.feedback_people import Asked, Known, truths
from spira.population.in_use import METADATA, recordings_in
from spira.scorer.answer import Refused
from spira.scorer.decoders import Decoders
from spira.scorer.manifest import Manifest

_FACTS = tuple(name for name in OPTIONAL if name not in ("speaker_id", "split"))
_COLUMNS = ("file_path", "label", "speaker_id", *_FACTS)
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class Brought(NamedTuple):
    """One recording of a folder."""

    name: str  # its path in the folder
    source: Source
    facts: Mapping[str, str]  # ``_FACTS`` in their canonical form; "" where unknown
    heard: Heard


def read_folder(folder: Path, manifest: Manifest) -> list[Brought]:
    """The recordings of a folder that ingest would accept: of its metadata.csv or, where it has none, every file.

    Raises:
        DataError: there is none, or its table cannot be read.
    """
    found, listed = list[Brought](), recordings_in(folder)
    decoders = Decoders(manifest.sample_rate, manifest.ingest, 1)
    try:
        for name, source, speaker, row in listed.rows:
            decoded = decoders(source)
            if not isinstance(decoded, Refused):
                who = speaker if listed.named else f"{UNNAMED}{speaker}"
                digest, facts = sha256(decoded.waveform.data).hexdigest(), {fact: row[fact] for fact in _FACTS}
                found.append(Brought(name, source, facts, Heard(who, digest)))
    finally:
        decoders.close()
    if len(found) < len(listed.rows):
        print(f"{folder}: {len(listed.rows) - len(found)} of {len(listed.rows)} files cannot be used, and are left out")
    return found


class Added(NamedTuple):
    """What came into the corpus."""

    n_added: int  # recordings
    n_there: int  # that it had already
    lost: tuple[str, ...]  # columns that its table has not, of which something was known


def add_to_corpus(brought: Sequence[Brought], asked: Asked, known: Sequence[Known], out: Path) -> Added:
    """Adds each recording of a person with a label, as a file and a row; what is there already stays as it is.

    Args:
        brought: the recordings.
        asked: the people whose they are; from a log too, where feedback has inference ids.
        known: the feedback.
        out: the folder of a corpus, or of one that is to be.

    Raises:
        DataError: a value that is to be written seems to be personal data, the corpus has another label for a
            recording, or its table cannot be read.
    """
    label_of, speaker_of = _people([one.heard for one in brought], asked, known)
    wanted: dict[str, tuple[Source, dict[str, str]]] = {}
    for one in brought:
        digest = one.heard.digest
        if digest in label_of:
            suffix = PurePosixPath(one.name).suffix.lower()
            name = digest + (suffix if _SUFFIX.fullmatch(suffix) else "")
            row = {"file_path": name, "label": label_of[digest], "speaker_id": speaker_of.get(digest, "")}
            wanted.setdefault(digest, (one.source, dict(one.facts) | row))
    rows = [row for _, row in wanted.values()]
    _refuse_personal(rows)
    table = out / METADATA
    text, names, delimiter, there = _table(table, rows)
    _refuse_conflicts(rows, there, table)
    new = {digest: (source, row) for digest, (source, row) in wanted.items() if row["file_path"] not in there}
    for source, row in new.values():
        write_bytes(read_bytes(source), out / row["file_path"])
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=delimiter, lineterminator="\n")
    writer.writerows([row.get(name, "") for name in names] for _, row in new.values())
    if new:
        write_bytes((text + lines.getvalue()).encode(), table)
    lost = {name for _, row in new.values() for name, cell in row.items() if cell and name not in names}
    return Added(len(new), len(wanted) - len(new), tuple(sorted(lost)))


def _people(heard: Sequence[Heard], asked: Asked, known: Sequence[Known]) -> tuple[dict[str, str], dict[str, str]]:
    """By digest, the label; and the speaker, who is named after a recording where several are of one without a name."""
    named = {one.digest: one.speaker for one in heard if not one.speaker.startswith(UNNAMED)}
    digests = {one.digest for one in heard}
    labels, speakers = dict[str, str](), dict[str, str]()
    for person, truth in zip(asked.people, truths(asked.people, known), strict=True):
        own = sorted(person.ids & digests)
        if truth and own:
            labels |= dict.fromkeys(own, CLASSES[truth.label])
            own_names = {named[digest] for digest in own if digest in named}
            name = own_names.pop() if len(own_names) == 1 else f"p{own[0][:16]}" if len(own) > 1 else ""
            speakers |= {digest: named.get(digest, name) for digest in own}
    return labels, speakers


def _table(path: Path, rows: Sequence[Mapping[str, str]]) -> tuple[str, list[str], str, dict[str, str]]:
    """(Its text up to a new row, its columns by our names, its delimiter, by file the label that it has.)"""
    if not path.is_file():
        names = [name for name in _COLUMNS if name in _COLUMNS[:2] or any(row.get(name) for row in rows)]
        return ",".join(names) + "\n", names, ",", {}
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        header, *cells = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not readable as a corpus's table, so nothing is added to it: {error}") from error
    names = our_names([name.strip() for name in header])
    if not {"file_path", "label"} <= set(names):
        raise DataError(f"{path}: needs the columns file_path and label, has {', '.join(names)}")
    at_path, at_label = names.index("file_path"), names.index("label")
    cells = [row for row in cells if len(row) == len(names)]
    labels, _ = canonical({"label": [row[at_label].strip() for row in cells]}, range(len(cells)), day_first=False)
    said = [CLASSES[int(label)] if label else label for label in labels["label"]]
    there = dict(zip((row[at_path].strip() for row in cells), said, strict=True))
    return text if text.endswith("\n") else text + "\n", names, delimiter, there


def _refuse_personal(rows: Sequence[Mapping[str, str]]) -> None:
    """As ingest does: the name of a place is none of a person, but one of those in ``speaker_id`` is."""
    found = {
        name
        for row in rows
        for name, cell in row.items()
        if name not in (*_COLUMNS[:2], "recorded_on")
        and any(name == "speaker_id" or kind != NAME for kind in kinds(cell))
    }
    if found:
        raise DataError(
            f"{METADATA}: {' and '.join(sorted(found))} of recordings to be added seem to hold personal data (not "
            "shown); write pseudonyms first"
        )


def _refuse_conflicts(rows: Sequence[Mapping[str, str]], there: Mapping[str, str], table: Path) -> None:
    for row in rows:
        if there.get(row["file_path"], row["label"]) != row["label"]:
            raise DataError(f"{table}: has {row['file_path']} with another label than the feedback; keep what is true")
