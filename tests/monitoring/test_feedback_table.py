"""feedback.csv is read strictly: a wrong cell is refused by its line, and nothing of a person is in a message."""

from datetime import date
from pathlib import Path

import pytest

from spira.base.errors import DataError
from spira.monitoring.feedback_people import Known
from spira.monitoring.feedback_table import read_feedback

TODAY = date(2026, 11, 28)
DIGEST, INFERENCE = "0a" * 32, "1b" * 16


def read(path: Path, *rows: str, header: str = "id,label,known_on,source") -> list[Known]:
    path = path / "feedback.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_feedback(path, TODAY)


def test_both_kinds_of_id_and_every_way_to_write_a_label_are_read(tmp_path: Path) -> None:
    """As ingest reads them; blank lines are none, and an id in capitals is the same."""
    rows = [f"{DIGEST.upper()},Paciente,2026-11-01,PCR", "", f"{INFERENCE},0,2026-11-02,"]
    assert read(tmp_path, *rows) == [
        Known(DIGEST, 1, date(2026, 11, 1), "PCR", 2),
        Known(INFERENCE, 0, date(2026, 11, 2), "", 4),
    ]


def test_columns_in_another_order_by_a_spreadsheet_and_without_a_source(tmp_path: Path) -> None:
    """Semicolons, a byte order mark, names in capitals."""
    rows = [f"2026-11-01;{DIGEST};control"]
    (known,) = read(tmp_path, *rows, header="\ufeffKnown on;ID;Label")
    assert (known.label, known.source) == (0, "")


def test_an_id_twice_with_one_label_counts_once_from_its_first_day(tmp_path: Path) -> None:
    rows = [f"{DIGEST},patient,2026-11-09,a", f"{DIGEST},1,2026-11-03,b"]
    assert read(tmp_path, *rows) == [Known(DIGEST, 1, date(2026, 11, 3), "b", 3)]


def test_an_id_with_two_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"feedback\.csv:3: id must have one label, got another on line 2"):
        read(tmp_path, f"{DIGEST},patient,2026-11-01,", f"{DIGEST.upper()},control,2026-11-01,")


@pytest.mark.parametrize("column", ["prontuario", "name", "patient_id", "hospital number", "Nome", "score"])
def test_another_column_is_refused_and_no_cell_of_it_is_shown(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match="a hospital's number or a name must not be in it") as error:
        read(tmp_path, f"{DIGEST},patient,2026-11-01,x,8675309", header=f"id,label,known_on,source,{column}")
    assert "8675309" not in str(error.value)


@pytest.mark.parametrize("name", ["8675309", "SP-0042", "", "nan", DIGEST[:-1], DIGEST + "0", "g" * 64, "1.23E+31"])
def test_an_id_of_another_form_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    """It may be a hospital's number."""
    with pytest.raises(DataError, match=r"feedback\.csv:2: id must be the 64 hexadecimal digits") as error:
        read(tmp_path, f"{name},patient,2026-11-01,")
    assert len(name) < 2 or name not in str(error.value)


@pytest.mark.parametrize("label", ["", "NaN", "2", "1.5", "sick", "nan", "unknown", "?"])
def test_a_label_that_is_none_is_refused(tmp_path: Path, label: str) -> None:
    """An unknown truth has no row."""
    with pytest.raises(DataError, match=r":2: label must be patient or control \(SPIRA's class: 1 or 0\)"):
        read(tmp_path, f"{DIGEST},{label},2026-11-01,")


@pytest.mark.parametrize(
    "day", ["", "NaN", "2026-13-01", "2026-02-30", "01/11/2026", "20261101", "yesterday", "2026-11"]
)
def test_a_date_that_is_none_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(DataError, match=r":2: known_on must be a date such as 2026-07-31"):
        read(tmp_path, f"{DIGEST},patient,{day},")


def test_nothing_is_known_after_today(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known_on must not lie after today, 2026-11-28, got 2026-11-29"):
        read(tmp_path, f"{DIGEST},patient,2026-11-29,")


def test_nothing_was_known_before_2000_and_a_date_of_birth_is_not_shown(tmp_path: Path) -> None:
    for day in ("1500-01-01", "1999-12-31"):
        with pytest.raises(DataError, match=":2: known_on must not lie before 2000-01-01") as error:
            read(tmp_path, f"{DIGEST},patient,{day},")
        assert day not in str(error.value)
    assert read(tmp_path, f"{DIGEST},patient,2000-01-01,")


def test_every_mistake_is_named_at_once_and_not_more_than_twenty(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, *[f"{i},patient,2026-11-01," for i in range(30)])
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 10 more"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a header"),
        ("id,label,known_on\n", "has 1 rows in all"),
        ("id,known_on\nx,y\n", "needs the columns label"),
        ("id,id,label,known_on\n,,,x\n", "each column must be named once"),
        (f"id,label,known_on\n{DIGEST},patient\n", "expected 3 fields, as in the header, got 2"),
        (f'id,label,known_on\n"{DIGEST},patient,2026-11-01\n', "not a row of comma-separated values"),
        ("id,label,known_on\n\0,1,2\n", "holds the character 0"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "feedback.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=why):
        read_feedback(path, TODAY)


def test_another_encoding_or_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feedback.csv"
    path.write_bytes("id,label,known_on,source\n,,,médico\n".encode("latin-1"))
    with pytest.raises(DataError, match="must be UTF-8"):
        read_feedback(path, TODAY)
    with pytest.raises(DataError, match="No such file"):
        read_feedback(tmp_path / "nowhere.csv", TODAY)
