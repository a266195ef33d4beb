"""Inserted noise depends on the seed, the clip and the view; never on the label, the position or the neighbours."""

from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spira.clips.noise_bank import NoiseBank, noise_groups
from spira.features.activity import active_power
from spira.features.conditions import CONDITIONS
from spira.features.noise import NoiseParams, clip_generator, divide, insert_noise
from spira.features.rendering import NoiseInserter
from spira_features import RATE

SECTION: dict[str, Any] = {
    "seed": 0,
    "views": 2,
    "clean_weight": 0.5,
    "n_patient": 3,
    "n_control": 3,
    "level": "peak",
    "snr_db": {"low": 0.0, "high": 20.0},
    "peak": {"low": 0.0335, "high": 0.1923},
    "unseen": 0.5,
}


def params(**changes: object) -> NoiseParams:
    return NoiseParams.model_validate(SECTION | changes)


P = params()
BY_RATIO = params(level="snr")


def make_bank(*lengths: int, groups: tuple[str, ...] = ()) -> NoiseBank:
    rng = np.random.default_rng(7)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).tolist()
    samples = rng.uniform(-0.5, 0.5, sum(lengths)).astype(np.float32)
    return NoiseBank(samples, tuple(starts), lengths, groups or tuple(map(str, range(len(lengths)))))


BANK = make_bank(5000, 300, 12_000)
SILENCE = np.zeros(4000, np.float32)


def inserted_noise(clip_id: str, view: int = 0, n_noises: int = 3, p: NoiseParams = P) -> np.ndarray:
    return insert_noise(SILENCE, BANK, n_noises, p, clip_generator(p.seed, clip_id, view), None)


@given(clip_id=st.text(min_size=1), view=st.integers(0, 5))
def test_each_noise_peaks_where_it_was_drawn_to(clip_id: str, view: int) -> None:
    """One inserted noise has a peak in [0.0335, 0.1923], SPIRA's range."""
    peak = np.abs(inserted_noise(clip_id, view, n_noises=1)).max()
    assert P.peak.low - 1e-6 <= peak <= P.peak.high + 1e-6


def test_peaks_are_drawn_evenly() -> None:
    """Over many clips the peak is U(0.0335, 0.1923): its mean is 0.1129 and its ends are reached."""
    peaks = [np.abs(inserted_noise(f"clip {i}", n_noises=1)).max() for i in range(2000)]
    assert np.mean(peaks) == pytest.approx((P.peak.low + P.peak.high) / 2, abs=0.004)  # 4 standard errors
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
    noisy = insert_noise(speech, BANK, 3, P, clip_generator(0, "a.wav", 0), None)
    np.testing.assert_allclose(noisy - speech, inserted_noise("a.wav"), atol=1e-6)
    np.testing.assert_array_equal(speech, before)


def test_fewer_noises_are_the_first_of_more() -> None:
    """What the third noise adds is one recording's worth: the first two are unchanged by it."""
    third = inserted_noise("a.wav", n_noises=3) - inserted_noise("a.wav", n_noises=2)
    assert np.abs(third).max() <= P.peak.high + 1e-6


def test_a_short_recording_is_looped_over_the_whole_clip() -> None:
    """300 samples of noise cover 4000 samples of speech, period 300, with no silent tail."""
    looped = insert_noise(SILENCE, make_bank(300), 1, P, clip_generator(0, "a.wav", 0), None)
    np.testing.assert_allclose(looped[300:], looped[:-300])
    assert np.abs(looped[-300:]).max() > P.peak.low / 2


