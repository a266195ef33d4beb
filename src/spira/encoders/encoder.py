"""A frozen encoder with its pooling over time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Encoder:
    """Makes frames of a waveform: the encoder's own, or the mean of every ``pool_frames`` neighbours.

    ``encoder(waveform)``: samples at 16 kHz, shape (time,), time >= 1 -> (n_frames, width), float32. Where the number
    of the encoder's own frames is no multiple of ``pool_frames``, the last frame is the mean of those left.
    """

    net: nn.Module  # (time,) -> (n_own_frames, width); no gradient
    pool_frames: int

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> Tensor:
        own: Tensor = self.net(waveform)
        return own if self.pool_frames == 1 else torch.stack([some.mean(dim=0) for some in own.split(self.pool_frames)])
