"""Read the metadata.csv of a user's corpus, a folder with that file and audio, as a table of its rows.

Columns: ``file_path`` and ``label`` are required of speech, ``file_path`` of noise. Read where
present: ``speaker_id``, ``sex``, ``age``, ``site``, ``device``, ``recorded_on``, ``spo2``, ``task``, ``split``;
of noise ``source``.
SPIRA's own names are read too: ``class`` (0 healthy, 1 patient), ``sexo``, ``idade``; names of columns in any case.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import polars as pl

from spira.base.errors import DataError
from spira.ingest.column_names import NOISE_USED, OPTIONAL, USED, our_names, repeated, unread
from spira.ingest.file_names import one_name, path_problems
from spira.ingest.metadata import alike, assumptions, canonical
from spira.ingest.personal_data import shown

_A_CORPUS = "a corpus is a folder with metadata.csv and audio"


def read_corpus(folder: Path, named: Callable[[str], str] = str) -> pl.DataFrame:
    """Reads one row a clip, sorted by ``file_path``: label 1 or 0, text where known and "" where not.

    An ``age`` or ``spo2`` is a plain number, a ``recorded_on`` ISO 8601, and a marker of a missing value "". Cells that
    were taken for unknown are printed, and so are columns that are not read and ids that differ only in spelling.

    Args:
        folder: with ``metadata.csv``.
        named: gives a speaker's name in the log.

    Raises:
        DataError: every row whose path cannot be used and every value that cannot be read, each with its line; every
            speaker in two subsets; a file that is no such table.
    """
    table = _read_people(folder, USED, ("file_path", "label"), named)
    raise_all(_in_two_subsets(table, folder / "metadata.csv"))
    return table.select("file_path", pl.col("label").cast(pl.Int64), *OPTIONAL)


def read_unlabelled(folder: Path, named: Callable[[str], str] = str) -> pl.DataFrame:
    """The same of recordings in use, whose label nobody knows yet: a column with one is not read.

    Raises:
        DataError: as ``read_corpus``, but for labels.
    """
    used = [name for name in USED if name != "label"]
    return _read_people(folder, used, ("file_path",), named).select("file_path", *OPTIONAL)


def _read_people(
    folder: Path, used: Collection[str], required: tuple[str, ...], named: Callable[[str], str]
) -> pl.DataFrame:
    """Every row, sorted by ``file_path``, with the optional columns and with a speaker each."""
    path = folder / "metadata.csv"
    written, lines, delimiter = _read(folder, required)
    if others := unread(list(written)):
        print(f"{path}: columns that are not read: {others}")
    written = {name: cells for name, cells in written.items() if name in used}
    columns, problems = canonical(written, lines, day_first=delimiter == ";")
    raise_all(f"{path}:{line}: {problem}" for line, problem in problems)
    for said in (*assumptions(written, columns), *alike(columns, named)):
        print(f"{path}: {said}")
    table = pl.DataFrame(columns).sort("file_path")
    table = table.with_columns([pl.lit("").alias(name) for name in OPTIONAL if name not in table.columns])
    if n_unknown := (table["speaker_id"] == "").sum():
        print(f"{path}: {n_unknown} of {len(table)} rows have no speaker_id; each counts as a speaker of its own")
    own_id = pl.when(pl.col("speaker_id") == "").then("file:" + pl.col("file_path")).otherwise("speaker_id")
    return table.with_columns(speaker_id=own_id)


def require_learnable(table: pl.DataFrame, folder: Path) -> None:
    """Raises DataError where no split can have both classes in every subset, before anything is decoded.

    Args:
        table: from ``read_corpus``.
        folder: the corpus's, for the message.
    """
    speakers = dict(table.group_by("label").agg(pl.n_unique("speaker_id")).rows())
    n_control, n_patient = speakers.get(0, 0), speakers.get(1, 0)
    n_subsets = 3  # train, validation, test
    if min(n_control, n_patient) < n_subsets:
        raise DataError(
            f"{folder / 'metadata.csv'}: must name {n_subsets} speakers of each class at least, to train, validate and "
            f"test with, got {n_patient} patients and {n_control} controls; bring more speakers"
        )


def read_recordings(folder: Path) -> pl.DataFrame:
    """Reads the ``file_path`` of each noise recording, sorted, and its ``source``: "" where it is unknown.

    Sources that differ only in spelling are printed: they count as two.

    Raises:
        DataError: as ``read_corpus``.
    """
    written, lines, _ = _read(folder, required=("file_path",))
    written = {"source": [""] * len(lines)} | {name: written[name] for name in NOISE_USED if name in written}
    columns, _ = canonical(written, lines, day_first=False)
    for said in alike(columns, str):
        print(f"{folder / 'metadata.csv'}: {said}")
    return pl.DataFrame(columns).select(NOISE_USED).sort("file_path")


def read_columns(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Reads every named column as it is written, each field with its line; fewer where ``read_corpus`` refuses."""
    path = folder / "metadata.csv"
    (_, header), *rows = read_rows(path, _A_CORPUS)[0] or [(1, [""])]
    names = _names(header, (), path)
    return {
        name: [(line, fields[i]) for line, fields in rows if i < len(fields)] for i, name in enumerate(names) if name
    }


