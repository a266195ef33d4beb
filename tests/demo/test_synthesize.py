"""The demo corpus: the same bytes, two classes that differ in what is declared, and nothing that tells them apart."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import parselmouth
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray
from ruamel.yaml import YAML
from scipy import stats
from sklearn.metrics import roc_auc_score

from spira.base.errors import DataError
from spira.base.params import check, load
from spira.demo import speech as praat
from spira.demo.people import (
    TASKS,
    TEXTS,
    VOICES,
    Label,
    LogNormal,
    Speaker,
    Stream,
    SynthesizeParams,
    attainable_auc,
    draw_speaker,
    draw_utterance,
)
from spira.demo.sounds import KINDS, ward_noise
from spira.stages.synthesize import run

ROOT = Path(__file__).parents[2]
COMMITTED = load("synthesize", SynthesizeParams, path=ROOT / "params.yaml")
SMALL = {"n_speakers": 8, "n_noises": 4, "noise_seconds": {"low": 1.0, "high": 2.0}}


def changed(**changes: object) -> SynthesizeParams:
    return SynthesizeParams(**{**COMMITTED.model_dump(), **SMALL, **changes})


def synthesized(params: SynthesizeParams, folder: Path) -> Path:
    run(params, speech=folder / "demo", noise=folder / "demo_noise")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clips(folder: Path, label: str) -> list[str]:
    table = pl.read_csv(folder / "demo/metadata.csv")
    return table.filter(pl.col("label") == label)["file_path"].to_list()


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed corpus with 8 speakers, ward noise behind the patients."""
    return synthesized(changed(ward_noise_in_patients=True), tmp_path_factory.mktemp("on"))


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with ward noise behind nobody."""
    return synthesized(changed(ward_noise_in_patients=False), tmp_path_factory.mktemp("off"))


@pytest.fixture(scope="module")
def fewer(on: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers, written where the corpus of eight was."""
    folder = tmp_path_factory.mktemp("fewer")
    shutil.copytree(on, folder, dirs_exist_ok=True)
    return synthesized(changed(n_speakers=4, ward_noise_in_patients=True), folder)


@pytest.fixture(scope="module")
def people() -> list[Speaker]:
    """Enough of the committed speakers to see a difference between the classes where there is one."""
    return [draw_speaker(COMMITTED, number) for number in range(2000)]


def test_same_parameters_give_the_same_bytes_in_any_process(on: Path, tmp_path: Path) -> None:
    """A forced rerun leaves dvc.lock as it was, whatever the process that ran it had said before."""
    praat.speak("bom dia", voice="Male1", words_per_minute=175, pitch_semitones=0, pitch_range=1)
    params = {"synthesize": changed(ward_noise_in_patients=True).model_dump(mode="json")}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "spira.stages.synthesize"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)
    assert contents(tmp_path / "data/raw") == contents(on)


def test_another_seed_gives_other_recordings(on: Path, tmp_path: Path) -> None:
    """The seed reaches every clip and every noise: no two files of the same name agree."""
    other = contents(synthesized(changed(seed=COMMITTED.seed + 1, n_speakers=4), tmp_path))
    before = contents(on)
    sounds = [name for name in other if name.endswith(".wav")]
    assert len(sounds) == 4 * 2 + 4
    assert not [name for name in sounds if other[name] == before[name]]


def test_more_speakers_leave_the_first_ones_as_they_were(on: Path, fewer: Path) -> None:
    """A larger demo is the smaller one and more, to the byte."""
    less, more = contents(fewer), contents(on)
    sounds = [name for name in less if name.endswith(".wav")]
    assert sounds == [name for name in sounds if less[name] == more[name]]


def test_a_corpus_that_was_there_before_leaves_nothing_behind(fewer: Path) -> None:
    """A smaller corpus in the place of a larger one holds no recording of the larger."""
    table = pl.read_csv(fewer / "demo/metadata.csv")
    assert {path.name for path in (fewer / "demo").glob("*.wav")} == set(table["file_path"])
    assert len(table) == 4 * len(TASKS)


