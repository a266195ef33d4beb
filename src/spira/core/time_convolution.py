"""Convolution along time alone, by matrix products without a copy."""

from typing import Any

import torch
from torch import Tensor, nn


class TimeConv2d(nn.Conv2d):
    """``nn.Conv2d`` with a kernel of (k, 1), the same numbers to float32 rounding, and its weights' names.

    ``forward``: (batch, channel, frame, coefficient) -> (batch, channel, frame - dilation * (k - 1), coefficient).

    Such a kernel treats every coefficient alike, so with frames and coefficients flattened each tap is one
    product of its (out, in) weights and a slice of the input that starts some frames later. torch's own
    dilated convolution copies the input, or reorders it, and is slower both ways.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, *, dilation: int) -> None:
        super().__init__(n_in, n_out, (kernel, 1), dilation=(dilation, 1))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Conv2d's name for it
        out: Tensor = _TimeConv.apply(input, self.weight, self.bias, self.dilation[0])  # type: ignore[no-untyped-call]
        return out


class _TimeConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        batch, _, n_frames, width = image.shape
        n_out, n_in, kernel, _ = weight.shape
        ctx.save_for_backward(image, weight)
        ctx.step, n_left = dilation * width, n_frames - dilation * (kernel - 1)
        out = bias[:, None].expand(batch, n_out, n_left * width).clone(memory_format=torch.contiguous_format)
        if n_in == 1:
            out.baddbmm_(weight[:, 0, :, 0].expand(batch, -1, -1), _rows(image, kernel, ctx.step))
            return out.view(batch, n_out, n_left, width)
        for tap, piece in zip(weight.unbind(2), _pieces(image, kernel, ctx.step), strict=True):
            out.baddbmm_(tap[..., 0].expand(batch, -1, -1), piece)
        return out.view(batch, n_out, n_left, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        image, weight = ctx.saved_tensors
        gradient, kernel = gradients[0].flatten(2), weight.shape[2]
        if weight.shape[1] == 1:
            of_weight = torch.bmm(_rows(image, kernel, ctx.step), gradient.mT).sum(0).T.contiguous().view_as(weight)
        else:
            pieces = _pieces(image, kernel, ctx.step)
            of_weight = torch.stack([torch.bmm(gradient, piece.mT).sum(0) for piece in pieces], dim=2)[..., None]
        of_image = None
        if ctx.needs_input_grad[0]:
            of_image = torch.zeros_like(image)
            for tap, piece in zip(weight.unbind(2), _pieces(of_image, kernel, ctx.step), strict=True):
                piece.baddbmm_(tap[..., 0].T.expand(len(image), -1, -1), gradient)
        return of_image, of_weight, gradient.sum((0, 2)), None


def _pieces(image: Tensor, kernel: int, step: int) -> list[Tensor]:
    """What each tap of the kernel sees, a view of (batch, channel, frame and coefficient), ``step`` after the last."""
    flat = image.flatten(2)
    n_seen = flat.shape[2] - step * (kernel - 1)
    return [flat[:, :, step * tap : step * tap + n_seen] for tap in range(kernel)]


def _rows(image: Tensor, kernel: int, step: int) -> Tensor:
    """The pieces of an image of one channel as (batch, tap, frame and coefficient).

    All taps are then one product: to copy so little costs less than a pass over 32 channels for each tap, both ways.
    """
    return torch.cat(_pieces(image, kernel, step), dim=1)
