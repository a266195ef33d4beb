"""What lies between two of SpiraConv's convolutions, in few passes: normalisation, Mish, max pooling and dropout.

As four modules they were three quarters of a training step: pooling pairs along an inner axis is not
vectorized in torch, Mish's derivative is computed for the frames that pooling throws away, and each
module reads and writes the largest tensors of the network. Here the derivative is taken only where a
gradient arrives, with dropout multiplied into it. The numbers are those of torch's modules to float32
rounding; tests/test_mish_pool.py holds them against each other.

Source:
    Misra, "Mish", BMVC 2020; Wu and He, "Group normalization", ECCV 2018.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def mish_pool(x: Tensor, kept: Tensor | None, *, pooled: bool) -> Tensor:
    """Mish, then the larger of every two frames, then dropout.

    Args:
        x: shape (batch, channel, frame, coefficient).
        kept: what dropout multiplies by, of the result's shape; None in evaluation.
        pooled: whether frames are paired; an odd last one is dropped, as by ``nn.MaxPool2d((2, 1))``.

    Returns:
        Shape (batch, channel, frame, coefficient), half the frames where pooled.
    """
    out: Tensor = _MishPool.apply(x, kept, pooled)  # type: ignore[no-untyped-call]
    return out


def group_mish_pool(x: Tensor, norm: nn.GroupNorm, kept: Tensor | None, *, pooled: bool) -> Tensor:
    """``mish_pool(norm(x), ...)``; the gradient of both in one."""
    out: Tensor = _GroupMishPool.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps, kept, pooled)  # type: ignore[no-untyped-call]
    return out


class _MishPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor | None, pooled: bool) -> Tensor:
        made = _forward(x, kept, pooled=pooled)
        ctx.derivative, ctx.first, ctx.shape = made.derivative, made.first, x.shape
        return made.out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        of_chosen = ctx.derivative * gradients[0]
        return _added(of_chosen.new_zeros(ctx.shape), of_chosen, ctx.first), None, None


class _GroupMishPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        n_groups: int,
        eps: float,
        kept: Tensor | None,
        pooled: bool,
    ) -> Tensor:
        batch, channel, frame, coefficient = x.shape
        z, mean, rstd = torch.native_group_norm(x, weight, bias, batch, channel, frame * coefficient, n_groups, eps)
        made = _forward(z, kept, pooled=pooled)
        ctx.derivative, ctx.first = made.derivative, made.first
        ctx.save_for_backward(x, weight, mean[..., None], rstd[..., None])  # statistics: (batch, group, 1)
        return made.out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        of_chosen = ctx.derivative * gradients[0]  # of the loss by the normalised value, where pooling chose it
        shape = (*mean.shape[:2], -1)  # (batch, group, channel in it)
        by_bias = of_chosen.sum((2, 3)).view(shape)
        by_weight = ((of_chosen * _chosen(x, ctx.first)).sum((2, 3)).view(shape) - mean * by_bias) * rstd
        of_each = weight.view(shape[1:])
        n = x[0].numel() / mean.shape[1]  # values that share a mean
        slope = -rstd * rstd * (of_each * by_weight).sum(2, keepdim=True) / n
        offset = -slope * mean - rstd * (of_each * by_bias).sum(2, keepdim=True) / n
        grouped = x.view(*mean.shape[:2], -1)
        of_x = torch.addcmul(offset, grouped, slope).view_as(x)
        of_x = _added(of_x, of_chosen.mul_((rstd * of_each).view(*x.shape[:2], 1, 1)), ctx.first)
        return of_x, by_weight.sum(0).flatten(), by_bias.sum(0).flatten(), None, None, None, None


class _Made(NamedTuple):
    out: Tensor
    first: Tensor | None  # 1 where the earlier frame of a pair was chosen, else 0; None where nothing is pooled
    derivative: Tensor  # of out by the frame that was chosen


def _forward(z: Tensor, kept: Tensor | None, *, pooled: bool) -> _Made:
    sigmoid, gate, mish = _mish(z)
    first, out = None, mish
    if pooled:
        even, odd = _pairs(mish)
        # Of two that are the same the earlier, as torch's pooling has it. (Into floats at once: a fifth of the time.)
        first = torch.ge(even, odd, out=torch.empty_like(even, memory_format=torch.contiguous_format))
        out = torch.maximum(even, odd)
    # mish' = gate + sigmoid(z) (z - mish gate)
    gate = _chosen(gate, first)
    derivative = torch.addcmul(_chosen(z, first), out, gate, value=-1)
    derivative = torch.addcmul(gate, _chosen(sigmoid, first), derivative, out=derivative)
    return _Made(out, first, derivative) if kept is None else _Made(out * kept, first, derivative.mul_(kept))


def _mish(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(sigmoid(z), tanh(softplus(z)), z times that).

    Of the sigmoid s alone: with h = s - s^2 / 2 the second is h / (1 - h), finite wherever z is. (torch's exponential
    takes twice as long on a CPU as its sigmoid, and its own Mish eight times as long.)
    """
    sigmoid = torch.sigmoid(z)
    gate = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-0.5)
    other = 1 - gate
    return sigmoid, gate.div_(other), torch.mul(z, gate, out=other)


def _pairs(image: Tensor) -> tuple[Tensor, Tensor]:
    """The frames at 0, 2, 4, ... and at 1, 3, 5, ...; an odd last one is in neither."""
    n_paired = 2 * (image.shape[2] // 2)
    return image[:, :, 0:n_paired:2], image[:, :, 1:n_paired:2]


def _chosen(image: Tensor, first: Tensor | None) -> Tensor:
    """Of each pair the frame that pooling chose. (At 0 and 1 lerp is exact, and unlike `where` vectorized here.)"""
    if first is None:
        return image
    even, odd = _pairs(image)
    return torch.lerp(odd, even, first)


def _added(image: Tensor, of_chosen: Tensor, first: Tensor | None) -> Tensor:
    """The image, with something added to the frames that pooling chose."""
    if first is None:
        return image.add_(of_chosen)
    even, odd = _pairs(image)
    of_even = of_chosen * first
    even.add_(of_even)
    odd.add_(of_chosen.sub_(of_even))
    return image
