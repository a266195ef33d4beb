"""The level of a recording is that of its sound: neither gain, nor polarity, nor silence around it changes the rest."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spira.features.activity import active_frames, active_power, relative_power
from spira.features.params import WindowParams
from spira.features.rendering import Renderer, make_renderer
from spira_features import RATE, params

HOP = 160
WINDOW = WindowParams(seconds=4.0, step_seconds=2.0)


@cache
def renderer(kind: str, normalize: str = "active") -> Renderer:
    return make_renderer(params(kind=kind, normalize=normalize), WINDOW, RATE)


def render(waveform: np.ndarray, kind: str = "mel", normalize: str = "active") -> np.ndarray:
    return renderer(kind, normalize)(waveform.astype(np.float32)).numpy()


def speech(seed: int, seconds: float = 2.0, background_db: float = -45.0, edge_seconds: float = 0.1) -> np.ndarray:
    """Voiced syllables over a steady background, with pauses between them and at either end; float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    voiced = sum(np.sin(2 * np.pi * k * rng.uniform(110, 220) * t) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 4) * t), 0, 1) * rng.uniform(0.7, 1.0)
    inside = (t > edge_seconds) & (t < seconds - edge_seconds)
    background = 10 ** (background_db / 20) * rng.standard_normal(t.size)
    return (0.1 * (voiced * syllables * inside + background)).astype(np.float32)


KINDS = pytest.mark.parametrize("kind", ["mfcc", "mel", "spectrogram"])


@KINDS
@pytest.mark.parametrize("gain", [2.0**-4, 0.5, 2.0, 2.0**5])
def test_a_gain_of_a_power_of_two_changes_no_bit(kind: str, gain: float) -> None:
    """Every step scales exactly: no threshold, level or floor is absolute."""
    sound = speech(1)
    np.testing.assert_array_equal(render(np.float32(gain) * sound, kind), render(sound, kind))


@KINDS
@given(gain_db=st.floats(-12, 12), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_a_gain_changes_nothing_but_rounding(kind: str, gain_db: float, seed: int) -> None:
    """-12 to 12 dB: within 0.001 dB in every mel band. An MFCC is a sum of 40, and a bin may be 60 dB under another."""
    sound = speech(seed)
    louder, plain = render(10 ** (gain_db / 20) * sound, kind), render(sound, kind)
    np.testing.assert_allclose(louder, plain, atol={"mel": 0.001, "mfcc": 0.005, "spectrogram": 0.01}[kind])


@KINDS
def test_polarity_changes_nothing(kind: str) -> None:
    """Power has no sign."""
    np.testing.assert_array_equal(render(-speech(2), kind), render(speech(2), kind))


def tones(_: int) -> np.ndarray:
    """A sustained vowel, at its full level from the first sample to the last."""
    t = np.arange(2 * RATE) / RATE
    vowel = np.sum([np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12)], axis=0)
    return np.asarray(0.05 * vowel, np.float32)


def silence(_: float, n: int) -> np.ndarray:
    return np.zeros(n, np.float32)


def background(level: float, n: int) -> np.ndarray:
    """25 dB under the active level."""
    rng = np.random.default_rng(0)
    return (10 ** (-25 / 20) * level * rng.standard_normal(n)).astype(np.float32)


@KINDS
@pytest.mark.parametrize("sound", [speech, tones])
@pytest.mark.parametrize(("before", "after"), [(50, 0), (0, 50), (50, 50), (1, 3), (400, 400)])
def test_digital_silence_at_either_end_changes_no_frame(
    kind: str, sound: Callable[[int], np.ndarray], before: int, after: int
) -> None:
    """Beyond its ends a recording is taken to be silent, so that silence there is nothing new; to rounding."""
    clip = sound(3)
    padded = np.concatenate([silence(0, before * HOP), clip, silence(0, after * HOP)])
    got, expected = render(padded, kind), render(clip, kind)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=0.002)


@KINDS
@pytest.mark.parametrize(("before", "after"), [(50, 0), (0, 50), (50, 50)])
def test_background_at_either_end_changes_the_frames_at_the_edges_alone(kind: str, before: int, after: int) -> None:
    """Frames that share samples with it, three at either end; the level of the others moves by 0.01 dB."""
    clip = speech(4, edge_seconds=0.0)
    level = active_power(clip, RATE, 20.0) ** 0.5
    padded = np.concatenate([background(level, before * HOP), clip, background(level, after * HOP)])
    got, expected = render(padded, kind), render(clip, kind)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got[3:-3], expected[3:-3], atol=0.06 if kind == "mfcc" else 0.01)


def test_pauses_are_flat_and_what_is_behind_them_is_gone() -> None:
    """Inner inactive frames are -40 dB in every band, whatever the background; other cells are at least that."""
    hissing, quiet = (render(speech(5, background_db=db)) for db in (-35.0, -70.0))
    for rendered in (hissing, quiet):
        flat = (rendered == rendered[:, :1]).all(axis=1)
        assert 0.1 < flat.mean() < 0.8
        np.testing.assert_allclose(rendered[flat], -40, atol=1e-4)
        assert not flat[[0, -1]].any()
        assert rendered[~flat].min() >= -40.001
        loudest = 10 * np.log10((10 ** (rendered[~flat] / 10)).mean())
        assert loudest == pytest.approx(0, abs=0.01)  # the active level


