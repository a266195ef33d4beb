"""Dropout whose draws cost little."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 2**16  # a draw is 16 bits


class Words:
    """On a CPU, random words from a seed on, each once."""

    state = 0

    def manual_seed(self, seed: int) -> Self:
        """As ``torch.Generator``'s."""
        self.state = seed
        return self

    def __call__(self, n: int) -> Tensor:
        from spira.models.cpu.splitmix import GOLDEN, splitmix  # numba takes a third of a second to import

        words = torch.empty(n, dtype=torch.int64)
        splitmix(np.uint64(self.state), words.numpy())
        self.state = (self.state + n * GOLDEN) % 2**64
        return words


Generator = Words | torch.Generator


class _Source(local):
    generator: Generator | None = None  # torch's own


_source = _Source()


def generator_of(seed: int, device: torch.device) -> Generator:
    """What ``drawn`` can draw from, for values on a device."""
    return (Words() if device.type == "cpu" else torch.Generator(device)).manual_seed(seed)


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """In this thread, until the end of the block, ``drawn`` draws from this and not from torch's own generator."""
    _source.generator, before = generator, _source.generator
    try:
        yield
    finally:
        _source.generator = before


class Draws(NamedTuple):
    """One a value, even over the numbers of 16 bits."""

    numbers: Tensor  # int16
    least: int  # a value is kept where its number is no less,
    scale: float  # and then multiplied by this

    def factors(self, dtype: torch.dtype) -> Tensor:
        """What dropout multiplies by."""
        out = torch.empty(self.numbers.shape, dtype=dtype, device=self.numbers.device)
        return torch.ge(self.numbers, self.least, out=out).mul_(self.scale)


def drawn(shape: torch.Size, p: float, device: torch.device) -> Draws:
    """What dropout drops: each value with probability ``p``; the others are multiplied by 1 / (1 - p).

    Four numbers are drawn at once, of 64 bits. On a CPU torch draws one value after the other, which at 0.7 after
    every convolution takes two thirds as long as all the rest of SpiraConv's training step;
    models/cpu/splitmix.py takes a hundredth of that. The probability is rounded to 1 / 65,536.

    Args:
        shape: of the values.
        p: in [0, 1).
        device: where they are.
    """
    n = shape.numel()
    numbers = _words(-(-n // 4), device).view(torch.int16)[:n].view(shape)
    return Draws(numbers, round(p * _LEVELS) - _LEVELS // 2, 1 / (1 - p))


def _words(n: int, device: torch.device) -> Tensor:
    """Numbers of 64 random bits."""
    source = _source.generator
    if device.type == "cpu" and source is None:
        source = generator_of(int(torch.randint(2**63 - 1, ())), device)
    if isinstance(source, Words):
        return source(n)
    return torch.randint(-(2**63), 2**63 - 1, (n,), device=device, generator=source)


class Dropout(nn.Module):
    """``nn.Dropout`` with the draws of ``drawn``.

    ``forward``: any shape; in training each element is 0 with probability ``p`` and
    scaled by 1 / (1 - p) otherwise, in evaluation nothing changes.

    Source:
        Srivastava et al., "Dropout", 2014; ``nn.Dropout`` is the reference in tests/models/test_dropout.py.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return x * drawn(x.shape, self.p, x.device).factors(x.dtype) if self.training else x
