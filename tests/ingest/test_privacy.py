"""Personal data is found by its form when a corpus is taken in, and reaches no output and no log."""

from pathlib import Path

import pytest
import soundfile

from bad_audio import P
from sounds import encoded, tag, tones
from spira.base.errors import DataError, ParamError
from spira.ingest.acceptance import Refusal
from spira.ingest.column_names import NOISE_USED, unread
from spira.ingest.containers.tags import personal_tags
from spira.ingest.decoding import decode
from spira.ingest.personal_data import NAME, personal, personal_column, pseudonym, shown
from spira.ingest.privacy import KEY, refuse_personal
from spira.stages import ingest, ingest_noise

pytestmark = pytest.mark.usefixtures("any_size")
RATE = 16000
HASHED = P.model_copy(update={"personal_data": "pseudonymise"})
SECRET = "a key of more than sixteen bytes"
TELLING = {  # invented: the CPF and the CNS are of nobody, and only their check digits are right
    "Maria da Silva.wav": NAME,
    "Zoraide_Quintanilha_01.wav": NAME,  # on no list of names
    "Cla\u0301udia Reis": NAME,  # its accent apart
    "JOÃO SOUZA": NAME,
    "529.982.247-25": "a CPF",
    "clip_52998224725.wav": "a CPF",
    "５２９.982.247-25": "a CPF",
    "898001160660761": "a health card's number",
    "(11) 98765-4321": "a telephone number",
    "+55 11 98765-4321": "a telephone number",
    "11987654321": "a telephone number",
    "someone@example.org": "an e-mail address",
    "12/05/1954": "a date of birth",
    "Maria Silva 12.5.1954": "a date of birth",
    "a_1954-05-12_b.wav": "a date of birth",
    "nasc 1/2/2001": "a date of birth",
    "prontuario_123456": "a hospital number",
}


@pytest.mark.parametrize(("text", "kind"), TELLING.items())
def test_what_tells_of_a_person_is_known_by_its_form(text: str, kind: str) -> None:
    """And a message names the form and never the thing."""
    assert personal(text) == kind
    assert shown(text) == f"({kind}, not shown)"


@pytest.mark.parametrize(
    "text",
    [
        *("", "a.wav", "p001", "Pacientes/P1.wav", "PTT-20200514-WA0003.opus", "1589466000", "12345678901"),
        *("2020-06-14", "rosa.wav", "speech/9XJ2Q_vowel-o.wav", "ward/0001.wav", "F", "111.111.111-11"),
        *("file:a/b.wav", "Samsung A10", "WhatsApp Audio 2020-06-14 at 10.00.00.ogg", "healthy control"),
        *("52018224725", "898001160660762"),
    ],
)
def test_what_tells_of_nobody_is_left_alone(text: str) -> None:
    """Dates of recording, counters, digits that fail their check, one word, small letters."""
    assert personal(text) == ""
    assert shown(text) == repr(text)


def test_columns_are_known_by_their_names() -> None:
    """In Portuguese and English, in any case, with accents and spaces."""
    for name in ("Nome", "nome_paciente", "CPF", "Data de Nascimento", "prontuário", "Telefone", "birth_date", "MRN"):
        assert personal_column(name), name
    for name in ("file_path", "label", "label_name", "speaker_id", "sex", "age", "site", "device", "task", "height"):
        assert not personal_column(name), name


