"""Inserted noise depends on the seed, the clip and the view; never on the label, the position or the neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spira.clips.noise_bank import NoiseBank
from spira.features.conditions import CONDITIONS
from spira.features.noise import NoiseParams, clip_generator, insert_noise

P = NoiseParams(seed=0, views=2, clean_weight=0.5, n_patient=3, n_control=3, min_peak=0.0335, max_peak=0.1923)


def make_bank(*lengths: int) -> NoiseBank:
    rng = np.random.default_rng(7)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).tolist()
    return NoiseBank(rng.uniform(-0.5, 0.5, sum(lengths)).astype(np.float32), tuple(starts), lengths)


BANK = make_bank(5000, 300, 12_000)
SILENCE = np.zeros(4000, np.float32)


def inserted_noise(clip_id: str, view: int = 0, n_noises: int = 3, p: NoiseParams = P) -> np.ndarray:
    return insert_noise(SILENCE, BANK, n_noises, p, clip_generator(p.seed, clip_id, view))


@given(clip_id=st.text(min_size=1), view=st.integers(0, 5))
def test_each_noise_peaks_where_it_was_drawn_to(clip_id: str, view: int) -> None:
    """One inserted noise has a peak in [0.0335, 0.1923], SPIRA's range."""
    peak = np.abs(inserted_noise(clip_id, view, n_noises=1)).max()
    assert P.min_peak - 1e-6 <= peak <= P.max_peak + 1e-6


def test_peaks_are_drawn_evenly() -> None:
    """Over many clips the peak is U(0.0335, 0.1923): its mean is 0.1129 and its ends are reached."""
    peaks = [np.abs(inserted_noise(f"clip {i}", n_noises=1)).max() for i in range(2000)]
    assert np.mean(peaks) == pytest.approx((P.min_peak + P.max_peak) / 2, abs=0.004)  # 4 standard errors
    assert min(peaks) < 0.035
    assert max(peaks) > 0.191


def test_the_draw_depends_on_seed_clip_and_view_and_on_nothing_else() -> None:
    """Position, neighbours and earlier draws leave no trace; seed, clip and view each change it."""
    first = inserted_noise("a.wav")
    inserted_noise("b.wav")
    np.testing.assert_array_equal(inserted_noise("a.wav"), first)
    for other in (
        inserted_noise("b.wav"),
        inserted_noise("a.wav", view=1),
        inserted_noise("a.wav", p=P.model_copy(update={"seed": 1})),
    ):
        assert not np.allclose(other, first)


def test_the_noise_is_added_and_the_speech_left_alone() -> None:
    """Clean speech plus what silence would get: no scaling, no clipping, and the input is not written to."""
    speech = np.random.default_rng(1).uniform(-0.9, 0.9, 4000).astype(np.float32)
    before = speech.copy()
    noisy = insert_noise(speech, BANK, 3, P, clip_generator(0, "a.wav", 0))
    np.testing.assert_allclose(noisy - speech, inserted_noise("a.wav"), atol=1e-6)
    np.testing.assert_array_equal(speech, before)


def test_fewer_noises_are_the_first_of_more() -> None:
    """What the third noise adds is one recording's worth: the first two are unchanged by it."""
    third = inserted_noise("a.wav", n_noises=3) - inserted_noise("a.wav", n_noises=2)
    assert np.abs(third).max() <= P.max_peak + 1e-6


def test_a_short_recording_is_looped_over_the_whole_clip() -> None:
    """300 samples of noise cover 4000 samples of speech, period 300, with no silent tail."""
    looped = insert_noise(SILENCE, make_bank(300), 1, P, clip_generator(0, "a.wav", 0))
    np.testing.assert_allclose(looped[300:], looped[:-300])
    assert np.abs(looped[-300:]).max() > P.min_peak / 2


@given(n_samples=st.integers(1, 40), time=st.integers(1, 90), seed=st.integers(0, 99))
def test_a_loop_is_the_recording_repeated_and_cut(n_samples: int, time: int, seed: int) -> None:
    """Wherever it starts, however long the clip, against the plainest form; an end just at the recording's too."""
    samples = np.random.default_rng(7).uniform(0.4, 0.5, n_samples).astype(np.float32)
    bank = NoiseBank(samples, (0,), (n_samples,))
    looped = insert_noise(np.zeros(time, np.float32), bank, 1, P, clip_generator(seed, "", 0))
    rng = clip_generator(seed, "", 0)
    rng.integers(1)
    start = int(rng.integers(n_samples))
    plain = np.tile(samples, 1 + (start + time) // n_samples)[start : start + time]
    np.testing.assert_array_equal(looped, plain * np.float32(rng.uniform(P.min_peak, P.max_peak) / plain.max()))


def test_a_recording_that_is_mostly_silent_is_inserted_where_it_is_not() -> None:
    """A stretch 40 dB under the recording's peak is drawn again, never amplified to the peak."""
    samples = np.full(100_000, 1e-6, np.float32)
    samples[50_000:50_100] = np.random.default_rng(3).uniform(-0.5, 0.5, 100)
    bank = NoiseBank(samples, (0,), (samples.size,))
    for i in range(20):
        noise = insert_noise(SILENCE, bank, 1, P, clip_generator(0, f"{i}", 0))
        assert np.median(np.abs(noise)) < 1e-4


@pytest.mark.ml_test_score("Data 4")
def test_the_same_number_of_noises_for_both_classes_by_default() -> None:
    """Preprocessing is blind to the label; only ``noisy_controls``, SPIRA's own test, is not."""
    for condition in CONDITIONS:
        counts = [P.n_noises(label, condition) for label in (0, 1)]
        assert counts == {"clean": [0, 0], "noisy": [3, 3], "noisy_controls": [3, 0]}[condition]


def test_no_noise_gives_the_clip_back() -> None:
    """Zero noises are zero change."""
    assert not inserted_noise("a.wav", n_noises=0).any()


def test_the_range_of_peaks_must_be_a_range() -> None:
    """Swapped ends are named."""
    with pytest.raises(ValueError, match=r"min_peak: must not exceed max_peak=0\.01, got 0\.0335"):
        NoiseParams(seed=0, views=1, clean_weight=0.5, n_patient=1, n_control=1, min_peak=0.0335, max_peak=0.01)
