"""Convolution along time alone, without a copy."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spira.models.cpu.arrays import Array, array_of, empty


class TimeConv2d(nn.Conv2d):
    """``nn.Conv2d`` with a kernel of (k, 1), the same numbers to float32 rounding, and its weights' names.

    ``forward``: (batch, channel, frame, coefficient) -> (batch, channel, frame - dilation * (k - 1), coefficient).

    Such a kernel treats every coefficient alike, so with channels, frames and coefficients flattened each tap of each
    channel sees one slice of the window, and the convolution is a product of its weights and those slices. torch's own
    copies the window or reorders it, and takes four times as long on a CPU as models/cpu/kernels.py. It is used
    elsewhere, and where ``is_compiled`` says no.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, *, dilation: int) -> None:
        super().__init__(n_in, n_out, (kernel, 1), dilation=(dilation, 1))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Conv2d's name for it
        if not self.is_compiled(input):
            return super().forward(input)
        out: Tensor = _TimeConv.apply(input, self.weight, self.bias, self.dilation[0])  # type: ignore[no-untyped-call]
        return out

    def is_compiled(self, image: Tensor) -> bool:
        """Whether models/cpu/kernels.py convolves it: of float32, on a CPU, with channels that come in fours."""
        in_fours = self.out_channels % 4 == 0 and (self.in_channels % 4 == 0 or not image.requires_grad)
        return image.device.type == "cpu" and image.dtype == torch.float32 and in_fours

    def n_left(self, n_frames: int) -> int:
        """Frames of the result."""
        return n_frames - self.dilation[0] * (self.kernel_size[0] - 1)


def slices_of(image: Array, weight: Array, dilation: int) -> tuple[Array, Array]:
    """What models/cpu/kernels.py convolves: the weight of each slice, (channel out, slice), and where the slices begin.

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


def of_weight(of_slices: Array, shape: tuple[int, ...]) -> Tensor:
    """The gradient by each slice's weight as that by the convolution's, of this shape."""
    n_out, n_in, kernel, _ = shape
    taps = of_slices[:, : kernel * n_in].reshape(n_out, -1, kernel, _n_at_once(n_in))
    return torch.from_numpy(taps.swapaxes(2, 3).reshape(shape))


def _n_at_once(n_channels: int) -> int:
    return 4 if n_channels % 4 == 0 else n_channels


class _TimeConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        from spira.models.cpu import kernels  # numba takes a third of a second to import

        image, weights = array_of(x), array_of(weight)
        slices, starts = slices_of(image, weights, dilation)
        batch, _, n_frames, width = image.shape
        n_out, _, kernel, _ = weights.shape
        out = empty((batch, n_out, n_frames - dilation * (kernel - 1), width))
        kernels.convolve(image.reshape(batch, -1), slices, array_of(bias), starts, out.reshape(batch, n_out, -1))
        ctx.image, ctx.slices, ctx.starts, ctx.shape = image, slices, starts, weights.shape
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        from spira.models.cpu import kernels

        batch, n_out = len(ctx.image), len(ctx.slices)
        of_out = array_of(gradients[0]).reshape(batch, n_out, -1)
        of_slices, of_bias = np.zeros_like(ctx.slices), np.zeros(n_out, np.float32)
        kernels.convolve_back_to_weight(ctx.image.reshape(batch, -1), of_out, ctx.starts, of_slices, of_bias)
        of_image = None
        if ctx.needs_input_grad[0]:
            of_x = empty(ctx.image.shape)
            transposed = np.ascontiguousarray(ctx.slices.T)
            kernels.convolve_back(of_out, transposed, ctx.starts, of_x.reshape(batch, -1))
            of_image = torch.from_numpy(of_x)
        return of_image, of_weight(of_slices, ctx.shape), torch.from_numpy(of_bias), None
