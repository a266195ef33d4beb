"""`spira feedback`: a server's log or a folder, joined with what is known, to files, an exit code and a corpus."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import numpy as np
import polars as pl
import pytest

from promised_package import write_promised
from sounds import encoded, tones
from spira.base.errors import DataError
from spira.base.params import load
from spira.commands import feedback as command
from spira.commands.spira import run
from spira.ingest.acceptance import IngestParams
from spira.ingest.mono import read_mono
from spira.population.people import Answered, AnsweredRecording
from spira.registry import served
from spira.scorer.contents import SUMS, sums
from spira.stages import ingest
from tiny import ROOT

PROMISE = [0.9] * 90 + [0.1] * 10, [0.1] * 90 + [0.9] * 10
WORDS = ("control", "patient")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_promised(tmp_path_factory.mktemp("promised"), *PROMISE)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)


def name_of(package: Path) -> str:
    return sha256((package / SUMS).read_bytes()).hexdigest()


def inference(i: int) -> str:
    return f"{i:032x}"


def digest(i: int) -> str:
    return f"{i + 2**200:064x}"


def line(i: int, score: float | None, package: str) -> str:
    one = dict.fromkeys(AnsweredRecording.model_fields) | {"task": "sentence", "score": score}
    one |= {"digest": digest(i)} if score else {"refused": "silent"}
    answered = {
        "schema_version": 1,
        "package": package,
        "inference": inference(i),
        "day": "2026-10-01",
        "score": score,
        "diagnosis": "inconclusive",
        "recordings": [one],
    }
    return Answered.model_validate(answered).model_dump_json() + "\n"


def write_log(path: Path, scores: Sequence[float | None], package: str) -> Path:
    path.write_text("".join(line(i, score, package) for i, score in enumerate(scores)))
    return path


def write_feedback(labels: Sequence[int], name: Callable[[int], str] = inference) -> Path:
    path = Path("feedback.csv")
    rows = "".join(f"{name(i)},{WORDS[label]},2026-10-20,PCR\n" for i, label in enumerate(labels))
    path.write_text("id,label,known_on,source\n" + rows)
    return path


def answers(sensitivity: float, n: int = 100) -> tuple[list[float | None], list[int]]:
    """Patients first, then controls, of whom nine in ten are answered rightly."""
    right = round(sensitivity * n), round(0.9 * n)
    scores = [0.9] * right[0] + [0.2] * (n - right[0]) + [0.2] * right[1] + [0.9] * (n - right[1])
    return list(scores), [1] * n + [0] * n


def asked(package: Path, *arguments: str) -> int:
    return run(["feedback", "feedback.csv", "--package", str(package), *arguments])


@pytest.mark.parametrize("by", [inference, digest])
def test_a_kept_promise_is_0_and_a_broken_one_3(
    package: Path, by: Callable[[int], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the id of the answer or by the digest of the recording, which find the same people."""
    for sensitivity, code, verdict in ((0.9, 0, "as promised"), (0.5, 3, "below its promise")):
        scores, labels = answers(sensitivity)
        log = write_log(Path("log.jsonl"), scores, name_of(package))
        write_feedback(labels, by)
        assert asked(package, "--log", str(log), "--json") == code
        found = json.loads(capsys.readouterr().out)
        assert (found["verdict"], found["package"]) == (verdict, name_of(package))
        assert found["counts"]["labelled_patients"] == 100
        assert found["performance"]["metrics"]["sensitivity"]["used"]["value"] == sensitivity


