"""The package's answer: the pipeline's own score, by every way in, whatever is brought."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_audio import crafted, mutated
from packaged import MODELS, Packaged
from sounds import pcm, tones, wav
from spira.base.errors import DataError
from spira.scorer.answer import TOLERANCE, Band, Refused, agree, answer
from spira.scorer.contents import SUMS, sums
from spira.scorer.pyfunc import NOTHING, SpiraModel
from spira.scorer.scorer import Scorer

PARITY = 1e-6
SCORES = st.floats(0, 1)


@pytest.fixture(scope="module")
def scorers(packaged: Packaged) -> Iterator[dict[str, Scorer]]:
    loaded = {model: Scorer(packaged.package(model)) for model in MODELS}
    yield loaded
    for scorer in loaded.values():
        scorer.close()


@pytest.fixture
def scorer(scorers: dict[str, Scorer]) -> Scorer:
    return scorers["statistics"]


@pytest.mark.ml_test_score("Monitoring 3")
@pytest.mark.parametrize("model", MODELS)
def test_each_test_clip_gets_the_score_of_the_pipeline(
    packaged: Packaged, scorers: dict[str, Scorer], model: str
) -> None:
    """From the file as it was brought, and from its bytes: what predict wrote of clean clips, the mean over seeds."""
    table = pl.read_csv(packaged.root / "data/predictions.csv").filter(model=model, subset="test", condition="clean")
    expected = dict(table.group_by("clip_id").agg(pl.col("score").mean()).rows())
    assert len(expected) == 6
    for clip, score in expected.items():
        path = packaged.recordings / clip
        for source in (path, path.read_bytes()):
            assert abs(scorers[model].score(source) - score) <= PARITY


def test_the_threshold_is_the_ensembles_own(packaged: Packaged, scorers: dict[str, Scorer]) -> None:
    """Chosen among the mean scores of validation clips, by Youden's index, computed here by hand."""
    table = pl.read_csv(packaged.root / "data/predictions.csv").filter(
        model="pooled_cnn", subset="validation", condition="noisy"
    )
    clips = table.group_by("clip_id").agg(pl.col("score").mean(), pl.col("label").first())
    scores, labels = clips["score"].to_numpy(), clips["label"].to_numpy()
    youden = [np.mean(scores[labels == 1] >= t) - np.mean(scores[labels == 0] >= t) for t in scores]
    best = max(t for t, value in zip(scores, youden, strict=True) if value > max(youden) - 1e-9)
    assert scorers["pooled_cnn"].manifest.threshold == pytest.approx(best, abs=1e-12)
    assert scorers["pooled_cnn"].manifest.members == ("1", "2")


def test_the_code_of_a_package_scores_by_itself(packaged: Packaged, scorer: Scorer) -> None:
    """Nothing of the repository, and no numba: as MLflow loads it, in a process of its own; no file is written."""
    folder, path = packaged.package("statistics"), packaged.recordings / "clip_06.wav"
    before = sorted(folder.rglob("*"))
    program = """
import sys
sys.modules["numba"] = None
from pathlib import Path
from spira.scorer.pyfunc import _load_pyfunc
import spira
assert Path(spira.__file__).is_relative_to(sys.argv[1]), spira.__file__
print(_load_pyfunc(sys.argv[1]).predict([{}, {"said": {"content": Path(sys.argv[2]).read_bytes()}}]))
"""
    environment = {**os.environ, "PYTHONPATH": str(folder / "code"), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program, folder, path],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    ((score,), diagnosis) = eval(ran.stdout)
    assert score == pytest.approx(scorer.score(path), abs=PARITY)
    assert diagnosis == scorer({"said": path}).diagnosis
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
@pytest.mark.parametrize(
    "name", ["models/0/weights.safetensors", "code/spira/scorer/scorer.py", "evidence/probes.json"]
)
def test_a_package_that_is_not_whole_is_refused(packaged: Packaged, tmp_path: Path, name: str, change: str) -> None:
    folder = copytree(packaged.package("statistics"), tmp_path / "package")
    path = folder / name
    if change == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    elif change == "added":
        path = path.with_name("more.py")
        path.write_text("")
    else:
        path.unlink()
    with pytest.raises(DataError, match=f"not what was packaged: {path.relative_to(folder)}; take the package anew"):
        Scorer(folder)


