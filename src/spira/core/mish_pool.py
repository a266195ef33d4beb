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

_N_CACHED = 2**18  # elements of a tensor of which several stay in a core's second-level cache


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
        made, rows = _empty(x, pooled=pooled), x.flatten(0, 1)
        for part in _parts(rows, 1):
            _fill(made, part, rows[part], kept)
        ctx.derivative, ctx.first, ctx.shape = made.derivative, made.first, x.shape
        return made.out.view(*x.shape[:2], *made.out.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        of_chosen = ctx.derivative * gradients[0].flatten(0, 1)
        of_x = of_chosen.new_zeros(ctx.shape)
        _add(of_x.flatten(0, 1), of_chosen, ctx.first)
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
        made, rows = _empty(x, pooled=pooled), x.flatten(0, 1)
        weights, biases, n = weight.repeat(len(x)), bias.repeat(len(x)), rows[0].numel()
        parts, statistics = _parts(rows, len(weight) // n_groups), []
        for part in parts:  # rows of several windows are channels of one as well: a group is normalised by itself
            n_rows, n_means = part.stop - part.start, (part.stop - part.start) * n_groups // len(weight)
            z, *both = torch.native_group_norm(rows[part], weights[part], biases[part], 1, n_rows, n, n_means, eps)
            _fill(made, part, z, kept)
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
            of_chosen = (
                ctx.derivative[part] * of_out[part]
            )  # of the loss by the normalised value, where pooling chose it
            by_bias = torch.sum(of_chosen, (1, 2)).view(-1, n_each)
            by_weight = (of_chosen * _chosen(rows[part], first)).sum((1, 2)).view(-1, n_each)
            by_weight = (by_weight - mean[group] * by_bias) * rstd[group]
            scale = rstd[group] * weights[group]
            n = n_each * rows[0].numel()  # values that share a mean
            slope = -(rstd[group] ** 2) * (weights[group] * by_weight).sum(1, keepdim=True) / n
            offset = -slope * mean[group] - (scale * by_bias).sum(1, keepdim=True) / n
            torch.addcmul(offset, rows[part].view(len(slope), -1), slope, out=of_rows[part].view(len(slope), -1))
            _add(of_rows[part], of_chosen.mul_(scale.view(-1, 1, 1)), first)
            of_weight[group], of_bias[group] = by_weight, by_bias
        return of_x, *(of.view(len(x), -1).sum(0) for of in (of_weight, of_bias)), None, None, None, None


class _Made(NamedTuple):
    """Of each row, a channel of a window: (batch * channel, frame, coefficient)."""

    out: Tensor
    first: Tensor | None  # 1 where the earlier frame of a pair was chosen, else 0; None where nothing is pooled
    derivative: Tensor  # of out by the frame that was chosen


def _empty(x: Tensor, *, pooled: bool) -> _Made:
    batch, channel, frame, coefficient = x.shape
    out = x.new_empty(batch * channel, frame // 2 if pooled else frame, coefficient)
    return _Made(out, torch.empty_like(out) if pooled else None, torch.empty_like(out))


def _parts(rows: Tensor, n_each: int) -> list[slice]:
    """The rows in pieces whose tensors stay in one core's cache, whole groups of ``n_each``; all at once on a GPU."""
    size = max(1, _N_CACHED // (n_each * rows[0].numel())) * n_each if rows.device.type == "cpu" else len(rows)
    return [slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]


def _fill(made: _Made, part: slice, z: Tensor, kept: Tensor | None) -> None:
    sigmoid, gate, mish = _mish(z)
    first, out, derivative = None, made.out[part], made.derivative[part]
    if made.first is None:
        out.copy_(mish)
    else:
        even, odd = _pairs(mish)
        # Of two that are the same the earlier, as torch's pooling has it. (Into floats at once: a fifth of the time.)
        first = torch.ge(even, odd, out=made.first[part])
        torch.maximum(even, odd, out=out)
    # mish' = gate + sigmoid(z) (z - mish gate)
    gate = _chosen(gate, first)
    of_sigmoid = torch.addcmul(_chosen(z, first), out, gate, value=-1)
    torch.addcmul(gate, _chosen(sigmoid, first), of_sigmoid, out=derivative)
    if kept is not None:
        scale = kept.flatten(0, 1)[part]
        out.mul_(scale)
        derivative.mul_(scale)


def _mish(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(sigmoid(z), tanh(softplus(z)), z times that).

    Of the sigmoid s alone: with h = s - s^2 / 2 the second is h / (1 - h), finite wherever z is. (torch's exponential
    takes twice as long on a CPU as its sigmoid, and its own Mish eight times as long.)
    """
    sigmoid = torch.sigmoid(z)
    gate = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-0.5)
    other = 1 - gate
    return sigmoid, gate.div_(other), torch.mul(z, gate, out=other)


def _pairs(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The frames at 0, 2, 4, ... and at 1, 3, 5, ...; an odd last one is in neither."""
    n_paired = 2 * (rows.shape[1] // 2)
    return rows[:, 0:n_paired:2], rows[:, 1:n_paired:2]


def _chosen(rows: Tensor, first: Tensor | None) -> Tensor:
    """Of each pair the frame that pooling chose. (At 0 and 1 lerp is exact, and unlike `where` vectorized here.)"""
    if first is None:
        return rows
    even, odd = _pairs(rows)
    return torch.lerp(odd, even, first)


def _add(rows: Tensor, of_chosen: Tensor, first: Tensor | None) -> None:
    """Adds to the frames that pooling chose."""
    if first is None:
        rows.add_(of_chosen)
        return
    even, odd = _pairs(rows)
    of_even = of_chosen * first
    even.add_(of_even)
    odd.add_(of_chosen.sub_(of_even))
