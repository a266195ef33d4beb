"""What nobody speaks in is found by energy; a swap takes one background away and lays another under the speech."""

import numpy as np
import pytest

from spira.base.array_types import Waveform
from spira.base.params import load
from spira.probes.alterations import AlterParams, in_form, swapped, without
from spira.probes.background import BackgroundParams, background, levels, looped, quiet_frames, quiet_samples
from spira.probes.sound_statistics import outermost, statistics
from tiny import ROOT

RATE = 16_000
QUIET = load("background", BackgroundParams, path=ROOT / "params.yaml")
ALTER = load("alter", AlterParams, path=ROOT / "params.yaml")


def clip(hiss: float = 0.001, seed: int = 0) -> Waveform:
    """Two bursts of noise, 0.5 to 1.0 s and 1.5 to 2.0 s of 2.5 s, over a hiss."""
    rng = np.random.default_rng(seed)
    time = np.arange(5 * RATE // 2) / RATE
    spoken = ((time > 0.5) & (time < 1.0)) | ((time > 1.5) & (time < 2.0))
    return (0.2 * spoken * rng.standard_normal(time.size) + hiss * rng.standard_normal(time.size)).astype(np.float32)


def rms(sound: Waveform) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


@pytest.mark.parametrize("gain", [0.01, 1.0, 4.0])
def test_the_background_is_what_is_between_the_bursts_at_any_level(gain: float) -> None:
    """Three quiet stretches, but for the guard on either side of a burst; no sample of a burst."""
    quiet = quiet_samples(gain * clip(), RATE, QUIET)
    assert np.flatnonzero(np.diff(quiet.astype(int))).size == 4
    assert quiet.mean() == pytest.approx(0.6, abs=0.12)
    assert not quiet[int(0.5 * RATE) : RATE].any()
    assert rms(background(gain * clip(), RATE, QUIET)) == pytest.approx(gain * 0.001, rel=0.15)


def test_a_clip_that_is_noisy_throughout_still_has_a_background() -> None:
    """Its quietest frames, as many as is asked for."""
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    loudness = levels(noise, RATE, QUIET)
    quiet = quiet_frames(loudness, QUIET)
    assert quiet.sum() == round(QUIET.least * loudness.size)
    assert loudness[quiet].max() <= loudness[~quiet].min()


@pytest.mark.parametrize("time", [1, 100, 400, 401, 5000])
def test_no_recording_is_too_short(time: int) -> None:
    """Every length has a mask of its own length and a background that can be looped."""
    sound = np.random.default_rng(0).standard_normal(time).astype(np.float32)
    assert quiet_samples(sound, RATE, QUIET).shape == (time,)
    assert looped(background(sound, RATE, QUIET), 3 * time).shape == (3 * time,)
    assert swapped(sound, sound, RATE, QUIET).shape == (time,)


def test_nothing_is_taken_where_nothing_is_quiet() -> None:
    """The STFT and back is the sound itself, at every length."""
    for time in (511, 512, 513, 4000):
        sound = np.random.default_rng(0).standard_normal(time).astype(np.float32)
        assert np.allclose(without(sound, np.zeros(time, dtype=np.bool_)), sound, atol=1e-5)


def test_a_swap_leaves_the_speech_and_nothing_of_its_own_background() -> None:
    """Where nobody speaks there is the other's hiss at the other's level; the bursts keep their energy and place."""
    loud, quiet = clip(hiss=0.01, seed=1), clip(hiss=0.0003, seed=2)
    over = swapped(loud, background(quiet, RATE, QUIET), RATE, QUIET)
    silent = slice(int(1.1 * RATE), int(1.4 * RATE))
    spoken = slice(int(0.55 * RATE), int(0.95 * RATE))
    assert rms(over[silent]) == pytest.approx(0.0003, rel=0.2)
    assert rms(over[spoken]) == pytest.approx(rms(loud[spoken]), rel=0.02)
    assert np.corrcoef(over[spoken], loud[spoken])[0, 1] > 0.99


def test_forms_say_the_same_in_another_way() -> None:
    """Louder by the decibels, inverted, longer by its own background at both ends, and shorter by the quiet ends."""
    sound = clip()
    assert rms(in_form(sound, "louder", RATE, QUIET, ALTER)) == pytest.approx(rms(sound) * 10 ** (6 / 20), rel=1e-4)
    assert np.array_equal(in_form(sound, "inverted", RATE, QUIET, ALTER), -sound)
    padded, room = in_form(sound, "padded", RATE, QUIET, ALTER), round(ALTER.pad_seconds * RATE)
    assert np.array_equal(padded[room:-room], sound)
    assert rms(padded[:room]) == pytest.approx(0.001, rel=0.2)
    trimmed = in_form(sound, "trimmed", RATE, QUIET, ALTER)
    assert trimmed.size / RATE == pytest.approx(1.5, abs=0.15)
    assert trimmed.max() == sound.max()


def test_a_pause_and_the_breath_in_it_leave_no_trace_in_the_background() -> None:
    """Two clips of one room: the second has a pause and a breath amid its speech. Pauses are a symptom."""
    rng = np.random.default_rng(0)
    room, speech = 0.001 * rng.standard_normal(4 * RATE), 0.2 * rng.standard_normal(2 * RATE)
    pause = np.concatenate([np.zeros(RATE // 8), 0.004 * rng.standard_normal(RATE // 2), np.zeros(RATE // 8)])
    silence, half = np.zeros(RATE // 4), RATE
    without_pause = np.concatenate([silence, speech, silence])
    with_pause = np.concatenate([silence, speech[:half], pause, speech[half:], silence])
    found = []
    for sound in (without_pause, with_pause):
        noisy = sound + np.concatenate([room[: sound.size // 2], room[sound.size // 2 - sound.size :]])
        found.append(statistics(noisy.astype(np.float32), RATE, QUIET, 20, edge_seconds=0.2, background_seconds=0.3))
    for kind in ("background", "edges"):
        assert np.allclose(found[0][kind], found[1][kind], atol=1e-3)  # dB
    noise_floor, offset = 2, 4
    assert np.allclose(found[0]["level"][[noise_floor, offset]], found[1]["level"][[noise_floor, offset]], atol=1e-3)


@pytest.mark.parametrize(
    ("silent", "n_frames", "places"),
    [("110111011", 4, [0, 1, 7, 8]), ("110111011", 20, [0, 1, 3, 4, 5, 7, 8]), ("000100000", 3, [3]), ("1111", 0, [0])],
)
def test_the_silence_nearest_to_the_ends_is_taken(silent: str, n_frames: int, places: list[int]) -> None:
    """As much as is wanted, or all there is; a frame at least."""
    mask = np.array([char == "1" for char in silent])
    assert outermost(mask, n_frames).tolist() == places
