"""The PANNs family: convolutional networks that were trained on AudioSet, and are often started from there."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from spira.models.dropout import Dropout
from spira.models.params import SHAPES, PannsKind
from spira.models.standardize import Standardize

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class Panns(nn.Module):
    """One logit, or ``n_outputs`` of them, a window of log-mel bands.

    ``forward``: (batch, n_frames, n_mels) in dB -> (batch,) logits of `patient`, or
    (batch, n_outputs) where there are more than one. A published state dict fits by name; its
    ``fc_audioset`` has 527 outputs and its ``bn0`` 64 bands, where ours may have others.

    With 64 bands and AudioSet's 527 outputs: 4,837,455 parameters (cnn6), 5,219,279 (cnn10),
    80,753,615 (cnn14); published as 4.8, 5.2 and 80.8 million. SpecAugment and mixup, which
    the published training has inside the network, are options of ``train``.

    Source:
        Kong et al., "PANNs: large-scale pretrained audio neural networks for audio pattern
        recognition", IEEE/ACM TASLP 28, 2020; used on SPIRA's task by Gauy et al., 2024.
    """

    def __init__(self, kind: PannsKind, n_mels: int, n_outputs: int) -> None:
        super().__init__()
        shape = SHAPES[kind]
        self.n_pooled = shape.n_pooled
        self.n_blocks = len(shape.channels)
        self.standardize = Standardize(n_mels)
        self.bn0 = nn.BatchNorm2d(n_mels)
        for i, (n_in, n_out) in enumerate(zip((1, *shape.channels), shape.channels, strict=False), start=1):
            self.add_module(f"conv_block{i}", ConvBlock(n_in, n_out, shape.kernel, shape.n_convolutions))
        self.between = Dropout(0.2)
        self.before_linear = Dropout(0.5)
        self.fc1 = _xavier(nn.Linear(shape.channels[-1], shape.channels[-1]))
        self.fc_audioset = _xavier(nn.Linear(shape.channels[-1], n_outputs))

    def forward(self, windows: Tensor) -> Tensor:
        windows = self.standardize(windows)
        bands = windows.unsqueeze(1).transpose(1, 3)  # (batch, band, frame, 1): bn0 sees bands as channels
        image = self.bn0(bands).transpose(1, 3)  # (batch, channel, frame, band)
        for i in range(1, self.n_blocks + 1):
            image = self.get_submodule(f"conv_block{i}")(image)
            image = avg_pool2d(image, 2) if i <= self.n_pooled else image
            image = self.between(image)
        frames = image.mean(dim=3)  # (batch, channel, frame)
        pooled = self.before_linear(frames.amax(dim=2) + frames.mean(dim=2))
        logits: Tensor = self.fc_audioset(relu(self.fc1(pooled)))
        return logits.squeeze(1)


class ConvBlock(nn.Module):
    """One or two convolutions of one size, each normalised by batch and rectified; the size of the image stays."""

    def __init__(self, n_in: int, n_out: int, kernel: int, n_convolutions: int) -> None:
        super().__init__()
        self.n_convolutions = n_convolutions
        for i in range(1, n_convolutions + 1):
            convolution = nn.Conv2d(n_in if i == 1 else n_out, n_out, kernel, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i}", _xavier(convolution))
            self.add_module(f"bn{i}", nn.BatchNorm2d(n_out))

    def forward(self, image: Tensor) -> Tensor:
        for i in range(1, self.n_convolutions + 1):
            image = relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(image)))
        return image


def _xavier(layer: Layer) -> Layer:
    """The layer with PANNs' initial weights: Glorot's, even, and no bias."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.zero_()
    return layer
