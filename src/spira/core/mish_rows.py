"""Mish, pooling and dropout of rows of frames, value and derivative together; core/mish_pool.py makes a layer of it."""

from typing import NamedTuple

import torch
from torch import Tensor

_N_CACHED = 2**18  # elements of a tensor of which several stay in a core's second-level cache


class Made(NamedTuple):
    """Of each row, a channel of a window: (batch * channel, frame, coefficient)."""

    out: Tensor
    first: Tensor | None  # 1 where the earlier frame of a pair was chosen, else 0; None where nothing is pooled
    derivative: Tensor  # of out by the frame that was chosen


def empty_for(x: Tensor, *, pooled: bool) -> Made:
    """Memory for what ``fill`` makes of an image (batch, channel, frame, coefficient)."""
    batch, channel, frame, coefficient = x.shape
    out = x.new_empty(batch * channel, frame // 2 if pooled else frame, coefficient)
    return Made(out, torch.empty_like(out) if pooled else None, torch.empty_like(out))


def pieces_of(rows: Tensor, n_each: int) -> list[slice]:
    """The rows in pieces whose tensors stay in one core's cache, whole groups of ``n_each``; all at once on a GPU."""
    size = max(1, _N_CACHED // (n_each * rows[0].numel())) * n_each if rows.device.type == "cpu" else len(rows)
    return [slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]


def fill(made: Made, part: slice, z: Tensor, kept: Tensor | None) -> None:
    """Writes into ``made`` what becomes of a piece of the rows, ``z``, times what dropout ``kept``."""
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
    gate = chosen(gate, first)
    of_sigmoid = torch.addcmul(chosen(z, first), out, gate, value=-1)
    torch.addcmul(gate, chosen(sigmoid, first), of_sigmoid, out=derivative)
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


def chosen(rows: Tensor, first: Tensor | None) -> Tensor:
    """Of each pair the frame that pooling chose. (At 0 and 1 lerp is exact, and unlike `where` vectorized here.)"""
    if first is None:
        return rows
    even, odd = _pairs(rows)
    return torch.lerp(odd, even, first)


def add_to_chosen(rows: Tensor, of_chosen: Tensor, first: Tensor | None) -> None:
    """Adds to the frames that pooling chose."""
    if first is None:
        rows.add_(of_chosen)
        return
    even, odd = _pairs(rows)
    of_even = of_chosen * first
    even.add_(of_even)
    odd.add_(of_chosen.sub_(of_even))
