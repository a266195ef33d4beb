"""A small convolutional network with statistics pooling, for tens to hundreds of speakers."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

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
        frames, sound = self.standardize(windows), ~padding(windows)
        for layer in self.layers:
            frames, sound = layer(frames, sound)
        logits: Tensor = self.classify(self.dropout(mean_and_deviation(frames, sound))).squeeze(1)
        return logits


class ConvTime(nn.Module):
    """A convolution over time, a normalisation of each frame, a rectifier and dropout.

    ``forward``: frames (batch, n_frames, n_in) and which of them are sound, (batch, n_frames, 1) -> the same of
    (batch, ceil(n_frames / stride), n_out). There are zeros beyond either end, and where there is no sound.

    The convolution is one matrix product over the frames that each output sees: base/arithmetic.py holds the order of
    such a product's sums on every processor, and with torch's own convolutions the PANNs differ between processors.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.linear = nn.Linear(kernel * n_in, n_out)
        self.norm = nn.LayerNorm(n_out)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        reach, n_frames = self.dilation * (self.kernel // 2), frames.shape[1]
        padded = pad(frames, (0, 0, reach, reach))
        starts = range(0, self.kernel * self.dilation, self.dilation)
        seen = torch.cat([padded[:, start : start + n_frames : self.stride] for start in starts], dim=2)
        sound = sound[:, :: self.stride]  # each is centred on one of the frames that it is given
        return self.dropout(relu(self.norm(self.linear(seen)))).where(sound, 0.0), sound


def mean_and_deviation(frames: Tensor, sound: Tensor) -> Tensor:
    """Each channel's mean and deviation over the frames of sound.

    Args:
        frames: shape (batch, n_frames, n_channels), 0 where there is no sound.
        sound: shape (batch, n_frames, 1).

    Returns:
        Shape (batch, 2 * n_channels), all means first; finite also where a window has no sound.
    """
    n = sound.sum(dim=1).clamp(min=1)
    mean = frames.sum(dim=1) / n
    variance = (frames - mean[:, None]).where(sound, 0.0).square().sum(dim=1) / n + 1e-5  # so 0 has a gradient
    return torch.cat([mean, variance * variance.rsqrt()], dim=1)  # not sqrt, which is MKL's: see base/arithmetic.py
