"""A corpus that cannot be learnt from gets a sentence that a person can act on, and never a traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bad_audio import P
from sounds import encoded, tones
from spira.base.errors import DataError
from spira.base.params import load
from spira.ingest.corpus import read_corpus
from spira.split.holdout import SplitParams
from spira.stages import ingest, split
from tiny import ROOT

RATE = 16000
SPLIT = load("split", SplitParams, path=ROOT / "params.yaml").model_copy(update={"min_speakers": 1})
HEADER = "file_path,label,speaker_id,split\n"
SUBSETS = ("train", "validation", "test")


def rows(*, labels: tuple[str, str] = ("patient", "control"), speakers: str = "s{}") -> str:
    """Twelve clips, two speakers of each class in each subset."""
    return "".join(f"{i}.wav,{labels[i % 2]},{speakers.format(i)},{SUBSETS[i // 4]}\n" for i in range(12))


def taken(folder: Path, table: str | bytes) -> None:
    """From the folder to the subsets, as ``dvc repro`` goes."""
    mine = folder / "mine"
    mine.mkdir()
    (mine / "metadata.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    for i in range(12):
        (mine / f"{i}.wav").write_bytes(encoded(tones(8000 + 100 * i), 8000, "WAV", "PCM_16"))
    ingest.run(RATE, P, corpus=mine, out=folder / "clips")
    outs = {"subsets": folder / "subsets.csv", "folds": folder / "folds", "summary": folder / "summary.csv"}
    split.run(RATE, SPLIT, clips=folder / "clips/clips.csv", **outs)


@pytest.mark.parametrize(
    "table",
    [
        HEADER + rows(),
        (HEADER + rows()).encode("utf-8-sig"),
        (HEADER + rows()).replace(",", ";"),
        (HEADER + rows()).replace("\n", "\r\n"),
        (HEADER + rows()).replace(",train", ",TRAIN").replace("validation", "val"),
    ],
    ids=["as it is", "with a byte order mark", "with semicolons", "from Windows", "in other words"],
)
def test_a_corpus_that_can_be_read_is_taken(table: str | bytes, tmp_path: Path) -> None:
    """All twelve clips, so that what is refused below is refused for its defect."""
    taken(tmp_path, table)
    assert (tmp_path / "subsets.csv").read_text().count(".wav") == 12


BAD: dict[str, tuple[str | bytes, str]] = {
    "no label": ("file_path,speaker_id\n0.wav,a\n", r"needs the columns label, has file_path, speaker_id$"),
    "no column at all": ("0.wav,patient\n", r"needs the columns file_path and label, has 0.wav, patient$"),
    "nothing": ("", r"needs the columns file_path and label, has none$"),
    "a header alone": (HEADER, "has a header and no rows$"),
    "a row twice": (HEADER + rows() + "3.wav,control,s3,train\n", r":14: file_path must be named once, got '3.wav'"),
    "a label outside the set": (
        HEADER + rows(labels=("patient", "healthy")),
        r"label must be patient or control .*, got 'healthy' \(6 rows\)",
    ),
    "one class": (
        HEADER + rows(labels=("patient", "patient")),
        r"metadata.csv: must name 3 speakers of each class at least, .* got 12 patients and 0 controls; bring more",
    ),
    "one speaker": (
        HEADER.replace(",split", "") + "0.wav,patient,a\n1.wav,patient,a\n",
        "got 1 patients and 0 controls",
    ),
    "no speaker of a class to test with": (
        HEADER + rows().replace("s9,test", "s9,train").replace("s11,test", "s11,train"),
        "cannot be split: each subset needs .* but test has 0 control speakers.*Bring more speakers",
    ),
    "a speaker with two labels": (
        HEADER + rows().replace("s1,train", "s0,train"),
        "speaker s0: must be patient or control in all clips, got both",
    ),
    "a speaker in two subsets": (
        HEADER + rows().replace("s11,test", "s1,test"),
        r"metadata.csv: speaker 's1' must be in one subset, got test and train",
    ),
    "absolute": (HEADER + rows().replace("5.wav", "/etc/passwd"), ":7: file_path must lie inside the corpus's folder"),
    "escaping": (HEADER + rows().replace("5.wav", "a/../../b.wav"), ":7: file_path must lie inside the corpus's"),
    "latin-1": (HEADER.encode() + "ação.wav,patient,a,\n".encode("latin-1"), "must be UTF-8, byte 34 is not; save it"),
    "utf-16": ((HEADER + rows()).encode("utf-16"), "must be UTF-8, byte 0 is not; save it again as CSV UTF-8"),
    "zero bytes": (HEADER + rows().replace(".wav", "\0.wav"), ":2: must be text, holds the character 0; save it again"),
    "an endless field": (HEADER + f'"{"a" * 200_000}",patient,a,\n', ":2: not a row of comma-separated values: field"),
    "a spreadsheet": (b"PK\3\4\x14\0\6\0\x08\0\0\0!\0\xb5\x55", "must be UTF-8, byte 14 is not"),
    "a subset outside the set": (HEADER + "0.wav,patient,a,dev\n", r"split must be train, .* got 'dev'$"),
}


@pytest.mark.parametrize(("table", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_corpus_is_refused_with_a_sentence(table: str | bytes, said: str, tmp_path: Path) -> None:
    """Where, what was expected, what was found."""
    with pytest.raises(DataError, match=said) as error:
        taken(tmp_path, table)
    assert not (tmp_path / "subsets.csv").exists()
    assert len(str(error.value)) < 3000


def test_a_subset_that_leaks_is_refused_before_a_recording_is_opened(tmp_path: Path) -> None:
    """The folder holds no recording at all."""
    (tmp_path / "metadata.csv").write_text(HEADER + "0.wav,patient,a,train\n1.wav,patient,a,test\n")
    with pytest.raises(DataError, match="speaker 'a' must be in one subset, got test and train"):
        ingest.run(RATE, P, corpus=tmp_path, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "got"),
    [
        (rows(labels=("control", "control")), "0 patients and 12 controls"),
        (rows(speakers="a"), "1 patients and 1 controls"),
        ("".join(f"{i}.wav,{('patient', 'control')[i > 1]},s{i},\n" for i in range(9)), "2 patients and 7 controls"),
    ],
    ids=["one class", "one name", "two speakers of a class"],
)
def test_what_no_split_could_divide_is_refused_before_a_recording_is_read(table: str, got: str, tmp_path: Path) -> None:
    """From the table alone: a ward's recordings take minutes to decode. The folder holds none at all."""
    unsplit = re.sub(r",[a-z]*$", "", HEADER + table, flags=re.MULTILINE)
    (tmp_path / "metadata.csv").write_text(unsplit)
    with pytest.raises(DataError, match=rf"metadata.csv: must name 3 speakers of each class at least, .* got {got}; "):
        ingest.run(RATE, P, corpus=tmp_path, out=tmp_path / "out")


def test_many_rows_are_read(tmp_path: Path) -> None:
    """100,000 of them here, a million in `make reliability`: no step is quadratic."""
    lines = (f"ward/{i}.wav,{('control', 'patient')[i % 2]},s{i // 4 * 2 + i % 2},\n" for i in range(100_000))
    (tmp_path / "metadata.csv").write_text(HEADER + "".join(lines))
    table = read_corpus(tmp_path)
    assert len(table) == 100_000
    assert table["label"].sum() == 50_000


def test_a_stage_shows_the_sentence_and_no_traceback(tmp_path: Path) -> None:
    """As DVC runs it: exit status 1."""
    (tmp_path / "data/raw/demo").mkdir(parents=True)
    (tmp_path / "data/raw/demo/metadata.csv").write_text("file;label\n")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "spira.stages.ingest"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ("DataError: data/raw/demo/metadata.csv: needs the columns file_path, has file, label\n")
