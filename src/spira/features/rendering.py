"""Waveform -> the frames that a model sees: the one path, for training and for every later use of a model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.clips.noise_bank import NoiseBank
from spira.encoders.encoder import Encoder
from spira.features.activity import active_power
from spira.features.encoded import EncodedFrames
from spira.features.noise import NoiseParams, clip_generator, insert_noise
from spira.features.params import FeatureParams, WindowParams
from spira.features.spectra import Frames


@dataclass(frozen=True)
class Renderer:
    """Renders a waveform as frames, the same whatever is rendered before or beside it.

    ``renderer(waveform)``: shape (time,) -> (n_frames, n_features), float32.
    """

    frames: Callable[[Tensor], Tensor]  # ``Frames`` or ``EncodedFrames``
    shortest: int  # samples; a shorter waveform is padded with silence

    @torch.inference_mode()
    def __call__(self, waveform: Waveform) -> Tensor:
        rendered: Tensor = self.frames(torch.from_numpy(np.ascontiguousarray(self.padded(waveform))))
        return rendered

    def padded(self, waveform: Waveform) -> Waveform:
        """The waveform with silence behind it, where it is shorter than ``shortest``."""
        return np.pad(waveform, (0, max(0, self.shortest - waveform.size)))


def make_renderer(
    features: FeatureParams, windows: WindowParams, sample_rate: int, encoder: Encoder | None = None
) -> Renderer:
    """The renderer of params.yaml's features.

    Without normalisation a waveform shorter than a window is padded before noise is inserted, so that noise fills the
    window. With it, padding would be cut off again: noise lies behind the recording alone, and ``Windows.batch`` fills
    the window with zeros.

    Args:
        features: kind, and what frames are relative to.
        windows: the length that a shorter clip is padded to without normalisation.
        sample_rate: Hz.
        encoder: of ``load_encoder``, where the kind is ``embedding``; None where it is a spectrum.

    Raises:
        ValueError: the kind and the encoder do not belong together.
    """
    if (features.kind == "embedding") != (encoder is not None):
        raise ValueError(f"encoder: must be given where features.kind is embedding and only there, got {features.kind}")
    shortest = windows.samples(sample_rate) if features.normalize == "none" else 0
    frames = EncodedFrames(encoder, features, sample_rate) if encoder else Frames(features, sample_rate)
    return Renderer(frames, shortest)


@dataclass(frozen=True)
class NoiseInserter:
    """Adds recordings of noise to a clip; which ones depends on the seed, the clip's name and the view alone."""

    bank: NoiseBank
    p: NoiseParams
    sample_rate: int
    active_db: float  # of the features: one definition of what is active

    def __call__(self, waveform: Waveform, clip_id: str, *, view: int, n_noises: int) -> Waveform:
        rng = clip_generator(self.p.seed, clip_id, view)
        by_ratio = n_noises > 0 and self.p.level == "snr"
        power = active_power(waveform, self.sample_rate, self.active_db) if by_ratio else None
        return insert_noise(waveform, self.bank, n_noises, self.p, rng, power)