def test_recordings_that_it_did_not_make_are_not_touched(tmp_path: Path) -> None:
    """A folder of somebody's own recordings is refused by name, never emptied."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/patient.wav").write_bytes(b"cannot be recorded again")
    with pytest.raises(DataError, match="demo: must be empty or written by synthesize, got other files"):
        synthesized(changed(), tmp_path)
    assert (tmp_path / "demo/patient.wav").read_bytes() == b"cannot be recorded again"


def test_every_recording_can_be_read_and_is_not_clipped(on: Path) -> None:
    """16-bit mono WAV at one of the rates asked for, as loud as asked for, with nothing cut off."""
    peak = COMMITTED.speech_peak
    for name in clips(on, "patient") + clips(on, "control"):
        about = soundfile.info(on / "demo" / name)
        waveform, _ = soundfile.read(on / "demo" / name)
        assert (about.format, about.subtype, about.channels) == ("WAV", "PCM_16", 1)
        assert about.samplerate in COMMITTED.sample_rates
        assert 3.5 < about.duration < 20
        # 0.07: what ward noise, breath and resampling add to the loudest sample, or take from it
        assert peak.low - 0.07 < np.abs(waveform).max() < min(peak.high + 0.07, 0.95)


def test_pauses_are_not_digital_zeros(on: Path) -> None:
    """A run of zeros would tell a pause from speech by the file's format alone."""
    for name in clips(on, "patient") + clips(on, "control"):
        waveform, _ = soundfile.read(on / "demo" / name, dtype="int16")
        stretches = waveform[: len(waveform) // 100 * 100].reshape(-1, 100)  # 2 to 6 ms
        assert stretches.any(axis=1).all()


def test_ward_noise_is_all_that_the_confounder_adds(on: Path, off: Path) -> None:
    """Controls are the same to the byte; patients differ by a sound as loud as params.yaml says."""
    for name in clips(on, "control"):
        assert (on / "demo" / name).read_bytes() == (off / "demo" / name).read_bytes()
    for name in clips(on, "patient"):
        with_ward, rate = soundfile.read(on / "demo" / name)
        without, _ = soundfile.read(off / "demo" / name)
        peak = np.abs(with_ward - without).max()
        # A rate below the synthesizer's loses the top of a knock, so the peak may fall by up to half.
        assert COMMITTED.ward_noise_peak.low / 2 < peak < COMMITTED.ward_noise_peak.high * 1.1, rate


def test_noise_folder_holds_every_kind(on: Path) -> None:
    """Four kinds take turns, each recording sounding, at the peak asked for, and unlike the others."""
    table = pl.read_csv(on / "demo_noise/metadata.csv")
    assert table["description"].to_list() == [f"{kind} (synthetic)" for kind in KINDS]
    for name in table["file_path"]:
        waveform, _ = soundfile.read(on / "demo_noise" / name)
        assert np.abs(waveform).max() == pytest.approx(COMMITTED.noise_peak, rel=0.5)  # resampled knocks
        assert 0.01 < waveform.std() < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_ward_noise_has_the_peak_asked_for(kind: str) -> None:
    """Peak and length hold for each kind, and another generator gives another recording."""
    sounds = [ward_noise(kind, 22050, 22050, 0.02, np.random.default_rng(seed)) for seed in (0, 1)]
    assert [len(sound) for sound in sounds] == [22050, 22050]
    assert [np.abs(sound).max() for sound in sounds] == pytest.approx([0.02, 0.02])
    assert abs(np.corrcoef(sounds[0], sounds[1])[0, 1]) < 0.5


def test_no_two_purposes_share_a_generator() -> None:
    """The noise folder would otherwise hold the very wards behind the patients."""
    assert len({stream.value for stream in Stream.__members__.values()}) == len(Stream.__members__)


@pytest.mark.parametrize("n_speakers", [4, 8, 160])
def test_labels_and_sexes_are_balanced(people: list[Speaker], n_speakers: int) -> None:
    """As many women as men among patients and among controls, at every size."""
    cells = Counter((person.label, person.sex) for person in people[:n_speakers])
    assert set(cells.values()) == {n_speakers // 4}
    assert len(cells) == 4


def test_age_says_nothing_of_the_class(people: list[Speaker]) -> None:
    """Ages cover 18 to 90 in both classes and come from one distribution."""
    ages = {label: [p.age for p in people if p.label == label] for label in ("patient", "control")}
    assert [min(ages["patient"]), max(ages["patient"])] == [18, 90]
    assert [min(ages["control"]), max(ages["control"])] == [18, 90]
    assert stats.ks_2samp(ages["patient"], ages["control"]).pvalue > 0.01


@pytest.mark.parametrize("what", ["sample_rate", "site", "device", "voice", "number", "recorded_on"])
def test_nothing_else_says_anything_of_the_class(people: list[Speaker], what: str) -> None:
    """Rates, sites, devices, voices, months and places in the list are spread alike over both classes."""

    def value(person: Speaker) -> object:
        coarse = {"number": person.number % 4, "recorded_on": person.recorded_on.month}
        return coarse.get(what, getattr(person, what))

    values = sorted({value(person) for person in people}, key=str)
    counts = Counter((person.label, value(person)) for person in people)
    table = [[counts[label, v] for v in values] for label in ("patient", "control")]
    assert min(map(min, table)) > 0
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_names_and_order_do_not_tell_the_class(on: Path) -> None:
    """A file is named by its speaker's number and its text, and rows are in the order of names."""
    table = pl.read_csv(on / "demo/metadata.csv")
    columns = "file_path,label,speaker_id,sex,age,site,device,recorded_on,task"
    assert table.columns == columns.split(",")
    assert table["file_path"].to_list() == sorted(f"s{n:04d}_{task}.wav" for n in range(8) for task in TASKS)


def test_attainable_auc_is_that_of_the_likelihood_ratio() -> None:
    """The closed form agrees with 40,000 drawn speakers ranked by their true likelihood ratio."""
    rng = np.random.default_rng(0)
    labels: list[Label] = ["control", "patient"]
    ratio = np.zeros(40_000)
    truth = np.arange(40_000) % 2
    for latent in COMMITTED.latents:
        drawn = np.array([latent.draw(labels[label], rng) for label in truth])
        if isinstance(latent, LogNormal):
            drawn = np.log(drawn)
            control, patient, sd = np.log(latent.control), np.log(latent.patient), latent.log_sd
        else:
            control, patient, sd = latent.control, latent.patient, latent.sd
        ratio += stats.norm.logpdf(drawn, patient, sd) - stats.norm.logpdf(drawn, control, sd)
    assert attainable_auc(COMMITTED) == pytest.approx(roc_auc_score(truth, ratio), abs=0.003)  # 4 standard errors
    assert 0.96 <= attainable_auc(COMMITTED) <= 0.98


def test_the_readme_states_what_the_corpus_is(on: Path, off: Path) -> None:
    """Synthetic in the first line, then the attainable AUC and whether the confounder is planted."""
    text = (on / "demo/README.md").read_text(encoding="utf-8")
    assert "SYNTHETIC" in text.splitlines()[0]
    assert "no medical claim" in text.splitlines()[0]
    assert f"Best attainable AUC, per speaker: {attainable_auc(COMMITTED):.3f}" in text
    assert "**On.** Ward noise" in text
    assert "**Off.** No recording holds ward noise." in (off / "demo/README.md").read_text(encoding="utf-8")


def test_patients_make_more_and_longer_pauses(people: list[Speaker]) -> None:
    """In the utterances as planned, not only in the latents: shorter breath groups, longer silences."""
    count: dict[str, list[int]] = {"patient": [], "control": []}
    length: dict[str, list[float]] = {"patient": [], "control": []}
    for person in people[:800]:
        for task in TASKS:
            utterance = draw_utterance(COMMITTED, person, task)
            count[person.label].append(len(utterance.pauses))
            length[person.label].extend(utterance.pauses)
    assert np.mean(count["patient"]) > 2 * np.mean(count["control"])
    assert np.median(length["patient"]) > 1.4 * np.median(length["control"])


@pytest.mark.parametrize("task", TASKS)
def test_an_utterance_says_every_word_once(people: list[Speaker], task: str) -> None:
    """Breath groups cut the text and drop nothing; there is one pause between each and the next."""
    for person in people[:200]:
        utterance = draw_utterance(COMMITTED, person, task)
        assert " ".join(utterance.groups) == TEXTS[task].replace("|", " ")
        assert len(utterance.pauses) == len(utterance.groups) - 1


def silences(waveform: NDArray[np.float64], rate: int) -> list[float]:
    """Seconds of each stretch within the speech that stays 34 dB under its peak for 0.2 s or more."""
    step = rate // 200
    loud = np.abs(waveform[: len(waveform) // step * step]).reshape(-1, step).max(axis=1)
    spoken = np.flatnonzero(loud > 0.02 * loud.max())
    gaps = (np.diff(spoken) - 1) * step / rate
    return [float(gap) for gap in gaps if gap >= 0.2]


def test_pauses_are_as_long_as_planned(tmp_path: Path) -> None:
    """The longest silences of a recording are its planned pauses of 0.3 s or more."""
    soft = {"low": 1e-6, "high": 1e-6}  # neither a breath nor a room is silent
    params = changed(n_speakers=4, ward_noise_in_patients=False, breath_peak=soft, room_tone_rms=soft)
    synthesized(params, tmp_path)
    for person in (draw_speaker(params, number) for number in range(4)):
        for task in TASKS:
            planned = [pause for pause in draw_utterance(params, person, task).pauses if pause >= 0.3]
            found = silences(*soundfile.read(tmp_path / "demo" / f"{person.id}_{task}.wav"))
            longest = sorted(found, reverse=True)[: len(planned)]
            # Words fade out and begin softly: a silence may be longer than its pause by this much.
            assert longest == pytest.approx(sorted(planned, reverse=True), abs=0.15)


@pytest.mark.parametrize("voice", [*VOICES["F"], *VOICES["M"]])
def test_every_voice_follows_its_settings(voice: str) -> None:
    """Pitch rises by the semitones asked for, a slower rate takes longer, and samples stay in [-1, 1]."""

    def say(rate: float, semitones: float) -> NDArray[np.float32]:
        text = "O amor ao próximo ajuda a enfrentar essa fase."
        return praat.speak(text, voice=voice, words_per_minute=rate, pitch_semitones=semitones, pitch_range=1.0)

    def pitch(waveform: NDArray[np.float32]) -> float:
        sound = parselmouth.Sound(waveform.astype(np.float64), praat.SAMPLE_RATE)
        hertz = sound.to_pitch(pitch_floor=60, pitch_ceiling=500).selected_array["frequency"]
        return float(np.median(hertz[hertz > 0]))

    usual, high, slow = say(175, 0), say(175, 3), say(140, 0)
    assert 12 * np.log2(pitch(high) / pitch(usual)) == pytest.approx(3, abs=0.75)  # one slope for all voices
    assert len(slow) == pytest.approx(len(usual) * 175 / 140, rel=0.1)
    assert usual.dtype == np.float32
    assert np.abs(usual).max() <= 1
    assert min(abs(usual[0]), abs(usual[-1])) > praat.AUDIBLE


def test_an_unknown_voice_is_refused_by_name() -> None:
    """Praat's own complaint, with the voice, as an error that a person is meant to read."""
    with pytest.raises(DataError, match="voice 'Ghost'"):
        praat.speak("oi", voice="Ghost", words_per_minute=175, pitch_semitones=0, pitch_range=1)


def test_a_text_without_sound_is_refused() -> None:
    """An utterance of nothing would otherwise become an empty recording."""
    with pytest.raises(DataError, match="must speak ' ' with 'Male1', got silence"):
        praat.speak(" ", voice="Male1", words_per_minute=175, pitch_semitones=0, pitch_range=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_speakers": 6}, "must be a multiple of 4, got 6"),
        ({"youngest": 91}, "youngest: must not exceed oldest=90, got 91"),
        ({"ward_noise_peak": {"low": 0.2, "high": 0.1}}, "low: must not exceed high=0.1, got 0.2"),
        ({"speech_peak": {"low": 0.5, "high": 0.9}}, "speech_peak: with ward noise and breath must stay under"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, object], message: str) -> None:
    """Before any work starts, with the value and what was expected."""
    problems = list(check("synthesize", SynthesizeParams, {**COMMITTED.model_dump(), **changes}))
    assert len(problems) == 1
    assert message in ": ".join(problems[0])
