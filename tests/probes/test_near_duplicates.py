"""One recording in two forms is found; two recordings are not."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import soundfile

from probe_studies import PARAMS, bursts
from spira.base.array_types import Waveform
from spira.base.params import load
from spira.ingest.resampling import resample
from spira.probes.near_duplicates import FingerprintParams, fingerprint, near_duplicates
from spira.probes.study import ProbeParams

RATE = 16_000
P: FingerprintParams = load("probe", ProbeParams, path=PARAMS).fingerprint
Sound = Waveform


def encoded(sound: Sound, rate: int, **how: str) -> Sound:
    """Through a file of this kind at this rate, and back."""
    held = BytesIO()
    soundfile.write(held, resample(sound, RATE, rate), rate, **how)
    held.seek(0)
    read: Sound = soundfile.read(held, dtype="float32")[0]
    return resample(read, rate, RATE)


FORMS: dict[str, Callable[[Sound], Sound]] = {
    "quieter": lambda sound: (sound / 20).astype(np.float32),
    "inverted": lambda sound: -sound,
    "clipped": lambda sound: np.clip(4 * sound, -0.2, 0.2).astype(np.float32),
    "cut by an odd number of samples": lambda sound: sound[4321:],
    "shifted": lambda sound: np.concatenate([np.zeros(7777, np.float32), sound]),
    "OGG": lambda sound: encoded(sound, RATE, format="OGG"),
    "MP3": lambda sound: encoded(sound, RATE, format="MP3"),
    "telephone": lambda sound: encoded(sound, 8000, format="WAV", subtype="ULAW"),
    "MP3, quieter and cut": lambda sound: encoded((sound[3000:] / 8).astype(np.float32), RATE, format="MP3"),
}


def sounds(n: int) -> list[Sound]:
    rng = np.random.default_rng(5)
    return [bursts(rng).astype(np.float32) for _ in range(n)]


@pytest.mark.parametrize("form", FORMS)
def test_one_recording_is_known_again(form: str) -> None:
    """Whichever comes first; and only it."""
    several = sounds(4)
    prints = [fingerprint(sound, RATE) for sound in [*several, FORMS[form](several[2])]]
    assert [pair[:2] for pair in near_duplicates(prints, P)] == [(2, 4)]
    assert [pair[:2] for pair in near_duplicates(prints[::-1], P)] == [(0, 2)]


def test_strangers_are_not_alike() -> None:
    """Thirty recordings of one kind: no pair; even were two in five bits allowed to differ, hardly any."""
    prints = [fingerprint(sound, RATE) for sound in sounds(30)]
    assert near_duplicates(prints, P) == []
    assert len(near_duplicates(prints, P.model_copy(update={"max_bit_errors": 0.4}))) < 5


def test_the_delay_is_that_of_the_cut() -> None:
    """To a frame."""
    sound = sounds(1)[0]
    (pair,) = near_duplicates([fingerprint(sound, RATE), fingerprint(sound[8000:], RATE)], P)
    assert pair.delay_seconds == pytest.approx(-0.5, abs=0.012)


def test_silence_and_short_clips_are_like_nothing() -> None:
    """Digital silence has the same bits everywhere, and a tenth of a second has none."""
    silent = [np.zeros(3 * RATE, np.float32)] * 30
    short = [np.ones(RATE // 10, np.float32)] * 2
    assert near_duplicates([fingerprint(sound, RATE) for sound in [*silent, *short]], P) == []
    assert near_duplicates([], P) == []