@given(n_samples=st.integers(1, 40), time=st.integers(1, 90), seed=st.integers(0, 99))
def test_a_loop_is_the_recording_repeated_and_cut(n_samples: int, time: int, seed: int) -> None:
    """Wherever it starts, however long the clip, against the plainest form; an end just at the recording's too."""
    samples = np.random.default_rng(7).uniform(0.4, 0.5, n_samples).astype(np.float32)
    bank = NoiseBank(samples, (0,), (n_samples,), ("",))
    looped = insert_noise(np.zeros(time, np.float32), bank, 1, P, clip_generator(seed, "", 0), None)
    rng = clip_generator(seed, "", 0)
    rng.integers(1)
    start = int(rng.integers(n_samples))
    plain = np.tile(samples, 1 + (start + time) // n_samples)[start : start + time]
    np.testing.assert_array_equal(looped, plain * np.float32(rng.uniform(P.peak.low, P.peak.high) / plain.max()))


def test_a_recording_that_is_mostly_silent_is_inserted_where_it_is_not() -> None:
    """A stretch 40 dB under the recording's peak is drawn again, never amplified to the peak."""
    samples = np.full(100_000, 1e-6, np.float32)
    samples[50_000:50_100] = np.random.default_rng(3).uniform(-0.5, 0.5, 100)
    bank = NoiseBank(samples, (0,), (samples.size,), ("",))
    for i in range(20):
        noise = insert_noise(SILENCE, bank, 1, P, clip_generator(0, f"{i}", 0), None)
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


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"peak": {"low": 0.2, "high": 0.1}}, r"low: must not exceed high=0\.1, got 0\.2"),
        ({"snr_db": {"low": 20.0, "high": 0.0}}, r"low: must not exceed high=0\.0, got 20\.0"),
    ],
)
def test_a_range_must_be_a_range(section: dict[str, object], message: str) -> None:
    """Swapped ends are named."""
    with pytest.raises(ValueError, match=message):
        params(**section)