def test_three_files_say_the_same(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, Markdown, which is printed too, and a page that opens from disk, with its pictures."""
    scores, labels = answers(0.5)
    log = write_log(Path("log.jsonl"), scores, name_of(package))
    write_feedback(labels)
    assert asked(package, "--log", str(log), "--out", "monitoring/today") == 3
    printed = capsys.readouterr()
    assert "feedback.html: for people" in printed.err
    text = {path.suffix: path.read_text() for path in Path("monitoring/today").iterdir()}
    found = json.loads(text[".json"])
    assert list(found)[:4] == ["schema_version", "package", "day", "verdict"]
    assert text[".md"] == printed.out
    assert "**below its promise**" in text[".md"]
    assert "| sensitivity | 0.900 [" in text[".md"]
    assert 'class="verdict fail"' in text[".html"]
    assert text[".html"].count("<svg") == 2
    assert "http" not in text[".html"].replace("http://www.w3.org", "")
    assert not [name for i in range(200) for name in (inference(i), digest(i)) if name in "".join(text.values())]


def test_without_a_label_or_with_one_side_alone_it_is_4(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, labels = answers(0.9)
    log = write_log(Path("log.jsonl"), scores, name_of(package))
    write_feedback(labels, lambda i: inference(i + 1000))
    assert asked(package, "--log", str(log)) == 4
    said = capsys.readouterr().out
    assert "The truth is known of 0 patients and 0 controls" in said
    assert "| ids in the feedback of nobody who was answered | 200 |" in said


def test_another_packages_answers_are_counted_and_not_judged(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, labels = answers(0.9)
    log = write_log(Path("log.jsonl"), [*scores, None], name_of(package))
    with log.open("a") as file:
        file.writelines(line(1000 + i, 0.1, "e" * 64) for i in range(40))
    write_feedback([*labels, *[1] * 300])
    with Path("feedback.csv").open("a") as file:
        file.writelines(f"{digest(1000 + i)},patient,2026-10-20,\n" for i in range(40))
    assert asked(package, "--log", str(log), "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["answered"], counts["without_score"], counts["other_packages_answers"]) == (200, 1, 40)
    assert counts["other_packages_ids"] == 40
    assert counts["unknown_ids"] == 299  # one of the others is of whom every recording was refused


def test_a_request_that_was_sent_twice_is_one_person(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy has an id of its own; feedback by both counts once."""
    scores, labels = answers(0.9)
    log = write_log(Path("log.jsonl"), scores, name_of(package))
    copy = json.loads(line(0, 0.9, name_of(package))) | {"inference": inference(5000)}
    with log.open("a") as file:
        file.write(json.dumps(copy) + "\n")
    write_feedback(labels)
    with Path("feedback.csv").open("a") as file:
        file.write(f"{inference(5000)},patient,2026-10-20,\n{digest(0)},1,2026-10-21,\n")
    assert asked(package, "--log", str(log), "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["answered"], counts["labelled_patients"], counts["repeated_answers"]) == (200, 100, 1)
    write_feedback(labels)
    with Path("feedback.csv").open("a") as file:
        file.write(f"{inference(5000)},control,2026-10-20,\n")
    with pytest.raises(DataError, match="about one person and must have one label"):
        asked(package, "--log", str(log))


def test_people_of_the_corpus_that_lies_here_are_left_out(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The training's own corpus keeps any promise; by the digests of data/clips/clips.csv, though they came by id."""
    scores, labels = answers(0.9)
    log = write_log(Path("log.jsonl"), scores, name_of(package))
    write_feedback(labels)
    Path("data/clips").mkdir(parents=True)
    digests = "".join(f"c{i},{digest(i)}\n" for i in range(200))
    Path("data/clips/clips.csv").write_text("clip_id,digest\n" + digests)
    assert asked(package, "--log", str(log)) == 4
    said = capsys.readouterr().out
    assert "200 people are of the corpus in data/clips, whom the model may have been trained on, and are left" in said
    assert "| people of the corpus in data/clips, who are left out | 200 |" in said
    Path("data/clips/clips.csv").write_text(f"clip_id,digest\nc0,{digest(0)}\nx,{'f' * 64}\n")
    assert asked(package, "--log", str(log), "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["in_corpus"], counts["labelled_patients"], counts["answered"]) == (1, 99, 199)


def test_a_log_that_cannot_be_read_is_refused_by_its_line(package: Path) -> None:
    log = write_log(Path("log.jsonl"), [0.5, 0.6], name_of(package))
    log.write_text(log.read_text().replace('"score":0.6', '"score":NaN', 1))
    write_feedback([1, 0])
    with pytest.raises(DataError, match=r"log\.jsonl:2"):
        asked(package, "--log", str(log))


def test_a_package_without_a_promise_or_with_a_changed_file_is_refused(package: Path, tmp_path: Path) -> None:
    log = write_log(Path("log.jsonl"), [0.5], name_of(package))
    write_feedback([1])
    changed = copytree(package, tmp_path / "changed")
    (changed / "reference.json").write_text('{"promise": {"patients": [0.1], "controls": [0.9]}}')
    with pytest.raises(DataError, match=r"not what was packaged: reference\.json"):
        asked(changed, "--log", str(log))


@pytest.mark.parametrize("patients", [[float("nan")], [2], ["a"], [None], None, []])
def test_a_package_that_promises_nothing_is_refused(package: Path, tmp_path: Path, patients: object) -> None:
    log = write_log(Path("log.jsonl"), [0.5], name_of(package))
    write_feedback([1])
    other = copytree(package, tmp_path / "other")
    reference = json.loads((other / "reference.json").read_text())
    (other / "reference.json").write_text(json.dumps(reference | {"promise": {"patients": patients, "controls": [0]}}))
    (other / SUMS).write_text(sums(other))
    with pytest.raises(DataError, match=r"promise"):
        asked(other, "--log", str(log))


def test_a_model_of_the_registry_is_judged_by_its_own_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that was asked goes to the process in which its own code scores, and its exit code comes back."""
    given = list[tuple[object, ...]]()

    def run_there(*arguments: object) -> tuple[int, str]:
        given.append(arguments)
        return 3, "said there\n"

    monkeypatch.setattr(served, "brought", lambda _root, name, _remote: Path(f"packages/{name}"))
    monkeypatch.setattr(served, "run", run_there)
    monkeypatch.setattr(command, "repository_root", lambda: Path())
    write_feedback([1])
    arguments = ["feedback", "feedback.csv", "--model", "champion", "--recordings", "new", "--out", "o", "--json"]
    assert run(arguments) == 3
    assert capsys.readouterr().out == "said there\n"
    asked_there = ["--recordings", "new", "--out", "o", "--json", "--", "feedback.csv"]
    assert given == [(Path("packages/champion"), "feedback", asked_there)]


@pytest.mark.parametrize(
    "arguments", [[], ["--log", "a", "--recordings", "b"], ["--to-corpus", "c"], ["--to-corpus", "c", "--log", "a"]]
)
def test_what_was_answered_must_be_said_once(package: Path, arguments: list[str]) -> None:
    write_feedback([1])
    assert asked(package, *arguments) == 2


def recorded(folder: Path, n: int, *, metadata: bool = True) -> list[str]:
    """``n`` recordings under a hospital's names, each with its own sound; their digests by the package's own way."""
    folder.mkdir()
    rows, digests = ["file_path,speaker_id,task,recorded_on,prontuario"], list[str]()
    p = load("ingest", IngestParams, path=ROOT / "params.yaml")
    for i in range(n):
        rng = np.random.default_rng(i)
        samples = (tones(44_100) * rng.uniform(0.3, 0.9) + 0.01 * rng.standard_normal((66_150, 1))).astype(np.float32)
        path = folder / f"1600000000_HC_{8675300 + i}_S.wav"
        path.write_bytes(encoded(samples, 44_100, "WAV", "PCM_16"))
        rows.append(f"{path.name},s{i // 2},sentence,2026-10-0{i % 9 + 1},{8675300 + i}")
        mono = read_mono(path, 16_000, p)
        digests.append(sha256(mono.waveform.data).hexdigest())  # type: ignore[union-attr]
    if metadata:
        (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return digests


def test_recordings_are_scored_now_and_joined_by_their_digest(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two recordings a speaker are one person; without a table each is its own, which is said."""
    digests = recorded(Path("new"), 6)
    (Path("new") / "note.txt").write_text("no sound")
    Path("feedback.csv").write_text(
        "id,label,known_on\n" + "".join(f"{name},{i // 2 % 2},2026-10-20\n" for i, name in enumerate(digests))
    )
    assert asked(package, "--recordings", "new", "--json") == 4
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["answered"], counts["labelled_patients"], counts["labelled_controls"]) == (3, 1, 2)
    Path("new/metadata.csv").unlink()
    assert asked(package, "--recordings", "new", "--json") == 4
    said = capsys.readouterr()
    counts = json.loads(said.out)["counts"]
    assert (counts["answered"], counts["labelled_patients"], counts["without_score"]) == (6, 2, 1)
    assert "each of 7 files counts as a person of its own" in said.err


def test_feedback_becomes_a_corpus_that_ingest_accepts_without_a_hospitals_names(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One step; files are named by their digest, the hospital's numbers stay behind, and again changes nothing."""
    digests = recorded(Path("new"), 16)
    (Path("new") / "extra.wav").write_bytes(b"")
    with Path("new/metadata.csv").open("a") as file:
        file.write("extra.wav,s9,sentence,,\n")
    labelled = digests[:14:2]  # one recording of a speaker is enough for both
    Path("feedback.csv").write_text(
        "id,label,known_on\n" + "".join(f"{name},{WORDS[i % 2]},2026-10-20\n" for i, name in enumerate(labelled))
    )
    out = Path("data/raw/returned")
    assert asked(package, "--recordings", "new", "--to-corpus", str(out)) == 0
    said = capsys.readouterr().out
    assert "14 recordings added" in said
    assert "new: 1 of 17 files cannot be used, and are left out" in said
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"metadata.csv", *(f"{name}.wav" for name in digests[:14])}
    text = before["metadata.csv"].decode()
    assert text.startswith("file_path,label,speaker_id,recorded_on,task\n")
    assert "86753" not in text
    assert "HC" not in text
    ingest.run(16_000, load("ingest", IngestParams), corpus=out, out=Path("clips"), n_workers=1)
    clips = pl.read_csv("clips/clips.csv")
    assert sorted(clips["digest"]) == sorted(digests[:14])
    assert clips["digest"].to_list() == [name.removesuffix(".wav") for name in clips["clip_id"]]
    assert dict(clips.group_by("label").len().rows()) == {0: 8, 1: 6}
    assert clips["speaker_id"].n_unique() == 7
    assert asked(package, "--recordings", "new", "--to-corpus", str(out)) == 0
    assert "0 recordings added; 14 were there already" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_labelled_recordings_are_added_to_a_corpus_that_is_there(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its columns, by the names that it has, with its semicolons; what it cannot hold is said."""
    digests = recorded(Path("new"), 4)
    out = Path("mine")
    out.mkdir()
    (out / "metadata.csv").write_text("Label;file_path;sexo\n1;a.wav;F")
    Path("feedback.csv").write_text(f"id,label,known_on\n{digests[0]},control,2026-10-20\n")
    assert asked(package, "--recordings", "new", "--to-corpus", "mine") == 0
    assert "2 recordings added; its table lacks the columns recorded_on, speaker_id, task" in capsys.readouterr().out
    expected = ["Label;file_path;sexo", "1;a.wav;F", *(f"control;{name}.wav;" for name in digests[:2])]
    assert (out / "metadata.csv").read_text().splitlines() == expected
    Path("feedback.csv").write_text(f"id,label,known_on\n{digests[0]},patient,2026-10-20\n")
    with pytest.raises(DataError, match="with another label than the feedback"):
        asked(package, "--recordings", "new", "--to-corpus", "mine")


def test_an_inference_id_stands_for_the_recordings_of_its_answer(package: Path) -> None:
    """Without a table nobody says that two recordings are of one person; the log does, and they get one speaker."""
    digests = recorded(Path("new"), 4, metadata=False)
    one = json.loads(line(0, 0.9, name_of(package)))
    one["recordings"] = [one["recordings"][0] | {"digest": name} for name in digests[:2]]
    Path("log.jsonl").write_text(json.dumps(one) + "\n")
    write_feedback([1])
    assert asked(package, "--recordings", "new", "--log", "log.jsonl", "--to-corpus", "out") == 0
    speaker = f"p{min(digests[:2])[:16]}"
    expected = ["file_path,label,speaker_id", *(f"{name}.wav,patient,{speaker}" for name in digests[:2])]
    assert sorted(Path("out/metadata.csv").read_text().splitlines()) == sorted(expected)


def test_a_name_in_speaker_id_is_refused_and_not_shown(package: Path) -> None:
    digests = recorded(Path("new"), 2)
    table = Path("new/metadata.csv")
    table.write_text(table.read_text().replace(",s0,", ",Maria Oliveira,"))
    Path("feedback.csv").write_text(f"id,label,known_on\n{digests[0]},control,2026-10-20\n")
    with pytest.raises(DataError, match="speaker_id of recordings to be added seem to hold personal data") as error:
        asked(package, "--recordings", "new", "--to-corpus", "out")
    assert "Oliveira" not in str(error.value)
    assert not Path("out").exists()


def test_one_sound_under_two_speakers_is_one_person_and_no_training_data(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = recorded(Path("new"), 3)
    names = sorted(path.name for path in Path("new").glob("*.wav"))
    (Path("new") / names[2]).write_bytes((Path("new") / names[0]).read_bytes())
    Path("feedback.csv").write_text(f"id,label,known_on\n{digests[0]},control,2026-10-20\n")
    asked(package, "--recordings", "new")
    assert "1 share a recording with another, and count as the same person" in capsys.readouterr().err
    with pytest.raises(DataError, match="is there under two speaker_ids"):
        asked(package, "--recordings", "new", "--to-corpus", "out")
