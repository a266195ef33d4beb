"""Standardised inputs: each coefficient at mean 0 and deviation 1 over the training frames."""

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """The first layer of every network; it changes nothing until its two buffers are set.

    ``forward``: (batch, n_frames, n_features) -> the same shape. A frame that is all zero is padding, and stays so.

    The buffers are saved with the weights, so a network and its inputs' scale are one file. They are no parameters:
    no gradient moves them. Without them coefficient 0 of an MFCC, an order of magnitude larger than the rest, fills
    the first normalisation of a network.

    Source:
        LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.3; training/standardization.py sets them.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))  # > 0

    def forward(self, windows: Tensor) -> Tensor:
        return ((windows - self.centre) / self.spread).masked_fill(padding(windows), 0.0)


def padding(windows: Tensor) -> Tensor:
    """Which frames are all zero, shape (batch, n_frames, 1): what fills a window up behind the end of its clip.

    No frame of a sound is: a decibel scale has its zero nowhere near silence.
    """
    return (windows == 0).all(dim=2, keepdim=True)
