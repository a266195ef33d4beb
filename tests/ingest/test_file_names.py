"""A recording is found though its name was changed on the way, and where two may be meant, both are named."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest

from bad_audio import P
from sounds import encoded, tones
from spira.base.errors import DataError
from spira.ingest.file_names import locate_files
from spira.ingest.packed import open_folder
from spira.ingest.privacy import KEY
from spira.stages import ingest, ingest_noise

pytestmark = pytest.mark.usefixtures("any_size")
RATE = 16000
NFC, NFD = (unicodedata.normalize(form, "gravação_00.wav") for form in ("NFC", "NFD"))


def corpus(folder: Path, table: list[str], files: list[str]) -> Path:
    """These rows, and files of other names; each its own sound."""
    for i, name in enumerate(files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(tones(8000 + 100 * i), 8000, "WAV", "PCM_16"))
    rows = [f'"{name}",{i % 2},s{i}' for i, name in enumerate(table)]
    (folder / "metadata.csv").write_text("\n".join(["file_path,label,speaker_id", *rows]) + "\n", encoding="utf-8")
    return folder


def taken(folder: Path, table: list[str], files: list[str]) -> tuple[list[str], dict[str, str]]:
    """The ids of the clips, and the reason of each that was refused."""
    ingest.run(RATE, P, corpus=corpus(folder / "mine", table, files), out=folder / "out")
    clips, rejects = (pl.read_csv(folder / f"out/{name}.csv", infer_schema=False) for name in ("clips", "rejects"))
    return clips["clip_id"].to_list(), dict(rejects.select("file_path", "reason").rows())


@pytest.mark.parametrize("written", [NFC, NFD])
@pytest.mark.parametrize("stored", [NFC, NFD])
def test_a7_accents_are_the_same_however_they_are_encoded(written: str, stored: str, tmp_path: Path) -> None:
    """In the table and on the disk; the clip has one name, so one corpus has the same bytes on every system."""
    clips, rejects = taken(tmp_path, ["a.wav", written], ["a.wav", stored])
    assert clips == ["a.wav", NFC]
    assert rejects == {}


@pytest.mark.parametrize(
    ("written", "stored", "how"),
    [
        ("clip_02.wav", "clip_02.WAV", "in case"),
        ("Clip_02.wav", "clip_02.wav", "in case"),
        ("Pacientes/P1.wav", "pacientes/p1.wav", "in case"),
        (f"Gravações/{NFC}", unicodedata.normalize("NFD", f"Gravações/{NFC}"), "in how accents are encoded"),
        ("p 1.wav", "p\u00a01.wav", "in spaces or characters that cannot be seen"),
        ("p1.wav", "p1\u200b.wav", "in spaces or characters that cannot be seen"),
    ],
)
def test_a7_the_one_file_that_can_be_meant_is_taken_and_that_is_said(
    written: str, stored: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders too. The clip keeps the table's name."""
    clips, rejects = taken(tmp_path, ["a.wav", written], ["a.wav", stored])
    assert (sorted(clips), rejects) == (sorted(["a.wav", written]), {})
    said = f"mine: the names of 1 of 2 files differ from the table's only {how}; each was found"
    assert said in capsys.readouterr().out


def test_a7_of_two_files_that_may_be_meant_both_are_named(tmp_path: Path) -> None:
    """And neither is taken."""
    clips, rejects = taken(tmp_path, ["a.wav", "b.wav"], ["a.wav", "B.wav", "b.WAV"])
    assert clips == ["a.wav"]
    assert rejects == {
        "b.wav": "no such file; there is 'B.wav', which differs in case and 'b.WAV', which differs in case: name the "
        "one that is meant"
    }


def test_a7_a_file_is_never_two_clips(tmp_path: Path) -> None:
    """One that another row names is that row's; one that two rows may mean is nobody's."""
    clips, rejects = taken(tmp_path, ["a.wav", "A.wav", "b.WAV", "B.wav"], ["a.wav", "b.wav"])
    assert clips == ["a.wav"]
    assert rejects["A.wav"] == "no such file"
    assert rejects["b.WAV"] == (
        "no such file; there is 'b.wav', which differs in case: name the one that is meant in this row only"
    )
    assert set(rejects) == {"A.wav", "b.WAV", "B.wav"}


def test_a7_the_very_letters_go_before_others_like_them(tmp_path: Path) -> None:
    """Of one name in another encoding and one in other case, the first is meant."""
    clips, rejects = taken(tmp_path, [NFC], [NFD, NFC.upper()])
    assert (clips, rejects) == ([NFC], {})


def test_a7_one_name_twice_in_the_table_is_refused_in_whatever_encoding(tmp_path: Path) -> None:
    """On a Mac the two are one file."""
    with pytest.raises(DataError, match=r":3: file_path must be named once, .* again after line 2, where its accents"):
        taken(tmp_path, [NFC, NFD], [NFC])


def test_a7_noise_is_found_too(tmp_path: Path) -> None:
    """By the same rule."""
    mine = corpus(tmp_path / "mine", ["Ward.wav", NFC], ["ward.wav", NFD])
    ingest_noise.run(RATE, P, noise_corpus=mine, out=tmp_path / "out")
    assert pl.read_csv(tmp_path / "out/recordings.csv")["recording_id"].to_list() == ["Ward.wav", NFC]


def test_a7_no_name_is_printed_where_names_are_hashed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a reason nor in the log."""
    monkeypatch.setenv(KEY, "a key of more than sixteen bytes")
    mine = corpus(tmp_path / "mine", ["x.wav", "zoe.wav", "bia.wav"], ["x.wav", "Zoe.wav", "BIA.wav", "Bia.wav"])
    ingest.run(RATE, P.model_copy(update={"personal_data": "pseudonymise"}), corpus=mine, out=tmp_path / "out")
    came = "".join(
        [*capsys.readouterr(), *((tmp_path / f"out/{name}.csv").read_text() for name in ("clips", "rejects"))]
    )
    assert "there is '" in came
    assert "zoe" not in came.lower()
    assert "bia" not in came.lower()


def test_a7_ten_thousand_names_are_found_in_a_moment(tmp_path: Path) -> None:
    """A folder is listed once, not once a name."""
    names = [f"{unicodedata.normalize('NFC', 'é')}{i}.wav" for i in range(10_000)]
    for name in names:
        (tmp_path / unicodedata.normalize("NFD", name)).touch()
    found = locate_files(open_folder(tmp_path), names, str)
    assert list(found.paths) == names
    assert list(found.paths.values()) == [unicodedata.normalize("NFD", name) for name in names]
