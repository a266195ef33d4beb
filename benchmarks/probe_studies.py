"""How often a probe catches a confound that is planted, and how often it cries out where none is: `make bench-probes`.

Each case is a synthetic study, with speakers, labels, a split, columns and short recordings, and a model's scores. In a
*planted* case the probe's own confound is there and the model follows it; in a *plain* one neither is. A probe has
caught what it fails; it has cried out where it fails a plain case.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import lfilter

from spira.base.array_types import Floats, Ints
from spira.base.params import load
from spira.probes.background import BackgroundParams
from spira.probes.catalogue import PROBES
from spira.probes.near_duplicates import fingerprint, near_duplicates
from spira.probes.sound_statistics import statistics
from spira.probes.study import Finding, Fold, ModelScores, ProbeParams, Scores, Study

PARAMS = Path(__file__).parents[1] / "params.yaml"
RATE = 16_000  # Hz
SPEAKERS = 120  # a study; two clips each, a third of them for the test
CONDITIONS = ("clean", "noisy", "noise_added", "own_class_noise", "other_class_noise")
FORMS = {"gain": "louder", "polarity": "inverted", "padding": "padded", "trimming": "trimmed"}
Rng = np.random.Generator


class Case(NamedTuple):
    """A corpus, and one model's scores of it."""

    study: Study
    scores: Scores

    def with_columns(self, **columns: Sequence[str]) -> "Case":
        """The same with other cells, an entry a clip."""
        return self._replace(study=replace(self.study, columns={**self.study.columns, **columns}))


Planted = Callable[[Rng, ProbeParams], Case]


def ask(probe: str, case: Case, p: ProbeParams) -> Finding:
    """What the probe finds."""
    return PROBES[probe].run(case.study, p)(case.scores)


def plain(rng: Rng, n_speakers: int = SPEAKERS) -> Case:
    """Nothing planted: columns that know no label, and a model with an AUC of about 0.9 that is calm."""
    who = np.repeat(np.arange(n_speakers), 2)
    labels = who % 2
    test = who % 3 == 0
    logits = 2 * labels + (rng.standard_normal(n_speakers)[who] + rng.standard_normal(who.size)) / 2**0.5
    study = Study(
        speakers=tuple(f"s{i:03}" for i in who),
        labels=labels,
        folds=(Fold(~test, test),),
        sample_rate=RATE,
        columns=columns(rng, who),
    )
    return Case(study, calm(rng, logits, np.flatnonzero(test)))


def columns(rng: Rng, who: Ints) -> dict[str, list[str]]:
    """A speaker's sex, age, site and day; a clip's file."""
    n = who.max() + 1
    days = np.datetime64("2020-06-01") + rng.integers(0, 300, n)
    by_speaker = {
        "sex": rng.choice(["F", "M"], n),
        "age": rng.integers(20, 90, n).astype(str),
        "site": rng.choice(["north", "south"], n),
        "device": rng.choice(["phone", "tablet"], n),
        "recorded_on": days.astype(str),
        "source_sample_rate": rng.choice(["16000", "44100", "48000"], n),
        "container": rng.choice(["WAV", "FLAC"], n),
        "encoding": rng.choice(["PCM_16", "PCM_24"], n),
        "n_channels": rng.choice(["1", "2"], n),
    }
    cells = {name: list(map(str, own[who])) for name, own in by_speaker.items()}
    return cells | lengths(cells, rng.uniform(2.5, 5.6, who.size))


def lengths(cells: Mapping[str, Sequence[str]], seconds: Floats) -> dict[str, list[str]]:
    """Samples and bytes of files that last so long; FLAC takes about half of what WAV does."""
    rates, n_channels = (np.array(cells[name], dtype=float) for name in ("source_sample_rate", "n_channels"))
    width = np.where(np.array(cells["encoding"]) == "PCM_16", 2, 3) * np.where(
        np.array(cells["container"]) == "WAV", 1, 0.5
    )
    n_bytes = 44 + np.round(seconds * rates * n_channels * width)
    return {
        "n_samples": [str(round(second * RATE)) for second in seconds],
        "n_bytes": [f"{size:.0f}" for size in n_bytes],
    }


def calm(rng: Rng, logits: Floats, clips: Ints) -> Scores:
    """Two seeds' scores that neither a condition nor an alteration moves by more than a hundredth or two."""

    def scores() -> Floats:
        return np.stack([score(logits[clips] + 0.1 * rng.standard_normal(clips.size)) for _ in range(2)])

    return {name: ModelScores(clips, scores()) for name in (*CONDITIONS, *FORMS.values())}


def score(logits: Floats) -> Floats:
    """Probabilities."""
    return np.asarray(1 / (1 + np.exp(-logits)))