def _read(folder: Path, required: tuple[str, ...]) -> tuple[dict[str, list[str]], list[int], str]:
    """Reads (the named columns, the line of each row, the delimiter of the fields)."""
    path = folder / "metadata.csv"
    found, delimiter = read_rows(path, _A_CORPUS)
    (_, header), *rows = found or [(1, [""])]
    names = _names(header, required, path)
    if not rows:
        raise DataError(f"{path}: has a header and no rows")
    raise_all(
        f"{path}:{line}: expected {len(names)} fields, as in the header, got {len(fields)}"
        for line, fields in rows
        if len(fields) != len(names)
    )
    columns = enumerate(zip(*(fields for _, fields in rows), strict=True))
    unnamed = "column {} has no name".format  # and is read by nobody, but may hold what another column lost
    table = {names[i] or unnamed(i + 1): list(column) for i, column in columns if names[i] or any(column)}
    lines = [line for line, _ in rows]
    raise_all(path_problems(lines, table["file_path"], path))
    return table | {"file_path": list(map(one_name, table["file_path"]))}, lines, delimiter


def _names(header: list[str], required: tuple[str, ...], path: Path) -> list[str]:
    names = our_names(header)
    if missing := [name for name in required if name not in names]:
        present = ", ".join(filter(None, header)) or "none"
        raise DataError(f"{path}: needs the columns {' and '.join(missing)}, has {present}")
    if again := repeated(names):
        raise DataError(f"{path}: each column must be named once, got {', '.join(again)} again")
    return names


def read_rows(path: Path, otherwise: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Reads a table that people filled in: its rows that are not blank, each with the line that it starts on.

    Its delimiter comes with them: spreadsheets write semicolons where numbers have commas, and tabs where cells are
    copied.

    Args:
        path: a CSV file in UTF-8, with or without a mark of its byte order.
        otherwise: what the file should be, said where it cannot be opened.

    Raises:
        DataError: it cannot be read as such, with the line.
    """
    text = _text(path, otherwise)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, line = [], 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                rows.append((line, [field.strip() for field in fields]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not a row of comma-separated values: {error}") from error
    return rows, delimiter


def _text(path: Path, otherwise: str) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"{path}:{line}: must be UTF-8, byte {error.start} is not"
        raise DataError(f"{found}; save it again as CSV UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {otherwise}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: must be text, holds the character 0; save it again as CSV UTF-8")
    return text


def _in_two_subsets(table: pl.DataFrame, source: Path) -> Iterator[str]:
    """Messages on speakers in two subsets. (One with two labels may be a recording's, which is refused.)"""
    given = table.select("speaker_id", "split").filter((pl.col("speaker_id") != "") & (pl.col("split") != ""))
    several = given.unique().group_by("speaker_id").agg(pl.col("split").sort()).filter(pl.col("split").list.len() > 1)
    for speaker, subsets in several.sort("speaker_id").rows():
        yield f"{source}: speaker {shown(speaker)} must be in one subset, got {' and '.join(subsets)}"


def raise_all(problems: Iterable[str]) -> None:
    """Raises a DataError with all problems, a line each, where there are any."""
    found = list(problems)
    if found:
        raise DataError("\n".join(at_most(found)))


def at_most(lines: list[str], most: int = 20) -> list[str]:
    """The first lines, and how many more there are."""
    return lines[:most] + ([f"... and {len(lines) - most} more"] if len(lines) > most else [])
