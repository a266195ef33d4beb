"""Dropout that draws few random words, each from a seed of its own where one is given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = 0x9E3779B97F4A7C15  # from one state of splitmix to the next: 2^64 over the golden ratio, made odd
_LEVELS = 2**16  # a draw is 16 bits


def splitmix(state: int, n: int) -> Tensor:
    """The ``n`` words of 64 random bits that follow a state, shape (n,), int64.

    After them the state is ``state + n * GOLDEN``, modulo 2^64. Each word depends on its place alone and not on the
    word before it.

    Source:
        Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN) + np.uint64(state)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return torch.from_numpy((z ^ (z >> np.uint64(31))).view(np.int64))


class CpuGenerator:
    """The state of ``splitmix``, which moves on with every word that is taken."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def manual_seed(self, seed: int) -> Self:
        """Starts from a seed, as ``torch.Generator.manual_seed``."""
        self.state = seed
        return self

    def advance(self, n: int) -> int:
        """The state that the next ``n`` words follow; they are then taken."""
        before, self.state = self.state, (self.state + n * GOLDEN) % 2**64
        return before


Generator = CpuGenerator | torch.Generator


class _Source(local):
    generator: Generator | None = None  # torch's own


_source = _Source()


def new_generator(seed: int, device: torch.device) -> Generator:
    """A generator that ``Dropout`` can draw from, for values on a device."""
    return CpuGenerator(seed) if device.type == "cpu" else torch.Generator(device).manual_seed(seed)


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """``Dropout`` in this thread draws from this generator, and not from torch's own, until the block ends."""
    _source.generator, before = generator, _source.generator
    try:
        yield
    finally:
        _source.generator = before


class Draws(NamedTuple):
    """One draw a value, uniform over the numbers of 16 bits."""

    numbers: Tensor  # int16
    least: int  # a value is kept where its number is no less,
    scale: float  # and then multiplied by this

    def factors(self, dtype: torch.dtype) -> Tensor:
        """The factor of each value: 0 or the scale."""
        out = torch.empty(self.numbers.shape, dtype=dtype, device=self.numbers.device)
        return torch.ge(self.numbers, self.least, out=out).mul_(self.scale)


class Dropout(nn.Module):
    """``nn.Dropout`` with draws that are cheaper, and that can follow from a seed: see ``drawing_from``.

    ``forward``: any shape; in training each element is 0 with probability ``p`` and
    scaled by 1 / (1 - p) otherwise, in evaluation nothing changes.

    One word of 64 bits decides about four values. torch draws one value after the other, which on a CPU at 0.7 after
    every convolution takes two thirds as long as all the rest of SpiraConv's training step. The probability is
    rounded to 1 / 65,536.

    Source:
        Srivastava et al., "Dropout", 2014; ``nn.Dropout`` is the reference in tests/models/test_dropout.py.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.words: Callable[[int, int], Tensor] = splitmix  # models/cpu has the same words, ten times as fast

    def forward(self, x: Tensor) -> Tensor:
        return x * self.draw(x.shape, x.device).factors(x.dtype) if self.training else x

    def draw(self, shape: torch.Size, device: torch.device) -> Draws:
        """Which of the values of this shape are kept; the others are 0."""
        n = shape.numel()
        numbers = self._words(-(-n // 4), device).view(torch.int16)[:n].view(shape)
        return Draws(numbers, round(self.p * _LEVELS) - _LEVELS // 2, 1 / (1 - self.p))

    def _words(self, n: int, device: torch.device) -> Tensor:
        """Numbers of 64 random bits, shape (n,)."""
        source = _source.generator
        if device.type == "cpu" and source is None:
            source = new_generator(int(torch.randint(2**63 - 1, ())), device)
        if isinstance(source, CpuGenerator):
            return self.words(source.advance(n), n)
        return torch.randint(-(2**63), 2**63 - 1, (n,), device=device, generator=source)
