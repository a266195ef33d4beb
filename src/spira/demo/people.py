"""The people and the utterances of the demo corpus, drawn from declared distributions.

Everything is invented. The two classes differ in five latents of a speaker and
in nothing else; each latent is normal (or normal in its logarithm) with one
spread for both classes, so the best attainable AUC has a closed form.

Every draw has a generator of its own, seeded by (seed, stream, number): a
speaker stays the same person whoever else is in the corpus.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from itertools import pairwise
from math import erf, exp, log, sqrt
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from spira.base.section import Section, Seed

Label = Literal["control", "patient"]
Sex = Literal["F", "M"]

# Phrases between which a speaker may stop for breath: 8 a text, so 7 places.
TEXTS = {
    "sentence": "O amor|ao próximo|ajuda|a enfrentar|essa fase|com a força|que a gente|precisa",
    "rhyme": "Batatinha|quando nasce|espalha a rama|pelo chão|menininha|quando dorme|põe a mão|no coração",
}
TASKS = tuple(TEXTS)
VOICES: dict[Sex, tuple[str, ...]] = {
    "F": ("Female1", "Female2", "Female3", "Female4", "Female5"),
    "M": ("Male1", "Male2", "Male3", "Male4", "Male5", "Male6", "Male7"),
}
SITES = ("centro", "norte", "sul")
DEVICES = ("phone-a", "phone-b", "phone-c", "tablet")
FIRST_DAY, N_DAYS = date(2020, 4, 1), 270


class Stream(IntEnum):
    """The purpose of a generator; no two purposes share one."""

    BLOCK = 0
    SPEAKER = 1
    UTTERANCE = 2
    BACKGROUND = 3
    WARD = 4
    RECORDING = 5


class Range(Section):
    """A number drawn uniformly from [low, high), the same for both classes."""

    low: float = Field(gt=0, le=600)
    high: float = Field(gt=0, le=600)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low: must not exceed high={self.high}, got {self.low}")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


class Normal(Section):
    """A latent of a speaker: one mean a class, one spread for both."""

    control: float = Field(ge=-1000, le=1000)  # mean
    patient: float = Field(ge=-1000, le=1000)  # mean
    sd: float = Field(gt=0, le=1000)

    @property
    def separation(self) -> float:
        """Distance between the classes in standard deviations (d prime)."""
        return (self.patient - self.control) / self.sd

    def draw(self, label: Label, rng: np.random.Generator) -> float:
        mean = self.patient if label == "patient" else self.control
        return float(mean + self.sd * rng.standard_normal())


class LogNormal(Section):
    """A positive latent of a speaker: one median a class, one spread of its logarithm for both."""

    control: float = Field(gt=0, le=10)  # median
    patient: float = Field(gt=0, le=10)  # median
    log_sd: float = Field(gt=0, le=1)

    @property
    def separation(self) -> float:
        """Distance between the classes in standard deviations of the logarithm (d prime)."""
        return log(self.patient / self.control) / self.log_sd

    def draw(self, label: Label, rng: np.random.Generator) -> float:
        median = self.patient if label == "patient" else self.control
        return float(median * exp(self.log_sd * rng.standard_normal()))


class SynthesizeParams(Section):
    seed: Seed
    n_speakers: Annotated[int, Field(gt=0, le=10_000, multiple_of=4)]  # one block is 2 labels x 2 sexes
    youngest: Annotated[int, Field(ge=0, le=120)]  # years
    oldest: Annotated[int, Field(ge=0, le=120)]  # years, inclusive
    sample_rates: Annotated[
        tuple[Annotated[int, Field(ge=8000, le=192000)], ...], Field(min_length=1, max_length=100)
    ]  # Hz
    pauses: LogNormal  # expected in an utterance
    pause_seconds: LogNormal
    words_per_minute: Normal  # while speaking
    pitch_semitones: Normal  # above the voice's own
    pitch_range: LogNormal  # 1 is the voice's own
    pause_log_sd: Annotated[float, Field(gt=0, le=1)]  # of one pause about its speaker's own
    speech_peak: Range  # |amplitude|
    edge_seconds: Range  # before the first word and after the last
    room_tone_rms: Range
    breath_peak: Range  # of the breath taken in a pause
    ward_noise_in_patients: bool
    ward_noise_peak: Range
    n_noises: Annotated[int, Field(gt=0, le=1000)]
    noise_seconds: Range
    noise_peak: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.youngest > self.oldest:
            raise ValueError(f"youngest: must not exceed oldest={self.oldest}, got {self.youngest}")
        loudest = self.speech_peak.high + self.ward_noise_peak.high + self.breath_peak.high
        if loudest > 0.9:  # what is left is for the room tone, and for the overshoot of resampling
            raise ValueError(f"speech_peak: with ward noise and breath must stay under 0.9, got {loudest}")
        return self

    @property
    def latents(self) -> tuple[LogNormal | Normal, ...]:
        """Everything in which the classes differ, in the order in which it is drawn."""
        return self.pauses, self.pause_seconds, self.words_per_minute, self.pitch_semitones, self.pitch_range


@dataclass(frozen=True)
class Speaker:
    number: int  # from 0; says nothing about the class
    label: Label
    sex: Sex
    age: int  # years
    voice: str
    pauses: float  # expected in an utterance
    pause_seconds: float  # median
    words_per_minute: float
    pitch_semitones: float
    pitch_range: float
    speech_peak: float
    room_tone_rms: float
    sample_rate: int  # Hz, of the recording
    site: str
    device: str
    recorded_on: date

    @property
    def id(self) -> str:
        return f"s{self.number:04d}"


@dataclass(frozen=True)
class Utterance:
    """Breath groups with a pause between each and the next: len(pauses) == len(groups) - 1."""

    groups: tuple[str, ...]
    pauses: tuple[float, ...]  # seconds


def generator(params: SynthesizeParams, stream: Stream, *number: int) -> np.random.Generator:
    """The generator for one purpose and number; no other draw can move it."""
    return np.random.default_rng([params.seed, stream, *number])


def attainable_auc(params: SynthesizeParams) -> float:
    """AUC of the likelihood ratio of all five latents: no score of a speaker can be expected above it.

    Independent normals of equal spread are separated by the root of the sum of
    their squared d primes, and two normals d apart have AUC = Phi(d / sqrt(2)).
    A clip shows a speaker's latents only in part, so what it allows is less.
    """
    distance = sqrt(sum(latent.separation**2 for latent in params.latents))
    return (1 + erf(distance / 2)) / 2


def draw_speaker(params: SynthesizeParams, number: int) -> Speaker:
    """Speaker ``number``; each block of four has both sexes of both labels, in a random order."""
    block, place = divmod(number, 4)
    cell = int(generator(params, Stream.BLOCK, block).permutation(4)[place])
    label: Label = "patient" if cell < 2 else "control"
    sex: Sex = "F" if cell % 2 else "M"
    rng = generator(params, Stream.SPEAKER, number)
    pauses, pause_seconds, rate, pitch, pitch_range = (latent.draw(label, rng) for latent in params.latents)
    return Speaker(
        number=number,
        label=label,
        sex=sex,
        age=int(rng.integers(params.youngest, params.oldest, endpoint=True)),
        voice=str(rng.choice(VOICES[sex])),
        pauses=pauses,
        pause_seconds=pause_seconds,
        words_per_minute=rate,
        pitch_semitones=pitch,
        pitch_range=pitch_range,
        speech_peak=params.speech_peak.draw(rng),
        room_tone_rms=params.room_tone_rms.draw(rng),
        sample_rate=int(rng.choice(params.sample_rates)),
        site=str(rng.choice(SITES)),
        device=str(rng.choice(DEVICES)),
        recorded_on=FIRST_DAY + timedelta(days=int(rng.integers(N_DAYS))),
    )


def draw_utterance(params: SynthesizeParams, speaker: Speaker, task: str) -> Utterance:
    """Draws where the speaker stops for breath in this text, and for how long.

    The number of pauses is ``speaker.pauses`` rounded up or down at random so
    that its mean is kept, and is at most one for each place between phrases.
    """
    rng = generator(params, Stream.UTTERANCE, speaker.number, TASKS.index(task))
    phrases = TEXTS[task].split("|")
    n_pauses = min(int(speaker.pauses + rng.uniform()), len(phrases) - 1)
    stops = np.sort(rng.choice(len(phrases) - 1, size=n_pauses, replace=False)) + 1
    edges = [0, *stops.tolist(), len(phrases)]
    groups = tuple(" ".join(phrases[a:b]) for a, b in pairwise(edges))
    lengths = speaker.pause_seconds * np.exp(params.pause_log_sd * rng.standard_normal(n_pauses))
    return Utterance(groups, tuple(lengths.tolist()))
