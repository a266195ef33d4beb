"""SPIRA's convolutional detector: one shape, of which the published versions are instances."""

from typing import cast

import torch
from torch import Tensor, nn

from spira.models.cpu.mish_pool import Norm, block
from spira.models.cpu.time_convolution import TimeConv2d
from spira.models.dropout import Draws, Dropout, drawn
from spira.models.params import SpiraConvParams


class SpiraConv(nn.Module):
    """One logit a window: the window is an image whose convolutions run along time only.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`.

    Each convolution is normalised, passed through Mish and, but for the last, halved by
    max pooling. ``V2`` at 4 s (401 frames of 40 coefficients): 389, 194, 186, 93, 89, 44, 43
    frames after each convolution and pooling, 6,880 inputs to the first linear layer,
    691,613 parameters, 3,412 of them in the convolutional blocks. ``V1`` normalises by
    batch, with as many parameters.

    Source:
        Casanova et al., "Deep learning against COVID-19: respiratory insufficiency
        detection in Brazilian Portuguese speech", Findings of ACL 2021.
    """

    def __init__(self, p: SpiraConvParams, n_frames: int, n_features: int) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        shapes = zip((1, *p.channels), p.channels, p.kernels, p.dilations, strict=False)
        for i, (n_in, n_out, kernel, dilation) in enumerate(shapes):
            # The published names count five layers: a convolution, its norm, Mish, pooling and dropout.
            layers[f"{5 * i}"] = TimeConv2d(n_in, n_out, kernel, dilation=dilation)
            layers[f"{5 * i + 1}"] = nn.GroupNorm(n_out // 2, n_out) if p.norm == "group" else nn.BatchNorm2d(n_out)
        self.conv = nn.ModuleDict(layers)
        self.fc1 = nn.Linear(p.frames_left(n_frames) * p.channels[-1] * n_features, p.hidden)
        self.activation = nn.Mish()
        self.dropout = Dropout(p.dropout)
        self.fc2 = nn.Linear(p.hidden, 1)

    def forward(self, windows: Tensor) -> Tensor:
        image = self._convolved(windows.unsqueeze(1))  # (batch, channel, frame, coefficient)
        flat = image.transpose(1, 2).flatten(1)  # in (frame, channel, coefficient) order
        logits: Tensor = self.fc2(self.dropout(self.activation(self.fc1(flat)))).squeeze(1)
        return logits

    def _convolved(self, image: Tensor) -> Tensor:
        layers = list(self.conv.values())
        convolutions, norms = cast("list[TimeConv2d]", layers[::2]), cast("list[Norm]", layers[1::2])
        for convolution, norm in zip(convolutions, norms, strict=True):
            pooled = norm is not norms[-1]
            draws = self._draws(image, convolution, pooled=pooled) if self.training else None
            image = block(image, convolution, norm, draws, pooled=pooled)
        return image

    def _draws(self, image: Tensor, convolution: TimeConv2d, *, pooled: bool) -> Draws:
        batch, _, n_frames, width = image.shape
        n_left = convolution.n_left(n_frames)
        shape = torch.Size((batch, convolution.out_channels, n_left // 2 if pooled else n_left, width))
        return drawn(shape, self.dropout.p, image.device)