def test_a_golden_recording_with_another_score_refuses_to_start(packaged: Packaged, tmp_path: Path) -> None:
    """As on a machine that computes otherwise: the package is whole, and its scores are not those of its making."""
    folder = copytree(packaged.package("statistics"), tmp_path / "package")
    answers = folder / "golden/answers.json"
    answers.write_text(answers.read_text().replace('"silent"', "0.5"))
    (folder / SUMS).write_text(sums(folder))
    with pytest.raises(DataError, match=r"muted.wav: must give 0.5, as where the package was made, and gives silent"):
        Scorer(folder)


@pytest.mark.parametrize(
    ("expected", "got", "alike"),
    [
        (0.5, 0.5 + 0.9 * TOLERANCE, True),
        (0.5, 0.5 + 1.1 * TOLERANCE, False),
        (1 - 1e-7, 1 - 2e-7, False),  # one millionth apart is nothing at 0.5, and twice as sure here
        (0.5, "silent", False),
        ("silent", "silent", True),
        (0.5, None, False),
    ],
)
def test_what_agrees_with_a_golden_answer(expected: float | str, got: float | str | None, alike: bool) -> None:
    assert agree(expected, got) is alike


def test_where_there_is_no_package_the_message_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SHA256SUMS: No such file or directory; a package is the folder that"):
        Scorer(tmp_path)
    (tmp_path / "README.md").write_text("Nothing is deployed")
    with pytest.raises(DataError, match=r"SHA256SUMS: No such file or directory; see .*README.md"):
        Scorer(tmp_path)


def test_bad_files_are_refused_with_their_code_and_never_raise(scorer: Scorer, tmp_path: Path) -> None:
    """The suite's crafted files and some mutations, as bytes, and some as paths: the same answer, a score or a code."""
    files = [one.write(tmp_path / str(i)) for i, one in enumerate(crafted()) if isinstance(one.made, bytes)]
    for name, content in mutated(40, seed=0):
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    assert len(files) > 100
    for i, path in enumerate(files):
        by_bytes = scorer.score(path.read_bytes())
        assert isinstance(by_bytes, Refused) or 0 <= by_bytes <= 1
        if i % 5 == 0:
            by_path = scorer.score(path)
            assert getattr(by_path, "code", by_path) == getattr(by_bytes, "code", by_bytes)


def test_a_defect_shows_no_voice(scorer: Scorer, monkeypatch: pytest.MonkeyPatch, packaged: Packaged) -> None:
    """Whatever breaks in a decoder, its note names no byte of the recording; and the service gets its two values."""
    sound = b"a voice" * 1000
    guard = scorer._decoders._guard
    monkeypatch.setattr("spira.scorer.decoders.read_mono", lambda *_: 1 / 0)
    guard._all[0].restart()  # forked with the defect
    with pytest.raises(ZeroDivisionError) as raised:
        scorer.score(sound)
    assert "a voice" not in "".join(raised.value.__notes__)
    assert SpiraModel(scorer).predict([{}, {"frase": {"content": sound}}]) == NOTHING
    monkeypatch.undo()
    guard._all[0].restart()
    assert isinstance(scorer.score(packaged.recordings / "clip_06.wav"), float)


def test_the_decoders_end_with_a_process_that_is_killed(packaged: Packaged) -> None:
    """kill -9 of a server leaves nothing behind; nor does an end without close, which would wait for ever."""
    program = """
import sys, time
from pathlib import Path
from spira.scorer.scorer import Scorer
scorer = Scorer(Path(sys.argv[1]), 2)
print(*(worker._process.pid for worker in scorer._decoders._guard._all), flush=True)
if sys.argv[2] == "stays":
    time.sleep(600)
"""
    for how in ("stays", "ends"):
        asked = [sys.executable, "-c", program, str(packaged.package("statistics")), how]
        with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            decoders = [int(pid) for pid in server.stdout.readline().split()]
            if how == "stays":
                server.kill()
            server.wait(timeout=60)
        until = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in decoders) and time.monotonic() < until:
            time.sleep(0.1)
        assert len(decoders) == 2
        assert not [pid for pid in decoders if Path(f"/proc/{pid}").exists()]


