"""Resemblyzer's encoder agrees with one written in NumPy, and with Resemblyzer itself on its own weights."""

import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from random_encoders import sound, write_resemblyzer
from spira.encoders.params import EmbeddingParams
from spira.encoders.store import convert, load_encoder

PUBLISHED = "SPIRA_RESEMBLYZER"  # names the file pretrained.pt of Resemblyzer's wheel, for the test that needs it


def parameters(**changes: object) -> EmbeddingParams:
    committed = {"architecture": "resemblyzer", "file": "resemblyzer.safetensors", "layer": 6, "pool_frames": 1}
    return EmbeddingParams.model_validate(committed | changes)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def by_hand(waveform: np.ndarray, start: int, weights: dict[str, torch.Tensor]) -> np.ndarray:
    """One partial from mel frame ``start`` on: librosa's mel bands, three LSTMs step by step, float64; (256,)."""
    mel = librosa.feature.melspectrogram(y=waveform, sr=16_000, n_fft=400, hop_length=160, n_mels=40).T
    inputs = list(mel[start : start + 160].astype(np.float64))
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    for layer in range(3):
        h, c, outputs = np.zeros(256), np.zeros(256), []
        for x in inputs:
            gates = w[f"lstm.weight_ih_l{layer}"] @ x + w[f"lstm.bias_ih_l{layer}"]
            gates += w[f"lstm.weight_hh_l{layer}"] @ h + w[f"lstm.bias_hh_l{layer}"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            outputs.append(h)
        inputs = outputs
    raw = np.maximum(w["linear.weight"] @ inputs[-1] + w["linear.bias"], 0)
    return np.asarray(raw / np.linalg.norm(raw))


def test_it_agrees_with_librosa_and_an_lstm_by_hand(tmp_path: Path) -> None:
    """Every number of the first, a middle and the last partial, to float32 rounding over 160 steps."""
    weights = write_resemblyzer(tmp_path / "resemblyzer.safetensors")
    waveform = sound(2.5)
    frames = load_encoder(parameters(), tmp_path)(torch.from_numpy(waveform)).numpy()
    for row, start in ((0, 0), (1, 40), (3, 90)):  # 250 mel frames: the last partial is moved back to end with them
        np.testing.assert_allclose(frames[row], by_hand(waveform, start, weights), atol=2e-5)
    assert frames.shape == (4, 256)


@pytest.mark.parametrize(("seconds", "n_partials"), [(0.01, 1), (1.0, 1), (1.6, 1), (1.7, 2), (2.0, 2), (4.0, 7)])
def test_the_partials_cover_the_sound(tmp_path: Path, seconds: float, n_partials: int) -> None:
    """1.6 s every 0.4 s, the last to the end; of length 1 and never negative."""
    write_resemblyzer(tmp_path / "resemblyzer.safetensors")
    frames = load_encoder(parameters(), tmp_path)(torch.from_numpy(sound(seconds)))
    assert frames.shape == (n_partials, 256)
    torch.testing.assert_close(frames.square().sum(dim=1), torch.ones(n_partials))
    assert (frames >= 0).all()


def test_silence_has_finite_numbers(tmp_path: Path) -> None:
    """Also where no number of an embedding is above zero, so that it has no direction."""
    write_resemblyzer(tmp_path / "resemblyzer.safetensors", {"linear.bias": torch.full((256,), -9.0)})
    frames = load_encoder(parameters(), tmp_path)(torch.zeros(16_000))
    assert torch.equal(frames, torch.zeros(1, 256))


@pytest.mark.skipif(PUBLISHED not in os.environ, reason=f"{PUBLISHED} names no pretrained.pt of Resemblyzer's wheel")
def test_on_the_published_weights_it_is_resemblyzer(tmp_path: Path) -> None:
    """What version 0.1.4's own code gave for the mel frames 40 to 199 of this sound, in a few figures."""
    convert("resemblyzer", Path(os.environ[PUBLISHED]), tmp_path / "resemblyzer.safetensors")
    last = load_encoder(parameters(), tmp_path)(torch.from_numpy(sound(2.0)))[-1]
    assert float(last.sum()) == pytest.approx(8.1797657, abs=1e-4)
    assert float(last.max()) == pytest.approx(0.2705242, abs=1e-5)
    assert int(last.argmax()) == 243