def recordings(rng: Rng, labels: Ints, planted: str) -> Floats:
    """A second of bursts over a hiss, a clip a row; patients' differ in what is planted."""
    time = np.arange(RATE)
    voiced = (time % 5000 < 3000) & (time > 4500) & (time < 12_500)
    made = []
    for patient in labels == 1:
        colour, hiss = rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.6)
        colour -= 0.4 * (patient and planted == "spectrum")
        voice = lfilter([1], [1, -colour], rng.standard_normal(RATE)) * voiced
        room = lfilter([1], [1, -hiss], rng.standard_normal(RATE))
        if patient and planted == "ward_noise":
            room = lfilter([1, 0.9], [1], room) * 1.5
        sound = 0.05 * 10 ** (rng.normal(0, 3) / 20) * voice + 0.0005 * 10 ** (rng.normal(0, 2) / 20) * room
        if patient and planted == "edges":
            sound[:1600] += 0.002 * np.sin(2 * np.pi * 200 * time[:1600] / RATE)  # a key that is pressed
        made.append(sound * 10 ** (8 * (patient and planted == "level") / 20))
    return np.array(made)


@cache
def background_params() -> BackgroundParams:
    """As committed; read once."""
    return load("background", BackgroundParams, path=PARAMS)


def sound(waveforms: Floats, p: ProbeParams) -> dict[str, Floats]:
    """The statistics of each recording, as the stage makes them."""
    quiet = background_params()
    rows = [
        statistics(w.astype(np.float32), RATE, quiet, p.n_bands, p.edge_seconds, p.background_seconds)
        for w in waveforms
    ]
    return {kind: np.stack([row[kind] for row in rows]) for kind in rows[0]}


def follows(study: Study, rng: Rng, signal: Floats) -> Case:
    """The study with a model that knows nothing but the signal, (n_clips,), and that not perfectly."""
    return Case(study, calm(rng, signal + rng.standard_normal(signal.size), study.test_clips))


def with_sound(study: Study, rng: Rng, p: ProbeParams, planted: str = "") -> Study:
    """The study with recordings, in which something is planted or nothing."""
    return replace(study, sound=sound(recordings(rng, study.labels, planted), p))


def in_sound(kind: str) -> Planted:
    """Patients' recordings sound different in one respect, by which the model goes."""

    def planted(rng: Rng, p: ProbeParams) -> Case:
        study = plain(rng).study
        return follows(with_sound(study, rng, p, kind), rng, np.asarray(study.labels, dtype=np.float64))

    return planted


def in_column(name: str, patient: Callable[[Rng], str], control: Callable[[Rng], str]) -> Planted:
    """Patients and controls draw a column from different values."""

    def planted(rng: Rng, _: ProbeParams) -> Case:
        case = plain(rng)
        people = zip(case.study.speakers, case.study.labels, strict=True)
        of = {who: (patient if label else control)(rng) for who, label in people}
        study = case.with_columns(**{name: [of[who] for who in case.study.speakers]}).study
        return follows(study, rng, np.asarray(study.labels, dtype=np.float64))

    return planted


def slow(rng: Rng, _: ProbeParams) -> Case:
    """Patients take longer to say the same, and the model hears how long."""
    case = plain(rng)
    seconds = 3.5 + 1.5 * case.study.labels + 0.5 * rng.standard_normal(case.study.labels.size)
    study = case.with_columns(**lengths(case.study.columns, np.maximum(seconds, 1))).study
    return follows(study, rng, 2 * (seconds - 4))


def by_device(rng: Rng, _: ProbeParams) -> Case:
    """Most patients speak into one device and most controls into another, and the model hears which: of 240 speakers,
    so that each device has some of both."""
    study = plain(rng, 240).study
    devices = {
        who: "phone" if rng.random() < (0.75 if label else 0.25) else "tablet"
        for who, label in zip(study.speakers, study.labels, strict=True)
    }
    cells = [devices[who] for who in study.speakers]
    study = replace(study, columns={**study.columns, "device": cells})
    return follows(study, rng, 4.0 * (np.array(cells) == "phone"))


def moved(names: tuple[str, ...], by: Callable[[Rng, Ints], Floats]) -> Planted:
    """The model's log odds move by so much under a condition or an alteration."""

    def planted(rng: Rng, _: ProbeParams) -> Case:
        study, unmoved = plain(rng)
        scores = dict(unmoved)
        for name in names:
            odds = np.log(scores[name].scores / (1 - scores[name].scores))
            scores[name] = ModelScores(study.test_clips, score(odds + by(rng, study.labels[study.test_clips])))
        return Case(study, scores)

    return planted


def leaked(rng: Rng, _: ProbeParams) -> Case:
    """Everybody is on both sides of the split, with a voice that can be recognised."""
    study, scores = plain(rng)
    who = np.unique(study.speakers, return_inverse=True)[1]
    voices = rng.standard_normal((who.max() + 1, 100))[who] + 0.3 * rng.standard_normal((who.size, 100))
    test = np.arange(who.size) % 2 == 0
    return Case(replace(study, folds=(Fold(~test, test),), sound={"voice": voices}), scores)


def by_age(rng: Rng, _: ProbeParams) -> Case:
    """Patients are older, and the model hears age: of 400 speakers, so that pairs of one age are to be found."""
    study = plain(rng, 400).study
    ages = {
        who: float(rng.normal(62 if label else 48, 12)) for who, label in zip(study.speakers, study.labels, strict=True)
    }
    years = np.array([ages[who] for who in study.speakers])
    study = replace(study, columns={**study.columns, "age": [f"{age:.0f}" for age in years]})
    return follows(study, rng, (years - 55) / 4)


