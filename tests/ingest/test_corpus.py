"""A user's metadata.csv: read as it was meant, or refused with the line and what was expected."""

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spira.base.errors import DataError
from spira.ingest.column_names import OPTIONAL
from spira.ingest.corpus import read_corpus, read_recordings

HEADER = "file_path,label,speaker_id\n"


def corpus(folder: Path, table: str | bytes) -> Path:
    """A folder with this metadata.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return folder


def rows(table: pl.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return table.select(columns).rows()


def message(folder: Path, table: str | bytes) -> str:
    """What is said of a table that cannot be read, less the name of the folder."""
    with pytest.raises(DataError) as failure:
        read_corpus(corpus(folder, table))
    assert str(folder) in str(failure.value)
    return str(failure.value).replace(f"{folder}/", "")


def test_spiras_own_csv_is_read_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`class` 1 is a patient and 0 a control; sex and age are found; nobody is named, and that is said."""
    table = read_corpus(
        corpus(
            tmp_path,
            "file_path,class,sexo,idade,nivel_falta_de_ar\n"
            "Pacientes/P1.wav,1,F,62,3\n"
            "Controles/C1.wav,0,M,30,0\n"
            "Controles/C2.wav,0,f,,\n",
        )
    )
    assert rows(table, "file_path", "label", "sex", "age", "speaker_id") == [
        ("Controles/C1.wav", 0, "M", "30", "file:Controles/C1.wav"),
        ("Controles/C2.wav", 0, "F", "", "file:Controles/C2.wav"),
        ("Pacientes/P1.wav", 1, "F", "62", "file:Pacientes/P1.wav"),
    ]
    assert "3 of 3 rows have no speaker_id; each counts as a speaker of its own" in capsys.readouterr().out


def test_the_table_has_the_same_columns_whatever_the_file_has(tmp_path: Path) -> None:
    """Text everywhere but in `label`, empty where nothing is known; other columns are left out."""
    table = read_corpus(corpus(tmp_path, "spo2,file_path,height,label\n091,a.wav,170,1\n"))
    assert table.columns == ["file_path", "label", *OPTIONAL]
    assert table["label"].dtype == pl.Int64
    assert rows(table, "spo2", "sex", "age", "device", "split") == [("091", "", "", "", "")]


@pytest.mark.parametrize("label", ["patient", "Patient", " patient ", "PATIENT", "1"])
def test_labels_are_words_or_spiras_numbers(tmp_path: Path, label: str) -> None:
    """In any case, with spaces about them."""
    control = label.lower().replace("patient", "control").replace("1", "0")
    table = read_corpus(corpus(tmp_path, f"{HEADER}a.wav,{label},x\nb.wav,{control},y\n"))
    assert table["label"].to_list() == [1, 0]


@pytest.mark.parametrize(
    ("written", "read"),
    [("F", "F"), ("female", "F"), ("m", "M"), ("Male", "M"), ("", "")],
)
def test_sex_is_f_m_or_unknown(tmp_path: Path, written: str, read: str) -> None:
    """By letter or word."""
    assert read_corpus(corpus(tmp_path, f"file_path,label,sex\na.wav,1,{written}\n"))["sex"].to_list() == [read]


def test_a_given_split_is_kept(tmp_path: Path) -> None:
    """`val` is the other word for `validation`."""
    table = read_corpus(corpus(tmp_path, "file_path,label,split\na,1,train\nb,1,val\nc,1,Validation\nd,0,test\ne,0,\n"))
    assert table["split"].to_list() == ["train", "validation", "validation", "test", ""]


@pytest.mark.parametrize(
    "table",
    [
        "\ufefffile_path,label,speaker_id\na.wav,patient,x\nb.wav,control,y\n",
        "file_path;label;speaker_id\na.wav;patient;x\nb.wav;control;y\n",
        "file_path,label,speaker_id\r\na.wav,patient,x\r\nb.wav,control,y\r\n",
        "file_path,label,speaker_id\ra.wav,patient,x\rb.wav,control,y\r",
        '"file_path", "label","speaker_id"\n"a.wav","patient", "x"\n b.wav , control , y ',
        "file_path,label,speaker_id\n\na.wav,patient,x\n,,\n\nb.wav,control,y\n\n\n",
        "file_path,label,speaker_id,,\na.wav,patient,x,,\nb.wav,control,y,,\n",
        "speaker_id,label,file_path\ny,control,b.wav\nx,patient,a.wav\n",
        "file_path,label,speaker_id\n./a.wav,patient,x\n.\\b.wav,control,y\n",
    ],
    ids=["bom", "semicolons", "crlf", "cr", "quotes and spaces", "blank lines", "unnamed columns", "order", "paths"],
)
def test_one_table_is_the_same_however_a_spreadsheet_writes_it(tmp_path: Path, table: str) -> None:
    """Byte order mark, separator, line ends, quotes, blank lines, order of rows and columns, kind of slash."""
    read = read_corpus(corpus(tmp_path, table))
    assert rows(read, "file_path", "label", "speaker_id") == [("a.wav", 1, "x"), ("b.wav", 0, "y")]


