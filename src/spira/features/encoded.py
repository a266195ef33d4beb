"""Waveforms -> frames of a frozen encoder, in the place of a spectrum's."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spira.encoders.encoder import Encoder
from spira.features.activity import at_active_level
from spira.features.params import FeatureParams


@dataclass(frozen=True)
class EncodedFrames:
    """What a frozen encoder makes of a waveform, one row a frame.

    ``frames(waveform)``: samples in [-1, 1], shape (time,) -> shape (n_frames, width), float32.

    With ``features.normalize=active`` the encoder is given the sound alone, from the first active frame to the last, at
    one active level (``at_active_level``). Pauses in it stay as they were recorded.
    """

    encoder: Encoder
    features: FeatureParams
    sample_rate: int

    def __call__(self, waveform: Tensor) -> Tensor:
        sound = waveform.numpy()
        if self.features.normalize == "active":
            sound = at_active_level(sound, self.sample_rate, self.features.active_db)
        return self.encoder(torch.from_numpy(np.ascontiguousarray(sound)))
