"""CSV and JSON on disk: the same bytes for the same content."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from spira.base.errors import DataError
from spira.base.files import write_bytes

# Where a spreadsheet would read a formula: at the start of a cell, and of each that it may split a cell into.
_FORMULA = r"((?:^|[;\t\r\n]) *)('*[=+\-@＝＋－＠])"
_WRITTEN_FORMULA = r"((?:^|[;\t\r\n]) *)'('*[=+\-@＝＋－＠])"
_CONTROL, _WRITTEN_CONTROL = r"^('*[\t\r])", r"^'('*[\t\r])"


def read_table(path: Path, schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    """The named columns of a CSV file that an earlier stage wrote, as the types given.

    Raises:
        DataError: the file is missing, lacks a column, or holds something of another type.
    """
    try:
        table = pl.read_csv(path, glob=False, schema_overrides=schema, infer_schema=False, empty_string_is_null=False)
        return table.select(schema.keys())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; run the stage that writes it: dvc repro") from error
    except pl.exceptions.PolarsError as error:
        again = "if it is of an earlier version, run the stage that writes it: dvc repro"
        raise DataError(f"{path}: expected columns {', '.join(schema)}: {error}; {again}") from error


def write_table(table: pl.DataFrame, path: Path) -> None:
    """A CSV file with ``\\n`` ends; a missing number is an empty field."""
    write_bytes(table.write_csv().encode(), path)


def write_sheet(table: pl.DataFrame, path: Path) -> None:
    """A table that people open: no cell of text in it is run as a formula; ``from_sheet`` gives the cells back.

    Source:
        OWASP, "CSV injection": an apostrophe before what would begin a formula.
    """
    text = pl.col(pl.String)
    shown = text.str.replace_all(_FORMULA, "${1}'${2}").str.replace(_CONTROL, "'${1}")
    number = text.str.contains(r"^[+-]?\d+([.,]\d+)?$")
    write_table(table.with_columns(pl.when(number).then(text).otherwise(shown)), path)


def from_sheet(table: pl.DataFrame) -> pl.DataFrame:
    """The cells that were given to ``write_sheet``."""
    text = pl.col(pl.String)
    return table.with_columns(text.str.replace(_WRITTEN_CONTROL, "${1}").str.replace_all(_WRITTEN_FORMULA, "${1}${2}"))


def read_json(path: Path) -> Any:
    """Raises DataError where the file is missing, or not JSON, which has no NaN."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; run the stage that writes it: dvc repro") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise DataError(f"{path}: not JSON: {error}") from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Indented JSON, keys as given; NaN and infinity raise ``ValueError`` rather than be written."""
    write_bytes((json.dumps(content, indent=2, allow_nan=False) + "\n").encode(), path)
