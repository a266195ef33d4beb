"""Read feedback.csv: what came to be known about people, by a recording's digest or an answer's inference id."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from spira.base.errors import DataError
from spira.clips.spelling import key
from spira.ingest.corpus import raise_all, read_rows
from spira.ingest.metadata import canonical
from spira.ingest.personal_data import shown
from spira.monitoring.feedback_people import Known

COLUMNS = ("id", "label", "known_on", "source")
_REQUIRED = COLUMNS[:3]
_DIGEST, _INFERENCE = (re.compile(rf"[0-9a-f]{{{n}}}") for n in (64, 32))
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOST_SAID = 20
_EARLIEST = date(2000, 1, 1)  # an older date is a slip of the pen, or a date of birth


def read_feedback(path: Path, today: date) -> list[Known]:
    """One row an id, in the order of the table; an id that is there again says the same.

    Args:
        path: a CSV file in UTF-8 with the columns ``id``, ``label``, ``known_on`` and, where wanted, ``source``.
        today: nothing is known later.

    Raises:
        DataError: every cell that cannot be read, each with its line; an id with two labels; another column, for it
            may be a hospital's number. No cell that may be personal data is in the message.
    """
    found, _ = read_rows(path, f"feedback is a CSV file with {', '.join(COLUMNS)}")
    if len(found) < 2:
        raise DataError(f"{path}: needs a header, {', '.join(COLUMNS)}, and a row; has {len(found)} rows in all")
    (_, header), *rows = found
    names = _names(header, path)
    raise_all(
        f"{path}:{line}: expected {len(names)} fields, as in the header, got {len(fields)}"
        for line, fields in rows
        if len(fields) != len(names)
    )
    lines = [line for line, _ in rows]
    cells = {name: [fields[i] for _, fields in rows] for i, name in enumerate(names)}
    ids = [cell.lower() for cell in cells["id"]]
    labels, wrong = canonical({"label": cells["label"]}, lines, day_first=False)
    problems = [*wrong, *_id_problems(ids, lines), *_date_problems(cells["known_on"], lines, today)]
    raise_all(f"{path}:{line}: {problem}" for line, problem in sorted(problems))
    days = map(date.fromisoformat, cells["known_on"])
    sources = cells.get("source", [""] * len(rows))
    known = [Known(*row) for row in zip(ids, map(int, labels["label"]), days, sources, lines, strict=True)]
    raise_all(f"{path}:{problem}" for problem in _conflicts(known))
    first: dict[str, Known] = {}
    for row in sorted(known, key=lambda row: (row.known_on, row.line)):
        first.setdefault(row.id, row)
    return sorted(first.values(), key=lambda row: row.line)


def _names(header: Sequence[str], path: Path) -> list[str]:
    names = [re.sub("[ _-]+", "_", key(name)) for name in header]
    others = [written for name, written in zip(names, header, strict=True) if name not in COLUMNS]
    if others:
        listed = ", ".join(shown(name, capitals=True) for name in others[:_MOST_SAID])
        raise DataError(
            f"{path}: may have the columns {', '.join(COLUMNS)} and no other, got {listed}: a hospital's number or a "
            "name must not be in it; people are found by the digest of a recording or by an inference id"
        )
    if missing := [name for name in _REQUIRED if name not in names]:
        raise DataError(f"{path}: needs the columns {' and '.join(missing)}, has {', '.join(names)}")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: each column must be named once, got {', '.join(names)}")
    return names


def _id_problems(ids: Sequence[str], lines: Sequence[int]) -> Iterator[tuple[int, str]]:
    for name, line in zip(ids, lines, strict=True):
        if not _DIGEST.fullmatch(name) and not _INFERENCE.fullmatch(name):
            yield (
                line,
                "id must be the 64 hexadecimal digits of a waveform's SHA-256 or the 32 of an inference id, "
                f"got {len(name)} characters (not shown: a hospital's number must not be in it)",
            )


def _date_problems(cells: Sequence[str], lines: Sequence[int], today: date) -> Iterator[tuple[int, str]]:
    for cell, line in zip(cells, lines, strict=True):
        day = _day(cell)
        if day is None:
            yield line, f"known_on must be a date such as 2026-07-31, got {shown(cell)}"
        elif day > today:
            yield line, f"known_on must not lie after today, {today}, got {cell}"
        elif day < _EARLIEST:
            yield line, f"known_on must not lie before {_EARLIEST}; a date of birth must not be in it"


def _day(cell: str) -> date | None:
    try:
        return date.fromisoformat(cell) if _ISO.fullmatch(cell) else None
    except ValueError:
        return None


def _conflicts(known: Sequence[Known]) -> Iterator[str]:
    first: dict[str, Known] = {}
    for row in known:
        before = first.setdefault(row.id, row)
        if before.label != row.label:
            yield f"{row.line}: id must have one label, got another on line {before.line}; keep what is true"