def test_a_clip_is_the_same_beside_others() -> None:
    """Whatever was rendered before it."""
    rendered = make_renderer(params(normalize="active"), WINDOW, RATE)
    alone = rendered(speech(6))
    rendered(np.float32(30) * speech(7))
    assert torch.equal(rendered(speech(6)), alone)


@KINDS
def test_silence_is_flat_and_finite(kind: str) -> None:
    """Nothing is active, so there is no level: all frames are as pauses are, and none is cut off."""
    rendered = render(np.zeros(RATE, np.float32), kind)
    assert rendered.shape[0] == 101
    if kind == "mfcc":
        np.testing.assert_allclose(rendered[:, 0], -40 * 40**0.5, rtol=1e-5)
        np.testing.assert_allclose(rendered[:, 1:], 0, atol=1e-3)
    else:
        np.testing.assert_allclose(rendered, -40, atol=1e-4)


@pytest.mark.parametrize("time", [1, 100, 400, 601, 1600])
def test_a_very_short_clip_has_frames(time: int) -> None:
    """Shorter than the FFT too, whose reflection would need more samples: finite, and not padded to a window."""
    rendered = render(speech(8)[RATE // 2 :][:time])
    assert 1 <= len(rendered) <= 1 + time // HOP
    assert np.isfinite(rendered).all()


def test_no_frame_is_all_zero() -> None:
    """Zeros are the mark of what fills up a window."""
    for kind in ("mfcc", "mel", "spectrogram"):
        assert (render(speech(9), kind) != 0).any(axis=1).all()


def test_without_normalisation_a_short_clip_is_padded_to_a_window() -> None:
    """As it always was; with it, it is as long as its sound."""
    clip = speech(10)
    assert len(render(clip, normalize="none")) == 401
    assert len(render(clip)) < 201


@given(
    levels=st.lists(st.floats(-60, 0), min_size=1, max_size=120),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    gain=st.integers(-20, 20),
)
def test_what_is_active_stays_active_beside_silence_and_at_another_gain(
    levels: list[float], before: int, after: int, gain: int
) -> None:
    """Silence lowers no moving mean's maximum where the recording is as long as one, and a power of two scales it."""
    energy = 10 ** (np.array(levels * 20)[: max(20, len(levels))] / 10)
    padded = np.concatenate([np.zeros(before), energy, np.zeros(after)]) * 2.0**gain
    active = active_frames(energy, 0.01, 20.0)
    expected = np.concatenate([np.zeros(before, bool), active, np.zeros(after, bool)])
    np.testing.assert_array_equal(active_frames(padded, 0.01, 20.0), expected)


def test_a_click_is_no_reference() -> None:
    """One frame 30 dB above the rest is 17 dB above it in the mean of 0.2 s: the rest stays active at 20 dB."""
    energy = np.ones(100)
    energy[50] = 1000
    assert active_frames(energy, 0.01, 20.0).all()
    energy[50] = 10_000
    assert active_frames(energy, 0.01, 20.0).sum() == 1


def test_a_click_in_a_recording_is_no_reference_either() -> None:
    """5 ms of it, 29 dB above a vowel in one frame and 17 dB in 0.2 s: the vowel stays."""
    clip = tones(0)
    clicked = clip.copy()
    clicked[RATE : RATE + 80] += np.float32(2) * np.random.default_rng(0).standard_normal(80).astype(np.float32)
    assert len(render(clicked)) == len(render(clip))


@given(db=st.floats(1, 59))
def test_a_frame_is_active_down_to_the_given_level(db: float) -> None:
    """A little less below the reference it is, and a little more it is not."""
    energy = np.concatenate([np.ones(30), [10 ** (-(db - 0.01) / 10), 10 ** (-(db + 0.01) / 10)]])
    assert active_frames(energy, 0.01, db)[-2:].tolist() == [True, False]


def test_the_active_level_by_hand() -> None:
    """Half a second at full scale, half at half, the rest 40 dB below: the mean square is that of the loud second."""
    sound = np.concatenate([np.ones(RATE // 2), np.full(RATE // 2, 0.5), np.full(RATE, 0.01)]).astype(np.float32)
    sound[1::2] *= -1
    assert active_power(sound, RATE, 20.0) == pytest.approx((1 + 0.25) / 2, rel=0.02)
    assert active_power(np.zeros(RATE, np.float32), RATE, 20.0) == 0
    assert active_power(np.full(7, 0.5, np.float32), RATE, 20.0) == pytest.approx(0.25)


def test_a_spectrum_is_trimmed_and_relative_by_hand() -> None:
    """Two active frames of mean 4 and 8 with a pause between, silence around them: the level is 6."""
    power = np.array([[0, 0], [6, 2], [0.01, 0.03], [16, 0], [0, 0]], np.float32)
    expected = np.array([[1, 1 / 3], [1e-4, 1e-4], [16 / 6, 1e-4]], np.float32)
    np.testing.assert_allclose(relative_power(power, 0.2, 20.0), expected, rtol=1e-6)