@given(st.permutations(["a.wav", "b.wav", "B.wav", "10.wav", "9.wav", "d/a.wav", "é.wav"]))
def test_rows_are_sorted_whatever_their_order(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """By the bytes of the path, each with its own label."""
    labels = {name: len(name) % 2 for name in names}
    lines = "".join(f"{name},{labels[name]},x\n" for name in names)
    table = read_corpus(corpus(tmp_path_factory.mktemp("corpus"), HEADER + lines))
    assert rows(table, "file_path", "label") == sorted(labels.items())


def test_names_that_differ_in_case_are_two_files(tmp_path: Path) -> None:
    """On the systems that this runs on."""
    assert len(read_corpus(corpus(tmp_path, f"{HEADER}a.wav,1,x\nA.wav,1,x\n"))) == 2


def test_a_missing_speaker_is_a_speaker_of_its_own_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the column is there and some of its fields are empty."""
    table = read_corpus(corpus(tmp_path, f"{HEADER}a.wav,1,\nb.wav,1,bia\nc.wav,1, \n"))
    assert table["speaker_id"].to_list() == ["file:a.wav", "bia", "file:c.wav"]
    assert "2 of 3 rows have no speaker_id" in capsys.readouterr().out


def test_nothing_is_said_where_everybody_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Silence is for when nothing was assumed."""
    read_corpus(corpus(tmp_path, f"{HEADER}a.wav,1,007\n"))
    assert capsys.readouterr().out == ""


def test_speakers_stay_text(tmp_path: Path) -> None:
    """007 and 7 are two people."""
    table = read_corpus(corpus(tmp_path, f"{HEADER}a.wav,1,007\nb.wav,1,7\n"))
    assert table["speaker_id"].to_list() == ["007", "7"]


def test_our_name_goes_before_spiras(tmp_path: Path) -> None:
    """A table with `label` and `class` is read by its `label`; so with `sex` and `age`."""
    table = read_corpus(corpus(tmp_path, "class,file_path,label,sexo,sex\n0,a.wav,patient,M,F\n"))
    assert rows(table, "label", "sex") == [(1, "F")]


def test_noise_needs_only_paths(tmp_path: Path) -> None:
    """Its other columns are the user's own, but for `source`."""
    table = read_recordings(corpus(tmp_path, "description,file_path\nward,w.wav\nbell,b.wav\n"))
    assert table.rows() == [("b.wav", ""), ("w.wav", "")]


def test_the_source_of_noise_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However its column is spelled; a marker of a missing value is unknown; two spellings are two, and said."""
    written = "Source,file_path\nward 3,w.wav\nn/a,b.wav\nWard 3,c.wav\n"
    table = read_recordings(corpus(tmp_path, written))
    assert table.rows() == [("b.wav", ""), ("c.wav", "Ward 3"), ("w.wav", "ward 3")]
    assert "source 'Ward 3' and 'ward 3' differ only in case, and count as 2" in capsys.readouterr().out


BAD = {
    "nothing": ("", "metadata.csv: needs the columns file_path and label, has none"),
    "blank": (" \n\n", "metadata.csv: needs the columns file_path and label, has none"),
    "header only": (HEADER, "metadata.csv: has a header and no rows"),
    "header and blank lines": (HEADER + "\n,,\n", "metadata.csv: has a header and no rows"),
    "no label": ("file_path,sex\na,F\n", "metadata.csv: needs the columns label, has file_path, sex"),
    "no columns": ("a.wav\tpatient\n", "metadata.csv: needs the columns file_path and label, has a.wav, patient"),
    "a column twice": (
        "file_path,label, label\na.wav,1,0\n",
        "metadata.csv: each column must be named once, got label again",
    ),
    "latin-1": (
        "file_path,label\nação.wav,1\n".encode("latin-1"),
        "metadata.csv:2: must be UTF-8, byte 17 is not; save it again as CSV UTF-8",
    ),
    "utf-16": ("file_path,label\na,1\n".encode("utf-16"), "metadata.csv:1: must be UTF-8, byte 0 is not"),
    "long row": (
        HEADER + "a,1,x\n\nb,1,y,z\n",
        "metadata.csv:4: expected 3 fields, as in the header, got 4",
    ),
    "short row": (HEADER + "a,1\n", "metadata.csv:2: expected 3 fields, as in the header, got 2"),
    "open quote": (HEADER + 'a,1,x\nb,1,"y\nc,1,z\n', "metadata.csv:3: not a row of comma-separated values"),
    "absolute": (
        HEADER + "a,1,x\n/data/b.wav,1,x\n",
        "metadata.csv:3: file_path must lie inside the corpus's folder, got '/data/b.wav'",
    ),
    "a drive": (HEADER + "C:\\b.wav,1,x\n", "metadata.csv:2: file_path must lie inside the corpus's folder"),
    "escaping": (
        HEADER + 'a,1,"x\ny"\nb/../../c.wav,1,x\n',
        "metadata.csv:4: file_path must lie inside the corpus's folder, got 'b/../../c.wav'",
    ),
    "escaping backwards": (HEADER + "..\\c.wav,1,x\n", "metadata.csv:2: file_path must lie inside"),
    "no path": (HEADER + ",1,x\n", "metadata.csv:2: file_path must name a recording, and is blank"),
    "the folder": (HEADER + ".,1,x\n", "metadata.csv:2: file_path must lie inside the corpus's folder, got '.'"),
    "twice": (
        HEADER + "a.wav,1,x\nb.wav,1,x\n./a.wav,0,x\n",
        "metadata.csv:4: file_path must be named once, got './a.wav' again after line 2",
    ),
    "labels": (
        HEADER + "a,1,x\nb,sick,x\nc,sick,x\nd,,x\n",
        "metadata.csv:3: label must be patient or control (SPIRA's class: 1 or 0), got 'sick' (2 rows)",
    ),
    "classes": ("file_path,class\na,2\n", "metadata.csv:2: label must be patient or control (SPIRA's class: 1 or 0)"),
    "sexes": (
        "file_path,label,sex\na,1,X\n",
        "metadata.csv:2: sex must be F, M or empty, got 'X'",
    ),
    "splits": (
        "file_path,label,split\na,1,dev\n",
        "metadata.csv:2: split must be train, validation, test or empty, got 'dev'",
    ),
}


@pytest.mark.ml_test_score("Data 1")
@pytest.mark.parametrize(("table", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_table_is_refused_with_where_what_and_why(tmp_path: Path, table: str | bytes, said: str) -> None:
    """A line counts as an editor counts it: blank ones, and those inside quotes, too."""
    assert message(tmp_path, table).startswith(said)


def test_all_bad_rows_are_reported_at_once_up_to_twenty(tmp_path: Path) -> None:
    """Nobody mends a table one error a run; nobody reads a thousand."""
    said = message(tmp_path, HEADER + "".join(f"/{i}.wav,1,x\n" for i in range(25))).splitlines()
    assert said[0].startswith("metadata.csv:2: ")
    assert said[19].startswith("metadata.csv:21: ")
    assert said[20:] == ["... and 5 more"]


def test_of_many_wrong_labels_twenty_are_reported(tmp_path: Path) -> None:
    """A column of free text is not printed whole."""
    said = message(tmp_path, HEADER + "".join(f"{i}.wav,text {i:03},x\n" for i in range(99)))
    assert said.endswith("got 'text 019'\n... and 79 more")


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_without_metadata_is_refused(tmp_path: Path, name: str) -> None:
    """With the name of the file that was looked for, and what a corpus is."""
    (tmp_path / "file").touch()
    path = re.escape(str(tmp_path / name / "metadata.csv"))
    said = f"{path}: (No such file|Not a) .*; a corpus is a folder with metadata.csv and audio"
    with pytest.raises(DataError, match=said):
        read_corpus(tmp_path / name)
    with pytest.raises(DataError, match=said):
        read_recordings(tmp_path / name)
