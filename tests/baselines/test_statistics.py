"""The baseline's numbers are what they are said to be, finite for any clip, and a clip's score is its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import dct

from spira.base.array_types import Float32s, Floats
from spira.base.errors import DataError
from spira.baselines.statistics import (
    MODULATIONS,
    FrameLayout,
    Regression,
    Statistics,
    clip_statistics,
    distribution,
    modulation,
    pauses,
    runs,
)
from spira.models.params import Block
from spira.models.store import save_model
from spira.predictions.loading import load_model

RATE = 100.0  # frames a second
MFCC, MEL = FrameLayout("mfcc", 40, RATE), FrameLayout("mel", 40, RATE)
BLOCKS: tuple[Block, ...] = ("small", "large")


def bands(n_frames: int = 300, seed: int = 0) -> Floats:
    """Mel bands in dB about the active level, and a flat pause of 0.5 s in the middle of a clip that is long enough."""
    drawn: Floats = np.random.default_rng(seed).normal(-8, 6, (n_frames, 40))
    drawn[n_frames // 2 : n_frames // 2 + (50 if n_frames > 100 else 0)] = -40.0
    return drawn


def mfcc(bands: Floats) -> Float32s:
    """With scipy's DCT; torchaudio's is the same to rounding."""
    coefficients: Float32s = dct(bands, axis=1, norm="ortho").astype(np.float32)
    return coefficients


@pytest.mark.parametrize(("block", "n"), [("small", 79), ("large", 319)])
def test_a_block_has_its_numbers_in_order(block: Block, n: int) -> None:
    """Mean, deviation, quantiles, slopes, pauses and envelope; by numpy, one part after the other."""
    frames = mfcc(bands())
    numbers = clip_statistics(frames, block, MFCC)
    assert numbers.shape == (n,)
    assert numbers.dtype == np.float64
    x = frames.astype(np.float64)
    width = 20 if block == "small" else 40
    assert_allclose(numbers[:width], x[:, :width].mean(0))
    assert_allclose(numbers[width : 2 * width], x[:, :width].std(0))
    if block == "large":
        assert_allclose(numbers[2 * 40 : 3 * 40], np.quantile(x, 0.05, axis=0))
        assert_allclose(numbers[6 * 40 : 7 * 40], np.quantile(x, 0.95, axis=0))
    assert_allclose(numbers[-39:-19], (x[1:, :20] - x[:-1, :20]).std(0))
    assert_allclose(numbers[-19], 50 / 300)  # the share of inactive frames


def test_the_envelope_and_the_pauses_are_the_same_whatever_the_features() -> None:
    """The mean over bands, from bands and from their DCT; a frame made flat is inactive in both."""
    mels = bands()
    assert_allclose(MFCC.envelope(mfcc(mels).astype(np.float64)), MEL.envelope(mels), atol=1e-5)
    inactive = MFCC.inactive(mfcc(mels).astype(np.float64))
    assert_array_equal(inactive, MEL.inactive(mels.astype(np.float32).astype(np.float64)))
    assert np.flatnonzero(inactive).tolist() == list(range(150, 200))
    assert_allclose(
        clip_statistics(mfcc(mels), "small", MFCC)[-19:],
        clip_statistics(mels.astype(np.float32), "small", MEL)[-19:],
        rtol=1e-5,
        atol=1e-5,
    )


def test_pauses_by_hand() -> None:
    """Two pauses of 0.2 and 0.4 s, and a closure of 0.05 s that is none, in 3 s of speech."""
    inactive = np.zeros(300, dtype=np.bool_)
    inactive[50:70] = inactive[100:140] = inactive[200:205] = True
    assert runs(inactive).tolist() == [20, 40, 5]
    assert runs(~inactive).tolist() == [50, 30, 60, 95]
    share, rate, *lengths, seconds = pauses(inactive, RATE)
    assert (share, rate) == (65 / 300, pytest.approx(2 / 3))
    sounding = np.array([0.5, 0.3, 0.6, 0.95])
    expected = np.log1p([0.3, 0.1, 0.4, sounding.mean(), sounding.std(), 0.95])
    assert_allclose(lengths, expected)
    assert seconds == pytest.approx(np.log(3))


def test_the_distribution_is_over_active_frames_and_ignores_the_level() -> None:
    """An exponential envelope has skewness 2 and deviation 1; 6 dB more change nothing."""
    envelope = np.random.default_rng(0).exponential(size=200_000)
    inactive = np.zeros(len(envelope), dtype=np.bool_)
    deviation, low, high, *_, skewness = distribution(envelope, inactive)
    assert_allclose([deviation, skewness], [1, 2], rtol=0.05)
    assert_allclose([low, high], [-np.log(0.9) - 1, -np.log(0.1) - 1], rtol=0.02)
    assert_allclose(distribution(envelope + 6, inactive), distribution(envelope, inactive), rtol=1e-6)
    quiet = np.concatenate([envelope, np.full(1000, -40.0)])
    with_pause = distribution(quiet, quiet < -30)
    assert_allclose(with_pause[:3], [deviation, low, high])


@pytest.mark.parametrize("band", range(4))
@pytest.mark.parametrize("n_frames", [300, 2000])
def test_a_modulation_is_found_in_its_band(band: int, n_frames: int) -> None:
    """An envelope that swings at the middle of a band has nine tenths of its power there, in clips of any length."""
    hertz = np.mean(MODULATIONS[band])
    shares = np.exp(modulation(10 * np.sin(2 * np.pi * hertz * np.arange(n_frames) / RATE), RATE))
    assert shares[band] > 0.9
    assert shares.sum() < 1.01


EDGES: dict[str, Floats] = {
    "one frame": bands(1),
    "two frames": bands(2),
    "nothing active": np.full((50, 40), -40.0),
    "a constant sound": np.tile(np.linspace(-20, 0, 40), (50, 1)),
    "one active frame": np.concatenate([np.full((20, 40), -40.0), bands(1)]),
    "digital silence": np.full((50, 40), -100.0),
    "a very long clip": bands(30_000),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("block", BLOCKS)
def test_every_clip_has_finite_numbers(name: str, block: Block) -> None:
    """Without a warning, from either kind of features, and of bands fewer than twenty or one."""
    mels = EDGES[name]
    for frames, layout in ((mfcc(mels), MFCC), (mels.astype(np.float32), MEL)):
        assert np.isfinite(clip_statistics(frames, block, layout)).all()
        for width in (1, 12):
            assert np.isfinite(clip_statistics(frames[:, :width], block, layout)).all()


def test_frames_of_a_sound_are_not_inactive_without_normalisation() -> None:
    """With ``normalize: none`` the pause numbers are 0 but for the stretch of sound: nothing is flat."""
    numbers = pauses(MFCC.inactive(np.random.default_rng(0).normal(-60, 9, (200, 40))), RATE)
    assert_allclose(numbers, [0, 0, 0, 0, 0, np.log1p(2), 0, np.log1p(2), np.log(2)])


def fitted(block: Block = "small") -> Statistics:
    n, rng = (79, 319)[block == "large"], np.random.default_rng(1)
    regression = Regression(rng.normal(size=n), rng.uniform(0.5, 2, n), rng.normal(0, 0.1, n), 0.25)
    return Statistics(block, MFCC, regression)


def save(model: Statistics, folder: Path) -> None:
    regression = model.regression
    weights = {name: torch.from_numpy(getattr(regression, name)) for name in ("centre", "spread", "weight")}
    facts: dict[str, Any] = {"model": "statistics", "block": model.block, "sample_rate": 16_000}
    facts["n_statistics"] = 79 if model.block == "small" else 319
    facts["features"] = {"kind": "mfcc", "n_mels": 40, "hop_length": 160}
    save_model(weights | {"bias": torch.tensor(regression.bias, dtype=torch.float64)}, facts, folder)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_saved_baseline_gives_the_same_scores(block: Block, tmp_path: Path) -> None:
    """In every bit: its numbers are saved as they are, in float64, and no pickle is."""
    save(fitted(block), tmp_path)
    loaded, frames = load_model(tmp_path, torch.device("cpu"), "torch"), mfcc(bands())
    assert isinstance(loaded, Statistics)
    assert loaded.layout == MFCC
    assert loaded.probability(frames) == fitted(block).probability(frames)
    assert 0 < loaded.probability(frames) < 1


def test_a_baseline_of_another_block_or_without_weights_is_refused(tmp_path: Path) -> None:
    """By the folder's name, before a score is made up."""
    save(replace(fitted("small"), block="large"), tmp_path)
    with pytest.raises(DataError, match=r"do not fit the model .*: centre must have 319 numbers, got shape \[79\]"):
        load_model(tmp_path, torch.device("cpu"), "torch")
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(DataError, match=r"weights\.safetensors: no such file; the stage fit writes it: dvc repro fit"):
        load_model(tmp_path, torch.device("cpu"), "torch")
