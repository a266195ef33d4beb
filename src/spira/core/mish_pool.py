"""What lies between two of SpiraConv's convolutions, in few passes: normalisation, Mish, max pooling and dropout.

As four modules they were three quarters of a training step: pooling pairs along an inner axis is not
vectorized in torch, Mish's derivative is computed for the frames that pooling throws away, and each
module reads and writes the largest tensors of the network. Here the derivative is taken only where a
gradient arrives, with dropout multiplied into it. The numbers are those of torch's modules to float32
rounding; tests/test_mish_pool.py holds them against each other.

Source:
    Misra, "Mish", BMVC 2020; Wu and He, "Group normalization", ECCV 2018.
"""

from typing import Any

import torch
from torch import Tensor, nn

from spira.core.mish_rows import add_to_chosen, chosen, empty_for, fill, pieces_of


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
        made, rows = empty_for(x, pooled=pooled), x.flatten(0, 1)
        for part in pieces_of(rows, 1):
            fill(made, part, rows[part], kept)
        ctx.derivative, ctx.first, ctx.shape = made.derivative, made.first, x.shape
        return made.out.view(*x.shape[:2], *made.out.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        of_chosen = ctx.derivative * gradients[0].flatten(0, 1)
        of_x = of_chosen.new_zeros(ctx.shape)
        add_to_chosen(of_x.flatten(0, 1), of_chosen, ctx.first)
        return of_x, None, None


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
        made, rows = empty_for(x, pooled=pooled), x.flatten(0, 1)
        weights, biases, n = weight.repeat(len(x)), bias.repeat(len(x)), rows[0].numel()
        parts, statistics = pieces_of(rows, len(weight) // n_groups), []
        for part in parts:  # rows of several windows are channels of one as well: a group is normalised by itself
            n_rows, n_means = part.stop - part.start, (part.stop - part.start) * n_groups // len(weight)
            z, *both = torch.native_group_norm(
                rows[part][None], weights[part], biases[part], 1, n_rows, n, n_means, eps
            )
            fill(made, part, z[0], kept)
            statistics.append(both)
        ctx.derivative, ctx.first, ctx.parts = made.derivative, made.first, parts
        means, rstds = (torch.cat(of, dim=1).view(-1, 1) for of in zip(*statistics, strict=True))  # (batch * group, 1)
        ctx.save_for_backward(x, weight, means, rstds)
        return made.out.view(*x.shape[:2], *made.out.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        of_out, rows, of_x = gradients[0].flatten(0, 1), x.flatten(0, 1), torch.empty_like(x)
        of_rows, n_each = of_x.flatten(0, 1), len(rows) // len(mean)  # channels of a group
        of_weight, of_bias = weight.new_empty(len(mean), n_each), weight.new_empty(len(mean), n_each)
        weights = weight.repeat(len(x)).view_as(of_weight)
        for part in ctx.parts:
            first = None if ctx.first is None else ctx.first[part]
            group = slice(part.start // n_each, part.stop // n_each)
            of_chosen = ctx.derivative[part] * of_out[part]  # by the normalised value, where pooling chose it
            by_bias = torch.sum(of_chosen, (1, 2)).view(-1, n_each)
            by_weight = (of_chosen * chosen(rows[part], first)).sum((1, 2)).view(-1, n_each)
            by_weight = (by_weight - mean[group] * by_bias) * rstd[group]
            scale = rstd[group] * weights[group]
            n = n_each * rows[0].numel()  # values that share a mean
            slope = -(rstd[group] ** 2) * (weights[group] * by_weight).sum(1, keepdim=True) / n
            offset = -slope * mean[group] - (scale * by_bias).sum(1, keepdim=True) / n
            torch.addcmul(offset, rows[part].view(len(slope), -1), slope, out=of_rows[part].view(len(slope), -1))
            add_to_chosen(of_rows[part], of_chosen.mul_(scale.view(-1, 1, 1)), first)
            of_weight[group], of_bias[group] = by_weight, by_bias
        return of_x, *(of.view(len(x), -1).sum(0) for of in (of_weight, of_bias)), None, None, None, None