def corpus(folder: Path, rows: list[str], columns: str = "file_path,label,speaker_id", head: bytes = b"") -> Path:
    folder.mkdir()
    (folder / "metadata.csv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    for i, row in enumerate(rows):
        sound = encoded(tones(8000 + 100 * i), 8000, "MP3", "MPEG_LAYER_III")
        (folder / row.partition(",")[0]).write_bytes(head + sound)
    return folder


def everything(out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """All that came of a run: its files, byte for byte, and what it printed."""
    files = [path.read_bytes().decode("latin-1") for path in sorted(out.rglob("*")) if path.is_file()]
    return "".join([*files, *capsys.readouterr()])


@pytest.mark.parametrize("name", ["Maria Silva 1954-05-12.wav", "52998224725.wav", "(11) 98765-4321.wav"])
def test_a_file_that_is_named_after_a_person_stops_the_run(name: str, tmp_path: Path) -> None:
    """The message has its line, not its name, and both ways out."""
    mine = corpus(tmp_path / "mine", ["a.wav,control,c1", f"{name},patient,p1"])
    with pytest.raises(DataError) as error:
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    assert str(error.value) == (
        f"{mine}/metadata.csv:3: file_path holds {personal(name)}; "
        "take it out, or set ingest.personal_data=pseudonymise"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("column", ["speaker_id", "age", "spo2", "recorded_on"])
def test_no_column_that_is_read_may_hold_it(column: str, tmp_path: Path) -> None:
    """Names in the column of ages would reach the table of clips and the report."""
    mine = corpus(tmp_path / "mine", ["a.wav,control,Maria Silva"], f"file_path,label,{column}")
    with pytest.raises(DataError, match=f":2: {column} holds what may be a person's name; take it out") as error:
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    assert "Maria" not in str(error.value)


PLACES = ("São José dos Campos", "Hospital Antônio Pedro", "HC")


@pytest.mark.parametrize("column", ["site", "device", "task"])
def test_a6_a_place_may_be_called_after_a_person(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where and by what are not who: a line a value, with its rows and what to do, and the run goes on."""
    rows = [f"{i}.wav,{('control', 'patient')[i % 2]},s{i},{PLACES[i // 4 % 3]}" for i in range(24)]
    mine = corpus(tmp_path / "mine", rows, f"file_path,label,speaker_id,{column}")
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    said = [line for line in capsys.readouterr().out.splitlines() if "name" in line]
    either = "or that of a place or a thing: take it out where it is a person's"
    kind = "what may be a person's name (8 rows)"
    assert said == [f"{mine}/metadata.csv:{at}: {column} holds {kind}, {either}" for at in (2, 6)]
    assert (tmp_path / "out/clips.csv").read_text().count("Hospital Antônio Pedro") == 8


@pytest.mark.parametrize("column", ["Site", "device", "task"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("HC 529.982.247-25", "a CPF"),
        ("someone@example.org", "an e-mail address"),
        ("Maria Silva 12/05/1954", "a date of birth"),
        ("Ana Costa (11) 98765-4321", "a telephone number"),
    ],
)
def test_a6_a_place_may_not_hold_what_only_people_have(column: str, value: str, kind: str, tmp_path: Path) -> None:
    """One line a value however many rows have it; beside a name too."""
    rows = [f"{i}.wav,control,s{i},{value}" for i in range(9)]
    mine = corpus(tmp_path / "mine", rows, f"file_path,label,speaker_id,{column}")
    with pytest.raises(DataError) as error:
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    assert str(error.value) == f"{mine}/metadata.csv:2: {column.lower()} holds {kind} (9 rows); take it out"


def test_a6_counters_and_dates_of_recordings_are_no_personal_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`same_0001.wav` and `registro_0001.wav` say nothing; a date before 2000 is said, and goes on."""
    names = ("same_0001.wav", "registro_0001.wav", "recording-1990-05-12.wav", "midnight_2020-05-12.wav")
    mine = corpus(tmp_path / "mine", [f"{name},{i % 2},s{i % 2}" for i, name in enumerate(names)])
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    assert all(name in (tmp_path / "out/clips.csv").read_text() for name in names)
    said = [line for line in capsys.readouterr().out.splitlines() if "holds" in line]
    assert said == [
        f"{mine}/metadata.csv:4: file_path holds a date before 2000, of birth, or of the recording: rename the file "
        "where it is of birth"
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Maria Silva 1990-05-12.wav", "a date of birth"),
        ("nasc_1990-05-12.wav", "a date of birth"),
        ("p1_DN_12-05-2004.wav", "a date of birth"),
        ("SAME 123456.wav", "a hospital number"),
        ("prontuario_12345.wav", "a hospital number"),
        ("registro 123456.wav", "a hospital number"),
    ],
)
def test_a6_what_does_tell_of_a_person_still_stops_the_run(name: str, kind: str, tmp_path: Path) -> None:
    """A date beside a name, or beside the word for birth; and the numbers of hospitals."""
    mine = corpus(tmp_path / "mine", [f"{name},control,c1"])
    with pytest.raises(DataError, match=f":2: file_path holds {kind}; take it out, or set ingest.personal_data"):
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")


def test_a6_a_speaker_named_by_a_date_is_one_by_a_date_of_birth(tmp_path: Path) -> None:
    """Nobody is called by the day of a recording."""
    mine = corpus(tmp_path / "mine", [f"{i}.wav,control,p_1954-05-12" for i in range(3)])
    with pytest.raises(DataError, match=r":2: speaker_id holds a date of birth \(3 rows\); take it out, or set"):
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")


def test_a6_capitalised_words_in_a_file_s_name_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be a person's name or any others: a line without them, with both ways out, and the run goes on."""
    mine = corpus(tmp_path / "mine", ["Vogal Sustentada.wav,control,c1", "b.wav,patient,p1"])
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    said = [line for line in capsys.readouterr().out.splitlines() if "holds" in line]
    assert said == [
        f"{mine}/metadata.csv:2: file_path holds what may be a person's name, or other words: rename the file where it "
        "is a person's, or set ingest.personal_data=pseudonymise"
    ]


def test_a6_a_header_in_capitals_is_quoted() -> None:
    """``Nome Completo`` is a column, not a person; a CPF is none, not even as a header."""
    assert unread(["file_path", "label", "Tempo de Fala"]) == "'Tempo de Fala'"
    assert "529" not in unread(["file_path", "label", "529.982.247-25"])


@pytest.mark.ml_test_score("Data 5")
def test_other_columns_and_tags_are_reported_and_reach_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name of the column, by the form of its fields; in what encoding a tag may be."""
    name = b"\1" + "\ufeffCláudia de Almeida".encode("utf-16-le")
    artist = tag(b"TPE1" + len(name).to_bytes(4, "big") + b"\0\0" + name)
    rows = ["a.wav,control,c1,Ana Costa,12/05/1954", "b.wav,patient,p1,,"]
    mine = corpus(tmp_path / "mine", rows, "file_path,label,speaker_id,remark,nascimento", artist)
    ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
    came = everything(tmp_path / "out", capsys)
    assert "column remark: what may be a person's name in 1 rows: personal data, which reaches no output" in came
    assert "column nascimento: a date of birth in 1 rows" in came
    assert "tags hold personal data: what may be a person's name in 2 files; they reach no output" in came
    for secret in ("Costa", "1954", "Almeida", "Cl\xe1udia"):
        assert secret not in came


def found_tags(path: Path) -> set[str]:
    decoded = decode(path, P, P.max_seconds)
    assert not isinstance(decoded, Refusal), decoded
    return personal_tags(path, decoded.comments)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_the_comments_of_other_formats_are_looked_at(container: str, subtype: str, tmp_path: Path) -> None:
    """INFO of WAV, comments of FLAC and OGG; and a file without any tells nothing."""
    path = tmp_path / "a"
    with soundfile.SoundFile(path, "w", 8000, 1, subtype, format=container) as file:
        file.comment = "CPF 529.982.247-25"
        file.write(tones(8000))
    assert found_tags(path) == {"a CPF"}
    path.write_bytes(encoded(tones(8000), 8000, container, subtype))
    assert found_tags(path) == set()


def test_names_are_hashed_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files and speakers, accepted and refused, in tables, reasons and the log; one person stays one."""
    monkeypatch.setenv(KEY, SECRET)
    rows = [f"maria_silva_{i}.wav,patient,52998224725" for i in (1, 2)]
    mine = corpus(tmp_path / "mine", [*rows, "joao_souza.wav,control,Ze", "ana_lima.wav,control,"])
    (mine / "joao_souza.wav").write_bytes((mine / "ana_lima.wav").read_bytes())  # a copy: refused, and named
    ingest.run(RATE, HASHED, corpus=mine, out=tmp_path / "out/speech")
    ingest_noise.run(RATE, HASHED, noise_corpus=mine, out=tmp_path / "out/noise")
    came = everything(tmp_path / "out", capsys)
    clips, rejects = ((tmp_path / f"out/speech/{name}.csv").read_text() for name in ("clips", "rejects"))
    assert clips.count(pseudonym("52998224725", SECRET.encode())) == 2
    assert pseudonym("maria_silva_1.wav", SECRET.encode()) in clips
    assert f"duplicate,a copy of {pseudonym('joao_souza.wav', SECRET.encode())}" in rejects
    for secret in ("maria", "silva", "52998224725", "joao", "souza", "Ze,", "ana_lima", SECRET):
        assert secret not in came


def test_the_source_of_noise_may_be_a_place_and_no_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It reaches an output: capitals are warned of, a CPF is refused; in a column of the user's own it is not."""
    (mine := tmp_path / "noise").mkdir()
    written = "file_path,source,mine\na.wav,{},{}\n"
    (mine / "metadata.csv").write_text(written.format("Santa Casa", "52998224725"))
    refuse_personal(mine, hashed=False, used=NOISE_USED)
    said = capsys.readouterr().out
    assert "metadata.csv:2: source holds what may be a person's name, or that of a place or a thing" in said
    assert "column mine: a CPF in 1 rows: personal data, which reaches no output" in said
    (mine / "metadata.csv").write_text(written.format("52998224725", ""))
    with pytest.raises(DataError, match=r"metadata\.csv:2: source holds a CPF; take it out$"):
        refuse_personal(mine, hashed=False, used=NOISE_USED)


def test_two_keys_give_two_pseudonyms_and_one_key_the_same() -> None:
    """Nobody finds a CPF by hashing all of them without the key."""
    one, two = pseudonym("52998224725", b"a" * 16), pseudonym("52998224725", b"b" * 16)
    assert one == pseudonym("52998224725", b"a" * 16) != two
    assert len(one) == 16


@pytest.mark.parametrize("key", [None, "", "short"])
def test_a_hash_without_a_key_is_refused(key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read; the key itself is not printed."""
    monkeypatch.delenv(KEY, raising=False)
    if key is not None:
        monkeypatch.setenv(KEY, key)
    with pytest.raises(ParamError, match=f"a key of 16 bytes or more in the environment variable {KEY}, got") as error:
        ingest.run(RATE, HASHED, corpus=tmp_path, out=tmp_path / "out")
    assert "short" not in str(error.value)


def test_messages_about_a_bad_table_do_not_repeat_it(tmp_path: Path) -> None:
    """A name in the column of labels, or in a path outside the folder."""
    mine = corpus(tmp_path / "mine", ["a.wav,Maria Silva,c1"])
    with pytest.raises(
        DataError, match=r"label must be patient or control .*got \(what may be a person's name, not sh"
    ):
        ingest.run(RATE, P, corpus=mine, out=tmp_path / "out")
