"""Dropout whose draws cost little."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

import torch
from torch import Tensor, nn

_LEVELS = 2**16  # a draw is 16 bits


class _Source(local):
    generator: torch.Generator | None = None  # torch's own


_source = _Source()


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """In this thread, until the end of the block, ``kept`` draws from a generator of its own."""
    _source.generator, before = torch.Generator(device).manual_seed(seed), _source.generator
    try:
        yield
    finally:
        _source.generator = before


def kept(shape: torch.Size, p: float, like: Tensor) -> Tensor:
    """What dropout multiplies by: 0 with probability ``p``, else 1 / (1 - p).

    Four elements are drawn from each 64-bit number instead of one: on a CPU torch draws one
    number after the other, and at 0.7 after every convolution that was a fifth of SpiraConv's
    training step. The probability is rounded to 1 / 65,536.

    Args:
        shape: of the result.
        p: in [0, 1).
        like: a tensor of the wanted type and device.
    """
    n = shape.numel()
    words = torch.randint(-(2**63), 2**63 - 1, (-(-n // 4),), device=like.device, generator=_source.generator)
    draws = words.view(torch.int16)[:n].view(shape)  # even over [-32768, 32767]
    return (draws >= round(p * _LEVELS) - _LEVELS // 2).to(like.dtype).mul_(1 / (1 - p))


class Dropout(nn.Module):
    """``nn.Dropout`` with the draws of ``kept``.

    ``forward``: any shape; in training each element is 0 with probability ``p`` and
    scaled by 1 / (1 - p) otherwise, in evaluation nothing changes.

    Source:
        Srivastava et al., "Dropout", 2014; ``nn.Dropout`` is the reference in tests/test_dropout.py.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return x * kept(x.shape, self.p, x) if self.training else x
