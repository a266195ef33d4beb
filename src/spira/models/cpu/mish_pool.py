"""The rest of a SpiraConv block in few passes: normalisation, Mish, max pooling and dropout.

As modules of torch they were three quarters of a training step on a CPU: each reads and writes the largest tensors of
the network, pooling pairs along an inner axis is not vectorized, and Mish's derivative is computed for the frames that
pooling throws away. In models/cpu/kernels.py they are one pass each way. All tensors here are of float32, on a CPU.
The numbers are the same to float32 rounding; tests/models/cpu/test_mish_pool.py holds them against torch's modules.

Source:
    Misra, "Mish", BMVC 2020; Wu and He, "Group normalization", ECCV 2018.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spira.models.cpu.arrays import Array, as_array, empty
from spira.models.cpu.time_convolution import convolve, is_compiled, slice_weights, weight_gradient
from spira.models.dropout import Draws

Norm = nn.GroupNorm | nn.BatchNorm2d


def block(image: Tensor, convolution: nn.Conv2d, norm: Norm, draws: Draws | None, *, pooled: bool) -> Tensor:
    """One block of SpiraConv: ``mish_pool(convolution(image), ...)``.

    Of a single channel, the network's input, the convolution's result is not kept: of SpiraConvV2 it is the largest
    tensor, and an epoch takes a seventh less.
    """
    held_at_once = isinstance(norm, nn.GroupNorm) and 4 % (norm.num_channels // norm.num_groups) == 0
    if image.shape[1] > 1 or image.requires_grad or not held_at_once or not is_compiled(convolution, image):
        return mish_pool(convolve(image, convolution), norm, draws, pooled=pooled)
    assert isinstance(norm, nn.GroupNorm)  # for the type checker
    weights = (convolution.weight, convolution.bias, norm.weight, norm.bias)
    out: Tensor = _Block.apply(image, *weights, convolution.dilation[0], norm.num_groups, norm.eps, draws, pooled)  # type: ignore[no-untyped-call]
    return out


def mish_pool(x: Tensor, norm: Norm, draws: Draws | None, *, pooled: bool) -> Tensor:
    """Normalisation, Mish, the larger of every two frames, and dropout.

    Args:
        x: shape (batch, channel, frame, coefficient).
        norm: with a weight and a bias for each channel.
        draws: of dropout, of the result's shape; None in evaluation.
        pooled: whether frames are paired; an odd last one is dropped, as by ``nn.MaxPool2d((2, 1))``.

    Returns:
        Shape (batch, channel, frame, coefficient), half the frames where pooled.
    """
    if isinstance(norm, nn.GroupNorm):
        out: Tensor = _MishPool.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps, draws, pooled)  # type: ignore[no-untyped-call]
    else:
        ones, zeros = x.new_ones(x.shape[1]), x.new_zeros(x.shape[1])
        out = _MishPool.apply(norm(x), ones, zeros, None, 0.0, draws, pooled)  # type: ignore[no-untyped-call]
    return out


class _Made(NamedTuple):
    """Memory for what a kernel writes; what each is, models/cpu/kernels.py says."""

    out: Array
    derivative: Array
    first: Array
    means: Array
    rstds: Array


class _MishPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        n_groups: int | None,  # None where x is normalised already
        eps: float,
        draws: Draws | None,
        pooled: bool,
    ) -> Tensor:
        from spira.models.cpu import kernels  # numba takes a third of a second to import

        image = as_array(x)
        batch, n_channels, n_frames, width = image.shape
        made = _made(batch, n_channels, n_frames, width, n_groups or n_channels, pooled=pooled)
        rows, weights = image.reshape(-1, n_frames, width), as_array(weight)
        options = (n_groups is not None, pooled)
        kernels.mish_pool(rows, weights, as_array(bias), eps, *options, *_dropped(draws), *made)
        ctx.saved = (rows, weights, *options, *made[1:])
        return _image(made.out, batch)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from spira.models.cpu import kernels

        d_x, d_out = empty(ctx.saved[0].shape), as_array(gradients[0])
        d_rows = np.empty((2, len(d_x)), np.float32)  # by weight and bias
        kernels.mish_pool_back(*ctx.saved, d_out.reshape(-1, *d_out.shape[2:]), d_x, *d_rows)
        return _image(d_x, len(d_out)), *_by_channel(d_rows, len(d_out)), None, None, None, None


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        shift: Tensor,
        dilation: int,
        n_groups: int,
        eps: float,
        draws: Draws | None,
        pooled: bool,
    ) -> Tensor:
        from spira.models.cpu import kernels

        image, weights, scales = as_array(x), as_array(weight), as_array(scale)
        slices, starts = slice_weights(image, weights, dilation)
        batch, _, n_frames, width = image.shape
        n_left = n_frames - dilation * (weights.shape[2] - 1)
        made = _made(batch, len(weights), n_left, width, n_groups, pooled=pooled)
        convolved, options = (image.reshape(batch, -1), slices, as_array(bias), starts, scales), (pooled, n_left)
        kernels.block(*convolved, as_array(shift), eps, *options, *_dropped(draws), *made)
        ctx.shape, ctx.saved = weights.shape, (*convolved, *options, *made[1:])
        return _image(made.out, batch)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from spira.models.cpu import kernels

        d_out, d_slices, d_bias = as_array(gradients[0]), np.zeros_like(ctx.saved[1]), np.zeros_like(ctx.saved[2])
        d_rows = np.empty((2, len(d_out) * len(d_bias)), np.float32)  # by scale and shift
        kernels.block_back(*ctx.saved, d_out.reshape(-1, *d_out.shape[2:]), d_slices, d_bias, *d_rows)
        by_weights = (weight_gradient(d_slices, ctx.shape), torch.from_numpy(d_bias), *_by_channel(d_rows, len(d_out)))
        return None, *by_weights, None, None, None, None, None


def _made(batch: int, n_channels: int, n_frames: int, width: int, n_groups: int, *, pooled: bool) -> _Made:
    out = empty((batch * n_channels, n_frames // 2 if pooled else n_frames, width))
    first = np.empty(out.shape if pooled else (0, 0, 0), np.uint8)
    n_means = batch * n_groups
    return _Made(out, empty(out.shape), first, np.zeros(n_means, np.float32), np.ones(n_means, np.float32))


def _dropped(draws: Draws | None) -> tuple[Any, ...]:
    if draws is None:
        return np.empty((0, 0, 0), np.int16), 0, 0.0
    numbers = as_array(draws.numbers)
    return numbers.reshape(-1, *numbers.shape[2:]), draws.least, draws.scale


def _image(rows: Array, batch: int) -> Tensor:
    return torch.from_numpy(rows.reshape(batch, -1, *rows.shape[1:]))


def _by_channel(d_rows: Array, batch: int) -> list[Tensor]:
    return [torch.from_numpy(row.reshape(batch, -1).sum(axis=0)) for row in d_rows]
