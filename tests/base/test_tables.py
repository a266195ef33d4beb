"""CSV and JSON on disk: read as written, or refused by name."""

import json
import math
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spira.base.errors import DataError
from spira.base.tables import from_sheet, read_json, read_table, write_json, write_sheet, write_table

SCHEMA = {"name": pl.String, "count": pl.Int64, "score": pl.Float64}
text = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"))
finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=50)  # each waits for the disk
@given(st.lists(st.tuples(text, st.integers(-(2**63), 2**63 - 1), finite)))
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float]]
) -> None:
    """Empty text, quotes, separators, line ends and the last bit of a number; and the same bytes once more."""
    path = tmp_path_factory.mktemp("tables") / "new" / "a.csv"
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    write_table(table, path)
    read = read_table(path, SCHEMA)
    assert read.rows() == rows
    before = path.read_bytes()
    write_table(read, path)
    assert path.read_bytes() == before


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("=+-@'\t ;\n\"x1＝,", max_size=6), min_size=1))
def test_a_spreadsheet_finds_no_formula_in_a_sheet(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    """Nor in what it makes of a cell where another separator is its own; read back, the cells are as they were."""
    path = tmp_path_factory.mktemp("sheets") / "a.csv"
    write_sheet(pl.DataFrame({"name": cells, "loss": [-0.5] * len(cells)}), path)
    read = pl.read_csv(path, infer_schema=False, empty_string_is_null=False)
    assert from_sheet(read)["name"].to_list() == cells
    assert set(read["loss"]) == {"-0.5"}
    for cell in read["name"]:
        parts = [cell, *re.split(r"[;\t\n]", cell)]
        assert not [
            part for part in parts if part.strip(" ")[:1] in set("=+-@＝") and not re.fullmatch(r"[+-]?1+(,1+)?", cell)
        ]
        assert not cell.startswith("\t")


def test_an_ordinary_sheet_is_written_as_any_table(tmp_path: Path) -> None:
    """Names, sentences and numbers keep their bytes."""
    table = pl.DataFrame({"clip": ["a/b-c.wav", "-1", "x = y; 2 - 1", "é"], "score": [-1.0, 0.5, 1e-9, 2.0]})
    write_table(table, tmp_path / "a.csv")
    write_sheet(table, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_only_the_named_columns_are_read_in_the_order_named(tmp_path: Path) -> None:
    """007 stays text, and columns that a stage does not need may come and go."""
    (tmp_path / "a.csv").write_text("count,more,name\n1,x,007\n", encoding="utf-8")
    table = read_table(tmp_path / "a.csv", {"name": pl.String, "count": pl.Int64})
    assert (table.columns, table.rows()) == (["name", "count"], [("007", 1)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; run the stage that writes it: dvc repro"),
        ("name,score\na,1\n", "expected columns name, count, score: "),
        ("name,count,score\na,many,1\n", "expected columns name, count, score: "),
        ("", "expected columns name, count, score: "),
    ],
)
def test_a_table_that_is_not_what_was_expected_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    """Missing, without a column, of another type, empty."""
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {said}')}"):
        read_table(path, SCHEMA)


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """In the order of its keys, indented, with a last line end."""
    content = {"b": 1, "a": [0.1, None, "é"]}
    write_json(content, tmp_path / "new" / "a.json")
    assert read_json(tmp_path / "new" / "a.json") == content
    assert (tmp_path / "new" / "a.json").read_text(encoding="utf-8") == json.dumps(content, indent=2) + "\n"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_holds_no_nan(tmp_path: Path, number: float) -> None:
    """It would be no JSON; and nothing is written in its place."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"auc": number}, tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; run the stage that writes it: dvc repro"),
        (b'{"a": 1', "not JSON: "),
        (b"\xff\xfe", "not JSON: "),
    ],
)
def test_json_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Missing, cut off, or not text at all."""
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {said}')}"):
        read_json(path)
