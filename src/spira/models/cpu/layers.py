"""SpiraConv's blocks and dropout's draws with the compiled loops in place of torch's operations."""

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from spira.models.cpu.mish_pool import Norm, block
from spira.models.dropout import Dropout
from spira.models.spiraconv import SpiraConv


def use_compiled_layers(net: nn.Module) -> None:
    """Exchanges SpiraConv's blocks and every dropout for the compiled ones; weights and their names stay."""
    if isinstance(net, SpiraConv):
        net.conv = CompiledBlocks(*net.conv)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.words = _compiled_splitmix


class CompiledBlocks(nn.Sequential):
    """``SpiraConv.conv``, of float32 on a CPU by models/cpu/kernels.py, to rounding; elsewhere by torch's layers."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Sequential's name for it
        if input.device.type != "cpu" or input.dtype != torch.float32:
            out: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
            return out
        image = input
        for convolution, norm, pooled, dropout in self._blocks():
            draws = None
            if dropout.training:
                draws = dropout.draw(_block_shape(image, convolution, pooled=pooled), image.device)
            image = block(image, convolution, norm, draws, pooled=pooled)
        return image

    def _blocks(self) -> Iterator["_Block"]:
        layers = list(self)
        for start in range(0, len(layers), 5):
            convolution, norm, _, *pool, dropout = layers[start : start + 5]
            yield _Block(cast("nn.Conv2d", convolution), cast("Norm", norm), bool(pool), cast("Dropout", dropout))


class _Block(NamedTuple):
    convolution: nn.Conv2d
    norm: Norm
    pooled: bool
    dropout: Dropout


def _block_shape(image: Tensor, convolution: nn.Conv2d, *, pooled: bool) -> torch.Size:
    batch, _, n_frames, width = image.shape
    n_left = n_frames - convolution.dilation[0] * (convolution.kernel_size[0] - 1)
    return torch.Size((batch, convolution.out_channels, n_left // 2 if pooled else n_left, width))


def _compiled_splitmix(state: int, n: int) -> Tensor:
    from spira.models.cpu.splitmix import splitmix  # numba takes a third of a second to import

    words = torch.empty(n, dtype=torch.int64)
    splitmix(np.uint64(state), words.numpy())
    return words
