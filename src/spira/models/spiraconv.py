"""SPIRA's convolutional detector; the published versions are the sizes `V1` and `V2` of models/params.py."""

import torch
from torch import Tensor, nn

from spira.models.dropout import Dropout
from spira.models.params import SpiraConvParams
from spira.models.standardize import Standardize


class SpiraConv(nn.Module):
    """One logit a window: the window is an image whose convolutions run along time only.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`.

    ``conv`` has five layers a block: convolution, normalisation, Mish, max pooling and dropout; the last block does
    not pool. ``V2`` at 4 s (401 frames of 40 coefficients): 389, 194, 186, 93, 89, 44, 43 frames after each
    convolution and pooling, 6,880 inputs to the first linear layer, 691,613 parameters, 3,412 of them in the
    convolutional blocks. ``V1`` normalises by batch, with as many parameters.

    Source:
        Casanova et al., "Deep learning against COVID-19: respiratory insufficiency
        detection in Brazilian Portuguese speech", Findings of ACL 2021. The names of the weights are theirs.
    """

    def __init__(self, p: SpiraConvParams, n_frames: int, n_features: int) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        layers: list[nn.Module] = []
        shapes = zip((1, *p.channels), p.channels, p.kernels, p.dilations, strict=False)
        for i, (n_in, n_out, kernel, dilation) in enumerate(shapes, start=1):
            layers.append(nn.Conv2d(n_in, n_out, (kernel, 1), dilation=(dilation, 1)))
            layers.append(nn.GroupNorm(n_out // 2, n_out) if p.norm == "group" else nn.BatchNorm2d(n_out))
            layers.append(nn.Mish())
            if i < len(p.channels):
                layers.append(MaxPoolTime())
            layers.append(Dropout(p.dropout))
        self.conv = nn.Sequential(*layers)
        self.fc1 = nn.Linear(p.frames_left(n_frames) * p.channels[-1] * n_features, p.hidden)
        self.activation = nn.Mish()
        self.dropout = Dropout(p.dropout)
        self.fc2 = nn.Linear(p.hidden, 1)

    def forward(self, windows: Tensor) -> Tensor:
        image = self.conv(self.standardize(windows).unsqueeze(1))  # (batch, channel, frame, coefficient)
        flat = image.transpose(1, 2).flatten(1)  # in (frame, channel, coefficient) order
        logits: Tensor = self.fc2(self.dropout(self.activation(self.fc1(flat)))).squeeze(1)
        return logits


class MaxPoolTime(nn.Module):
    """``nn.MaxPool2d((2, 1))``, with a gradient that is deterministic on a GPU too, which torch's own is not.

    ``forward``: (batch, channel, frame, coefficient) -> (batch, channel, frame // 2, coefficient).
    """

    def forward(self, image: Tensor) -> Tensor:
        n_paired = 2 * (image.shape[2] // 2)  # an odd last frame is dropped
        even, odd = image[:, :, 0:n_paired:2], image[:, :, 1:n_paired:2]
        return torch.where((even >= odd) | even.isnan(), even, odd)