def bursts(rng: Rng) -> Floats:
    """Three seconds of noise whose colour and loudness change as those of speech do."""
    parts = [
        lfilter([1], [1, -1.6 * np.cos(rng.uniform(0.1, 0.8)), 0.8], rng.standard_normal(RATE // 8)) * rng.uniform(0, 1)
        for _ in range(24)
    ]
    return np.asarray(0.02 * np.concatenate(parts), dtype=np.float64)


def copied(rng: Rng, p: ProbeParams, *, copy: bool = True) -> Case:
    """Twelve recordings; the first, quieter, cut and through OGG, is again among the test clips."""
    sounds = [bursts(rng) for _ in range(12)]
    if copy:
        sounds[9] = again(sounds[0][int(rng.integers(0, 4000)) :] / 5)
    prints = [fingerprint(sound.astype(np.float32), RATE) for sound in sounds]
    test = np.arange(12) >= 8
    study = Study(
        speakers=tuple(f"s{i}" for i in range(12)),
        labels=np.arange(12) % 2,
        folds=(Fold(~test, test),),
        sample_rate=RATE,
        columns={},
        pairs=tuple(near_duplicates(prints, p.fingerprint)),
    )
    return Case(study, {})


def again(sound: Floats) -> Floats:
    """Through OGG and back."""
    held = BytesIO()
    soundfile.write(held, sound, RATE, format="OGG")
    held.seek(0)
    return np.asarray(soundfile.read(held)[0], dtype=np.float64)


def against(rng: Rng, labels: Ints) -> Floats:
    """Towards the class whose background it is."""
    return np.asarray((1 - 2 * labels) * rng.normal(1.5, 0.5, labels.size), dtype=np.float64)


def controls_up(rng: Rng, labels: Ints) -> Floats:
    """Whoever has ward noise is called patient."""
    return np.asarray((labels == 0) * rng.normal(2.5, 0.5, labels.size), dtype=np.float64)


def to_and_fro(rng: Rng, labels: Ints) -> Floats:
    """Anybody, by a lot, either way."""
    return rng.choice([-1.5, 1.5], labels.size) * rng.uniform(0.8, 1.2, labels.size)


PLANTED: dict[str, Planted] = {
    **{kind: in_sound(kind) for kind in ("ward_noise", "level", "spectrum", "edges")},
    "metadata": in_column("age", lambda rng: f"{rng.normal(66, 12):.0f}", lambda rng: f"{rng.normal(42, 12):.0f}"),
    "recording_date": in_column(
        "recorded_on",
        lambda rng: str(np.datetime64("2020-08-01") + rng.integers(0, 60)),  # the wave
        lambda rng: str(np.datetime64("2020-06-01") + rng.integers(0, 300)),
    ),
    "file_header": in_column(
        "container",
        lambda rng: str(rng.choice(["WAV", "FLAC"], p=[0.95, 0.05])),
        lambda rng: str(rng.choice(["WAV", "FLAC"], p=[0.1, 0.9])),
    ),
    "duration": slow,
    "within_groups": by_device,
    "noise_conditions": moved(("noise_added",), controls_up),
    "ward_noise_swap": moved(("other_class_noise",), against),
    **{probe: moved((form,), to_and_fro) for probe, form in FORMS.items()},
    "label_permutation": leaked,
    "matched": by_age,
    "near_duplicates": copied,
}


def caught(probe: str, n_studies: int, p: ProbeParams) -> float:
    """The share of planted studies that the probe fails; or warns of, where it never fails."""
    verdicts = [ask(probe, PLANTED[probe](np.random.default_rng([1, i]), p), p).verdict for i in range(n_studies)]
    return verdicts.count("warn" if probe == "duration" else "fail") / n_studies


def cried_out(n_studies: int, p: ProbeParams) -> dict[str, tuple[float, float]]:
    """By probe, the shares of plain studies that it fails, and warns of."""
    verdicts: dict[str, list[str]] = {probe: [] for probe in PLANTED}
    for i in range(n_studies):
        rng = np.random.default_rng([2, i])
        case = plain(rng)
        case = case._replace(study=with_sound(case.study, rng, p))
        pairs = copied(np.random.default_rng([3, i]), p, copy=False)
        for probe, of in verdicts.items():
            of.append(ask(probe, pairs if probe == "near_duplicates" else case, p).verdict)
    return {probe: (of.count("fail") / n_studies, of.count("warn") / n_studies) for probe, of in verdicts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=100)
    asked = parser.parse_args()
    p = load("probe", ProbeParams, path=PARAMS)
    alarms = cried_out(asked.studies, p)
    print(f"Of {asked.studies} studies with the confound and {asked.studies} without:\n")
    print("| probe | caught | false alarms | mere warnings |\n| --- | --- | --- | --- |")
    for probe in PLANTED:
        failed, warned = alarms[probe]
        print(f"| {probe} | {caught(probe, asked.studies, p):.0%} | {failed:.0%} | {warned:.0%} |", flush=True)


if __name__ == "__main__":
    main()
