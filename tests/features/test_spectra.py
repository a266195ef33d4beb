"""Features agree with librosa, and a window's are the same alone as in a batch."""

import warnings

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct
from torchaudio.transforms import MFCC, AmplitudeToDB, MelSpectrogram, Spectrogram

from spira.features.params import FeatureParams
from spira.features.spectra import Frames
from spira_features import RATE, params


def compute_frames(waveform: np.ndarray, p: FeatureParams) -> np.ndarray:
    return np.asarray(Frames(p, RATE)(torch.from_numpy(waveform)))


@pytest.fixture
def waveform() -> np.ndarray:
    """4 s of a gliding tone in noise, so that no band is empty."""
    rng = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    return (0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) + 0.02 * rng.standard_normal(t.size)).astype(np.float32)


def reference_mel_db(waveform: np.ndarray, p: FeatureParams) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=RATE,
        n_fft=p.n_fft,
        win_length=p.win_length,
        hop_length=p.hop_length,
        n_mels=p.n_mels,
        fmin=p.f_min,
        fmax=p.f_max,
        htk=True,
        norm=None,
        pad_mode="reflect",
    )
    return np.asarray(librosa.power_to_db(mel, amin=1e-10, top_db=None)).T


def test_four_seconds_give_401_frames_of_40(waveform: np.ndarray) -> None:
    """SPIRA's published layout: 64,000 samples, 401 frames, 40 coefficients."""
    assert compute_frames(waveform, params()).shape == (401, 40)


@pytest.mark.parametrize("band", [(0.0, 8000.0), (50.0, 4000.0)])
def test_mel_agrees_with_librosa(waveform: np.ndarray, band: tuple[float, float]) -> None:
    """An independent STFT and mel bank give the same decibels, to float32 rounding of a power (0.01 dB)."""
    p = params(kind="mel", f_min=band[0], f_max=band[1])
    np.testing.assert_allclose(compute_frames(waveform, p), reference_mel_db(waveform, p), atol=0.01)


@pytest.mark.ml_test_score("Data 7")
def test_mfcc_agrees_with_librosa_and_scipy(waveform: np.ndarray) -> None:
    """The orthonormal DCT-II of librosa's mel decibels; 40 sums of 0.01 dB make the tolerance."""
    expected = dct(reference_mel_db(waveform, params()), norm="ortho", axis=1)
    np.testing.assert_allclose(compute_frames(waveform, params()), expected, atol=0.05)


def test_spectrogram_agrees_with_librosa(waveform: np.ndarray) -> None:
    """Log power of the same STFT, in every cell that rounding does not decide (over -60 dB, the peak being +40)."""
    p = params(kind="spectrogram")
    stft = librosa.stft(waveform, n_fft=p.n_fft, win_length=p.win_length, hop_length=p.hop_length, pad_mode="reflect")
    expected = 10 * np.log10(np.maximum(np.abs(stft) ** 2, 1e-10)).T
    audible = expected > -60
    assert audible.mean() > 0.99
    np.testing.assert_allclose(compute_frames(waveform, p)[audible], expected[audible], atol=0.05)


def torchaudios(p: FeatureParams) -> torch.nn.Module:
    """What torchaudio's transforms make of the same parameters, with an absolute floor."""
    stft = {"n_fft": p.n_fft, "win_length": p.win_length, "hop_length": p.hop_length}
    mel = {"f_min": p.f_min, "f_max": p.f_max, "n_mels": p.n_mels}
    if p.kind == "mfcc":
        mfcc: torch.nn.Module = MFCC(RATE, p.n_mfcc, melkwargs=stft | mel)
        mfcc.amplitude_to_DB = AmplitudeToDB("power", top_db=None)
        return mfcc
    transform = MelSpectrogram(RATE, **stft, **mel) if p.kind == "mel" else Spectrogram(**stft)
    return torch.nn.Sequential(transform, AmplitudeToDB("power", top_db=None))


