"""The numbers of a recording: each is what its label says, and moves where its cause moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spira.population.recording import NUMBERS, describe, label

RATE = 16_000


def speech(seed: int = 0, seconds: float = 3.0, background_db: float = -60.0) -> np.ndarray:
    """Voiced syllables of 1 s with pauses between, over white noise of this level."""
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    voiced = sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 40))
    spoken = 0.2 * voiced * (np.sin(2 * np.pi * t) > 0)
    return (spoken + 10 ** (background_db / 20) * rng.standard_normal(t.size)).astype(np.float32)


def described(waveform: np.ndarray) -> dict[str, float]:
    return describe(waveform.astype(np.float32), RATE, 20.0)


def test_the_noise_floor_and_the_level_are_those_that_were_mixed() -> None:
    found = described(speech(background_db=-55.0))
    assert found["noise_floor_db"] == pytest.approx(-55.0, abs=0.7)
    assert found["snr_db"] == pytest.approx(found["level_db"] - found["noise_floor_db"])
    assert found["active_percent"] == pytest.approx(50, abs=3)
    assert found["seconds"] == 3.0


def test_a_gain_moves_the_levels_by_itself_and_nothing_else() -> None:
    before, after = described(speech()), described(0.5 * speech())
    moved = {name: after[name] - before[name] for name in NUMBERS}
    assert moved["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert moved["noise_floor_db"] == pytest.approx(-6.02, abs=0.01)
    others = [name for name in NUMBERS if name not in ("level_db", "noise_floor_db")]
    assert all(abs(moved[name]) < 1e-3 for name in others), moved


def test_a_band_limit_empties_the_highest_octave() -> None:
    sound = speech()
    spectrum = np.fft.rfft(sound)
    spectrum[len(spectrum) // 2 :] = 0
    before, after = described(sound), described(np.fft.irfft(spectrum, sound.size))
    assert after["octave_5_db"] < before["octave_5_db"] - 20
    assert after["rolloff_khz"] <= 4.0
    assert label("octave_5_db", RATE) == "power from 4000 to 8000 Hz (dB of all)"
    assert label("octave_0_db", RATE) == "power from 0 to 250 Hz (dB of all)"


def test_the_octaves_are_all_of_the_power() -> None:
    shares = [value for name, value in described(speech()).items() if name.startswith("octave")]
    assert sum(10 ** (np.array(shares) / 10)) == pytest.approx(1.0)


def test_clipping_shows() -> None:
    sound = speech()
    loud = np.clip(8 * sound, -0.9, 0.9)
    assert described(sound)["clipped_percent"] < 0.5
    assert described(loud)["clipped_percent"] > 5


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 900), st.sampled_from(["zeros", "constant", "click", "noise"]), st.sampled_from([8000, 16_000]))
def test_any_accepted_waveform_has_finite_numbers_and_all_of_them(n: int, kind: str, rate: int) -> None:
    made = {
        "zeros": np.zeros(n),
        "constant": np.full(n, 0.5),
        "click": np.eye(1, n)[0],
        "noise": np.random.default_rng(n).normal(size=n),
    }
    found = describe(made[kind].astype(np.float32), rate, 20.0)
    assert tuple(found) == NUMBERS
    assert np.isfinite(list(found.values())).all()
