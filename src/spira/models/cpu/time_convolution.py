"""Convolution along time alone, without a copy."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spira.models.cpu.arrays import Array, as_array, empty


def convolve(image: Tensor, convolution: nn.Conv2d) -> Tensor:
    """``convolution(image)`` of a kernel of (k, 1): the same numbers to float32 rounding, in a quarter of the time.

    Such a kernel treats every coefficient alike, so with channels, frames and coefficients flattened each tap of each
    channel sees one slice of the window, and the convolution is a product of its weights and those slices. torch's own
    copies the window or reorders it. It is used where ``is_compiled`` says no.

    Args:
        image: (batch, channel, frame, coefficient), float32 on a CPU.
        convolution: with a kernel of (k, 1), a dilation of (d, 1), a bias and neither stride nor padding.

    Returns:
        (batch, channel, frame - d * (k - 1), coefficient).
    """
    if not is_compiled(convolution, image):
        unchanged: Tensor = convolution(image)
        return unchanged
    out: Tensor = _TimeConv.apply(image, convolution.weight, convolution.bias, convolution.dilation[0])  # type: ignore[no-untyped-call]
    return out


def is_compiled(convolution: nn.Conv2d, image: Tensor) -> bool:
    """Whether models/cpu/kernels.py convolves it: the channels come in fours, but for those of the network's input."""
    return convolution.out_channels % 4 == 0 and (convolution.in_channels % 4 == 0 or not image.requires_grad)


def slice_weights(image: Array, weight: Array, dilation: int) -> tuple[Array, Array]:
    """The weights of slices, (channel out, slice), and where the slices begin, as models/cpu/kernels.py takes them.

    All taps of four channels follow each other, for which these come into the cache once. Slices of weight 0 fill up
    the last four.
    """
    (_, n_in, n_frames, width), (n_out, _, kernel, _) = image.shape, weight.shape
    starts = np.zeros(-(-n_in * kernel // 4) * 4, np.int64)
    slices = np.zeros((n_out, len(starts)), np.float32)
    taps, channels = dilation * width * np.arange(kernel)[:, None], n_frames * width * np.arange(n_in)
    starts[: n_in * kernel] = (taps + channels.reshape(-1, 1, _n_at_once(n_in))).ravel()
    slices[:, : n_in * kernel] = weight.reshape(n_out, -1, _n_at_once(n_in), kernel).swapaxes(2, 3).reshape(n_out, -1)
    return slices, starts


def weight_gradient(d_slices: Array, shape: tuple[int, ...]) -> Tensor:
    """The gradient by the convolution's weight, of this shape, from the gradient by each slice's weight."""
    n_out, n_in, kernel, _ = shape
    taps = d_slices[:, : kernel * n_in].reshape(n_out, -1, kernel, _n_at_once(n_in))
    return torch.from_numpy(taps.swapaxes(2, 3).reshape(shape))


def _n_at_once(n_channels: int) -> int:
    return 4 if n_channels % 4 == 0 else n_channels


class _TimeConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        from spira.models.cpu import kernels  # numba takes a third of a second to import

        image, weights = as_array(x), as_array(weight)
        slices, starts = slice_weights(image, weights, dilation)
        batch, _, n_frames, width = image.shape
        n_out, _, kernel, _ = weights.shape
        out = empty((batch, n_out, n_frames - dilation * (kernel - 1), width))
        kernels.convolve(image.reshape(batch, -1), slices, as_array(bias), starts, out.reshape(batch, n_out, -1))
        ctx.image, ctx.slices, ctx.starts, ctx.shape = image, slices, starts, weights.shape
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        from spira.models.cpu import kernels

        batch, n_out = len(ctx.image), len(ctx.slices)
        d_out = as_array(gradients[0]).reshape(batch, n_out, -1)
        d_slices, d_bias = np.zeros_like(ctx.slices), np.zeros(n_out, np.float32)
        kernels.convolve_back_to_weight(ctx.image.reshape(batch, -1), d_out, ctx.starts, d_slices, d_bias)
        d_image = None
        if ctx.needs_input_grad[0]:
            d_x = empty(ctx.image.shape)
            transposed = np.ascontiguousarray(ctx.slices.T)
            kernels.convolve_back(d_out, transposed, ctx.starts, d_x.reshape(batch, -1))
            d_image = torch.from_numpy(d_x)
        return d_image, weight_gradient(d_slices, ctx.shape), torch.from_numpy(d_bias), None