def test_a_killed_decoder_costs_nobody_an_answer(packaged: Packaged, scorer: Scorer) -> None:
    path = packaged.recordings / "clip_06.wav"
    before = scorer.score(path)
    os.kill(scorer._decoders._guard._all[0]._process.pid, signal.SIGKILL)
    assert scorer.score(path) == before


def test_a_recording_of_another_task_has_no_score_where_names_are_tasks(packaged: Packaged, scorer: Scorer) -> None:
    """SPIRA's fields, of which the model knows two; names that are no task's say nothing, and are scored."""
    path = packaged.recordings / "clip_06.wav"
    trained = scorer.manifest.model_copy(update={"tasks": ("frase", "parlenda")})
    scorer_of_tasks = object.__new__(Scorer)
    scorer_of_tasks.__dict__.update(scorer.__dict__, manifest=trained)
    found = scorer_of_tasks({"frase": path, "sustentada": path})
    assert [one.refused and one.refused.code for one in found.recordings] == [None, "task"]
    assert "trained on frase and parlenda alone" in str(found.recordings[1].refused)
    assert found.score == found.recordings[0].score
    assert all(one.refused is None for one in scorer_of_tasks({"one.wav": path}).recordings)


@given(threshold=SCORES, width=SCORES, score=SCORES)
def test_the_band_is_open_and_the_threshold_is_positive(threshold: float, width: float, score: float) -> None:
    said = Band(threshold, width).diagnosis(score)
    inside = abs(score - threshold) < width / 2
    assert said == ("inconclusive" if inside else "positive" if score >= threshold else "negative")
    assert Band(threshold, 0.0).diagnosis(threshold) == "positive"
    assert Band(threshold, width).diagnosis(None) == "inconclusive"


@given(scores=st.lists(st.one_of(SCORES, st.none()), min_size=1, max_size=5))
def test_a_persons_score_is_the_mean_of_what_was_not_refused(scores: list[float | None]) -> None:
    scored = {str(i): Refused(code="silent", reason="") if s is None else s for i, s in enumerate(scores)}
    found, known = answer(scored, Band(0.5, 0.1), "hash"), [s for s in scores if s is not None]
    assert found.score == (pytest.approx(np.mean(known)) if known else None)
    assert found.diagnosis == Band(0.5, 0.1).diagnosis(found.score)
    assert [one.name for one in found.recordings] == list(scored)


FILES = ("aceite", "sustentada", "parlenda", "frase")


def test_spiras_service_gets_its_two_values(scorer: Scorer) -> None:
    """Stereo at 44.1 kHz and 3.2 s, each named .wav; what was not made has no bytes; metadata change nothing."""
    sound = wav(pcm(tones(44_100, 2, 3.2)), rate=44_100, n_channels=2)
    files = {name: {"content": sound, "filename": f"{name}.wav"} for name in FILES}
    files["sustentada"]["content"] = b""
    model = SpiraModel(scorer)
    scores, diagnosis = model.predict([{"hospitalized": True}, files])
    assert len(scores) == 3
    assert all(type(score) is float for score in scores)
    assert diagnosis in ("positive", "negative", "inconclusive")
    for metadata in ({}, {"respiratory_insufficiency_status": 1}, {"respiratory_insufficiency_status": 0}, None):
        assert model.predict([metadata, files]) == (scores, diagnosis)


@pytest.mark.parametrize("asked", [None, [], [{}], [{}, None], [{}, {"frase": {}}], [{}, {"frase": {"content": 3.5}}]])
def test_what_is_no_request_is_inconclusive(scorer: Scorer, asked: object) -> None:
    assert SpiraModel(scorer).predict(asked) == NOTHING


def test_no_recording_at_all_is_inconclusive(scorer: Scorer) -> None:
    assert SpiraModel(scorer).predict([{}, {}]) == NOTHING
    assert SpiraModel(scorer).predict([{}, {"frase": {"content": b""}}]) == NOTHING
