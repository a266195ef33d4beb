"""Frames of an encoder behave as a spectrum's do: neither gain nor silence moves them, and a window is as long."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from random_encoders import sound, write_resemblyzer
from spira.encoders.encoder import Encoder
from spira.encoders.params import LAYOUTS, Architecture, EmbeddingParams
from spira.encoders.store import load_encoder
from spira.features.activity import active_power
from spira.features.params import WindowParams, frame_shape
from spira.features.rendering import make_renderer
from spira_features import RATE, params

WINDOW = WindowParams(seconds=4.0, step_seconds=2.0)


class Samples(nn.Module):
    """Gives the samples that it is given, one a frame."""

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform[:, None]


class Sums(nn.Module):
    """Gives as many frames as an encoder of a layout that is not padded, each the sum of its samples."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layout = LAYOUTS[architecture]

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform.unfold(0, self.layout.context, self.layout.hop_length).sum(dim=1, keepdim=True)


def encoded(waveform: np.ndarray, normalize: str = "active", encoder: Encoder | None = None) -> np.ndarray:
    renderer = make_renderer(
        params(kind="embedding", normalize=normalize), WINDOW, RATE, encoder or Encoder(Samples(), 1)
    )
    return renderer(waveform.astype(np.float32)).numpy()


@pytest.mark.parametrize("gain", [2.0**-4, 0.5, 2.0, 2.0**5])
def test_a_gain_of_a_power_of_two_changes_no_bit(gain: float) -> None:
    """What the encoder is given has one level."""
    np.testing.assert_array_equal(encoded(gain * sound(2.0)), encoded(sound(2.0)))


def test_silence_around_the_sound_is_cut_off() -> None:
    """As much as it is: the encoder is given the same samples, from the first active frame to the last."""
    clip = sound(2.0)
    padded = np.concatenate([np.zeros(50 * 160), clip, np.zeros(30 * 160)])
    np.testing.assert_allclose(encoded(padded), encoded(clip), rtol=1e-5)
    assert 0.8 * clip.size < len(encoded(clip)) < clip.size + 400  # of a frame that begins in the silence


def test_what_the_encoder_is_given_is_at_30_db_below_full_scale() -> None:
    """Where there is speech; to a percent, for the frames move with the cut."""
    assert active_power(encoded(sound(2.0))[:, 0], RATE, 20.0) == pytest.approx(1e-3, rel=0.01)


def test_silence_is_given_as_it_is() -> None:
    """It has no level, and no beginning."""
    np.testing.assert_array_equal(encoded(np.zeros(8000)), np.zeros((8000, 1)))


def test_without_normalisation_the_encoder_is_given_the_recording() -> None:
    """Padded to a window, as for a spectrum."""
    clip = sound(1.0)
    np.testing.assert_array_equal(encoded(clip, "none")[:, 0], np.pad(clip, (0, 3 * RATE)))


@pytest.mark.parametrize("pool_frames", [1, 2])
@pytest.mark.parametrize("architecture", LAYOUTS)
def test_a_window_of_four_seconds_has_the_frames_of_four_seconds(architecture: Architecture, pool_frames: int) -> None:
    """As many as the encoder makes of a clip of that length, and a pooled one more where some are left over."""
    p = EmbeddingParams(architecture=architecture, file="none", layer=6, pool_frames=pool_frames)
    shape = frame_shape(params(kind="embedding"), p, RATE)
    length, step = WINDOW.frames(RATE, shape)
    frames = Encoder(Sums(architecture), pool_frames)(torch.ones(4 * RATE))
    own = len(Sums(architecture)(torch.ones(4 * RATE)))
    assert length == own // pool_frames
    assert len(frames) == -(-own // pool_frames)
    assert step == 2 * RATE // shape.hop_length
    assert shape.n_features == LAYOUTS[architecture].width


def test_a_real_encoder_makes_the_frames_that_a_window_counts(tmp_path: Path) -> None:
    """Seven of 4 s, of Resemblyzer's 1.6 s every 0.4 s."""
    write_resemblyzer(tmp_path / "e.safetensors")
    p = EmbeddingParams(architecture="resemblyzer", file="e.safetensors", layer=6, pool_frames=1)
    rendered = encoded(sound(4.0), "none", load_encoder(p, tmp_path))
    assert rendered.shape == (7, 256)
    assert WINDOW.frames(RATE, frame_shape(params(kind="embedding"), p, RATE))[0] == 7


def test_a_kind_without_its_encoder_is_refused() -> None:
    """Else an embedding would silently be a spectrum, or a spectrum an embedding."""
    for kind, encoder in (("embedding", None), ("mel", Encoder(Samples(), 1))):
        with pytest.raises(ValueError, match=rf"encoder: must be given where .* only there, got {kind}"):
            make_renderer(params(kind=kind), WINDOW, RATE, encoder)