def voice(seed: int, seconds: float = 1.5) -> np.ndarray:
    """Syllables of noise with pauses between, as loud as a recording is."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    sound = rng.standard_normal(t.size) * (np.sin(2 * np.pi * 3 * t) > 0) + 0.01 * rng.standard_normal(t.size)
    return (0.05 * sound).astype(np.float32)


def added(waveform: np.ndarray, clip_id: str, n_noises: int = 1, p: NoiseParams = BY_RATIO) -> np.ndarray:
    """What is inserted into a waveform, in float64."""
    noisy = NoiseInserter(BANK, p, RATE, active_db=20.0)(waveform, clip_id, view=0, n_noises=n_noises)
    return np.asarray(noisy.astype(np.float64) - waveform)


def decibels(power: float) -> float:
    return 10 * float(np.log10(power))


@given(clip_id=st.text(min_size=1), ratio=st.floats(-20, 40), seed=st.integers(0, 20))
def test_a_noise_is_as_far_below_the_speech_as_drawn(clip_id: str, ratio: float, seed: int) -> None:
    """Mean square over the active frames to mean square of the noise, to 0.01 dB."""
    speech = voice(seed)
    p = params(level="snr", snr_db={"low": ratio, "high": ratio})
    measured = decibels(active_power(speech, RATE, 20.0)) - decibels(np.square(added(speech, clip_id, p=p)).mean())
    assert measured == pytest.approx(ratio, abs=0.01)


def test_ratios_are_drawn_evenly() -> None:
    """Over many clips U(0, 20) dB: its mean is 10 and its ends are reached."""
    speech = voice(1)
    level = decibels(active_power(speech, RATE, 20.0))
    ratios = [level - decibels(np.square(added(speech, f"clip {i}")).mean()) for i in range(1000)]
    assert np.mean(ratios) == pytest.approx(10, abs=4 * 20 / np.sqrt(12 * 1000))
    assert 0 <= min(ratios) + 0.01 < 0.2
    assert 19.8 < max(ratios) < 20.01


@pytest.mark.parametrize("gain", [0.25, 8.0])
def test_a_louder_recording_gets_louder_noise(gain: float) -> None:
    """By the same factor: a power of two exactly, so that the ratio is independent of the gain."""
    speech = voice(2)
    inserter = NoiseInserter(BANK, BY_RATIO, RATE, active_db=20.0)
    quiet, loud = (inserter(s, "a.wav", view=0, n_noises=3) for s in (speech, np.float32(gain) * speech))
    np.testing.assert_array_equal(loud, np.float32(gain) * quiet)


def test_silence_around_a_recording_makes_no_noise_quieter() -> None:
    """The level is that of the active frames: ten seconds of silence change it by no more than their edges do."""
    speech, silence = voice(3), np.zeros(10 * RATE, np.float32)
    padded = np.concatenate([silence, speech, silence])
    assert decibels(active_power(padded, RATE, 20.0)) == pytest.approx(
        decibels(active_power(speech, RATE, 20.0)), abs=0.1
    )


def test_by_ratio_fewer_noises_are_the_first_of_more() -> None:
    """And the draws are those of the peaks: the same recordings from the same starts."""
    speech = voice(4)
    one, two = added(speech, "a.wav", 1), added(speech, "a.wav", 2)
    peak = added(speech, "a.wav", 1, P)
    assert np.corrcoef(one, peak)[0, 1] > 0.9999
    second = decibels(active_power(speech, RATE, 20.0)) - decibels(np.square(two - one).mean())
    assert -0.01 <= second <= 20.01


def test_by_ratio_the_level_of_the_speech_must_be_known() -> None:
    """Nothing is taken for it."""
    with pytest.raises(ValueError, match=r"active_power: must be given for noise\.level=snr"):
        insert_noise(SILENCE, BANK, 1, BY_RATIO, clip_generator(0, "a.wav", 0), None)


@pytest.mark.parametrize(
    ("clean_weight", "expected"),
    [(0.5, {0: 0.5, 1: 0.25, 2: 0.25}), (0.0, {1: 0.5, 2: 0.5}), (1.0, {0: 1.0})],
)
def test_the_weights_of_training_views_sum_to_one(clean_weight: float, expected: dict[int, float]) -> None:
    """View 0 is the one without noise; what weighs nothing is not rendered."""
    p = params(clean_weight=clean_weight)
    assert p.training_views() == expected
    weights = [p.validation_weight(condition) for condition in CONDITIONS]
    assert weights == [clean_weight, 1 - clean_weight, 0.0]


@given(n=st.integers(2, 40), share=st.floats(0.01, 0.99), seed=st.integers(0, 99), n_groups=st.integers(2, 40))
def test_unseen_noise_shares_no_group_with_training(n: int, share: float, seed: int, n_groups: int) -> None:
    """Nor is any recording lost; at least one group is on either side, and the share is rounded up."""
    groups = tuple(f"ward {i % min(n, n_groups)}" for i in range(n))
    bank = make_bank(*[5] * n, groups=groups)
    training, test = divide(bank, params(unseen=share, seed=seed))
    assert not set(training.groups) & set(test.groups)
    assert sorted(training.starts + test.starts) == sorted(bank.starts)
    n_all, n_test = len(set(groups)), len(set(test.groups))
    assert 1 <= n_test <= n_all - 1
    assert n_test == min(n_all - 1, ceil(round(share * n_all, 9)))


def test_which_noise_is_unseen_depends_on_the_seed_and_the_names_alone() -> None:
    """Not on the order of the recordings; another seed draws others."""
    names = tuple(f"ward {i}" for i in range(10))
    unseen = {
        frozenset(divide(make_bank(*[5] * 10, groups=order), params(seed=seed)).test.groups)
        for seed in (0, 0, 1)
        for order in (names, names[::-1])
    }
    assert len(unseen) == 2


@pytest.mark.parametrize(("groups", "share"), [(("a", "b"), 0.0), (("a", "a"), 0.5)])
def test_noise_that_is_not_to_be_parted_is_used_everywhere(groups: tuple[str, ...], share: float) -> None:
    """The share is 0, or there is one source."""
    bank = make_bank(5, 5, groups=groups)
    training, test = divide(bank, params(unseen=share))
    assert training is test is bank


def test_recordings_of_one_source_are_a_group() -> None:
    """Where at least two sources are named; one of an unknown source is a group of its own."""
    names = ["a.wav", "b.wav", "c.wav", "d.wav"]
    parted = noise_groups(names, ["icu", "", "icu", "hall"])
    assert parted[0] == parted[2]
    assert len(set(parted)) == 3
    for one_source in (["icu"] * 4, ["icu", "", "", ""], [""] * 4):
        assert len(set(noise_groups(names, one_source))) == 4


def test_of_some_groups_the_recordings_are_the_same() -> None:
    """Their samples, and in the same order."""
    bank = make_bank(5, 6, 7, 8, groups=("a", "b", "a", "c"))
    kept = bank.keep({"a", "c"})
    assert len(kept) == 3
    for i, j in enumerate((0, 2, 3)):
        np.testing.assert_array_equal(kept.recording(i), bank.recording(j))
    assert kept.peaks == [bank.peaks[j] for j in (0, 2, 3)]
