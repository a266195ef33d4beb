"""A small convolutional network with statistics pooling, for tens to hundreds of speakers."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from spira.models.dropout import Dropout
from spira.models.params import PooledCnnParams
from spira.models.standardize import Standardize, padding


class PooledCnn(nn.Module):
    """One logit a window: convolutions over time, the mean and the deviation of each channel, a linear layer.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`.

    Coefficients are the channels of the first convolution. A layer is a convolution, a normalisation over the channels
    of each frame, a rectifier and dropout. What the pooling gives has one length however long the window is, so there
    is no large linear layer to fit. Frames of padding take no part, neither in a convolution, which sees zeros beyond
    a clip's end, nor in the pooling: a window has the same logit however far it is filled up.

    Source:
        Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP 2018 (convolutions over
        time, then mean and deviation). The sizes and the normalisation of each frame (Ba et al., "Layer
        normalization", 2016) are ours.
    """

    def __init__(self, p: PooledCnnParams, n_features: int) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        sizes = zip((n_features, *p.channels), p.channels, p.kernels, p.strides, p.dilations, strict=False)
        self.layers = nn.ModuleList(ConvTime(*size, p.dropout) for size in sizes)
        self.dropout = Dropout(p.dropout)
        self.classify = nn.Linear(2 * p.channels[-1], 1)

    def forward(self, windows: Tensor) -> Tensor:
        frames, sound = self.standardize(windows).transpose(1, 2), ~padding(windows).transpose(1, 2)
        for layer in self.layers:
            frames, sound = layer(frames, sound)
        logits: Tensor = self.classify(self.dropout(mean_and_deviation(frames, sound))).squeeze(1)
        return logits


class ConvTime(nn.Module):
    """A convolution over time, a normalisation of each frame, a rectifier and dropout.

    ``forward``: frames (batch, n_in, n_frames) and which of them are sound, (batch, 1, n_frames) -> the same of
    (batch, n_out, ceil(n_frames / stride)). There are zeros beyond either end, and where there is no sound.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, dilation: int, dropout: float) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride=stride, padding=reach, dilation=dilation)
        self.norm = nn.LayerNorm(n_out)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        normalised = self.norm(self.conv(frames).transpose(1, 2)).transpose(1, 2)
        sound = sound[:, :, :: self.conv.stride[0]]  # each is centred on one of the frames that it is given
        return self.dropout(relu(normalised)).where(sound, 0.0), sound


def mean_and_deviation(frames: Tensor, sound: Tensor) -> Tensor:
    """Each channel's mean and deviation over the frames of sound.

    Args:
        frames: shape (batch, n_channels, n_frames), 0 where there is no sound.
        sound: shape (batch, 1, n_frames).

    Returns:
        Shape (batch, 2 * n_channels), all means first; finite also where a window has no sound.
    """
    n = sound.sum(dim=2).clamp(min=1)
    mean = frames.sum(dim=2) / n
    variance = (frames - mean[:, :, None]).where(sound, 0.0).square().sum(dim=2) / n + 1e-5  # so 0 has a gradient
    return torch.cat([mean, variance * variance.rsqrt()], dim=1)  # not sqrt, which is MKL's: see base/arithmetic.py