@pytest.mark.ml_test_score("Data 7")
@pytest.mark.parametrize(
    ("kind", "n_fft", "win_length", "hop_length"),
    [
        ("mfcc", 1200, 400, 160),
        ("mel", 1200, 400, 160),
        ("mel", 512, 400, 160),
        ("mel", 1024, 255, 100),
        ("mel", 801, 200, 80),
        ("spectrogram", 1200, 400, 160),
    ],
)
@given(n_samples=st.integers(700, 40_000))
@settings(max_examples=10, deadline=None)
def test_the_numbers_are_torchaudios(kind: str, n_fft: int, win_length: int, hop_length: int, n_samples: int) -> None:
    """Fewer points and blocks of frames change nothing but rounding, whatever the clip's length."""
    p = params(kind=kind, n_fft=n_fft, win_length=win_length, hop_length=hop_length, f_max=7600.0)
    rng = np.random.default_rng(n_samples)
    sound = torch.from_numpy(rng.normal(0, 0.1, n_samples).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of 40 mel bands are empty at 512 points, for both
        ours, theirs = Frames(p, RATE)(sound), torchaudios(p)(sound).T
    theirs = theirs[:, p.bins(RATE)] if kind == "spectrogram" else theirs
    audible = theirs > {"mfcc": -float("inf"), "mel": -60, "spectrogram": -30}[kind]  # below, rounding decides
    torch.testing.assert_close(ours[audible], theirs[audible], atol=2e-3, rtol=0)
    assert ours.shape == theirs.shape


def test_a_quiet_band_keeps_its_decibels_beside_a_loud_one() -> None:
    """The fold of 800 points into 1200 adds and subtracts: 60 dB under a loud tone it is still right to 0.05 dB."""
    t = np.arange(RATE) / RATE
    sound = np.sin(2 * np.pi * 440 * t) + 1e-3 * np.sin(2 * np.pi * 5000 * t)
    p = params(kind="mel")
    exact = torchaudios(p).double()(torch.from_numpy(sound)).T
    near = exact > exact.max() - 80
    torch.testing.assert_close(
        compute_frames(sound.astype(np.float32), p)[near.numpy()], exact[near].float().numpy(), atol=0.05, rtol=0
    )


@pytest.mark.parametrize("kind", ["mfcc", "mel", "spectrogram"])
def test_a_frame_does_not_know_how_loud_the_clip_is_elsewhere(waveform: np.ndarray, kind: str) -> None:
    """torchaudio's ``top_db`` cuts at the maximum of its whole block: there, these differ by hundreds of dB."""
    quiet = waveform * np.float32(1e-3)
    beside = np.concatenate([quiet, waveform * np.float32(1e3)])
    alone = compute_frames(quiet, params(kind=kind))
    np.testing.assert_allclose(compute_frames(beside, params(kind=kind))[:390], alone[:390], atol=1e-3)


@pytest.mark.parametrize("kind", ["mfcc", "mel", "spectrogram"])
def test_the_band_reaches_every_kind(waveform: np.ndarray, kind: str) -> None:
    """A tone outside [f_min, f_max] changes nothing; in SPIRA's versions the limits reached some kinds only."""
    p = params(kind=kind, f_min=100.0, f_max=3000.0)
    tone = 0.5 * np.sin(2 * np.pi * 6000 * np.arange(waveform.size) / RATE)
    with_tone = compute_frames((waveform + tone).astype(np.float32), p)[5:-5]  # the padded ends break the tone
    np.testing.assert_allclose(with_tone, compute_frames(waveform, p)[5:-5], atol=0.5)
    assert with_tone.shape[1] == p.n_features(RATE)


def test_a_spectrogram_keeps_the_bins_inside_the_band() -> None:
    """1200 points at 16 kHz are 13.3 Hz apart: 100 to 3000 Hz are bins 8 to 225."""
    assert params(kind="spectrogram", f_min=100.0, f_max=3000.0).bins(RATE) == slice(8, 226)


def test_silence_is_finite() -> None:
    """Digital silence is -100 dB in every band, not minus infinity."""
    mel = compute_frames(np.zeros(RATE, np.float32), params(kind="mel"))
    np.testing.assert_allclose(mel, -100.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_mels": 700}, r"n_mels: must be in \[1, 601\] for n_fft=1200, got 700"),
        ({"win_length": 1201}, r"win_length: must not exceed n_fft=1200, got 1201"),
        ({"hop_length": 401}, r"hop_length: must not exceed win_length=400"),
        ({"n_mfcc": 41}, r"n_mfcc: must be in \[1, 40\] for n_mels=40, got 41"),
        ({"f_min": 8000.0}, r"f_min: must be below f_max=8000.0, got 8000.0"),
    ],
)
def test_an_impossible_layout_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    """The key, what was expected, what was found."""
    with pytest.raises(ValueError, match=message):
        params(**changes)
