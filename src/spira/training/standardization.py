"""Training frames -> the centre and spread that a network's ``Standardize`` is set to."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from spira.base.array_types import Floats
from spira.models.standardize import Standardize

Rendering = tuple[Tensor, float]  # frames (n_frames, n_features) of one rendering, and its weight


def centre_and_spread(renderings: Iterable[Rendering]) -> tuple[Floats, Floats]:
    """The weighted mean and deviation of each coefficient over all frames; frames that are all zero do not count.

    Args:
        renderings: in an order that is always the same, for a sum in another order has other last digits.

    Returns:
        Two arrays (n_features,), float64; where a coefficient never differs its spread is 1.
    """
    renderings = list(renderings)
    sums = [(weight * len(frames), weight * frames.sum(axis=0)) for frames, weight in _sound(renderings)]
    n = sum(n for n, _ in sums)
    centre = sum(total for _, total in sums) / n
    squares = sum(weight * ((frames - centre) ** 2).sum(axis=0) for frames, weight in _sound(renderings))
    spread = np.sqrt(squares / n)
    return centre, np.where(spread > 0, spread, 1.0)


def _sound(renderings: Iterable[Rendering]) -> Iterator[tuple[Floats, float]]:
    for frames, weight in renderings:
        numbers = frames.cpu().numpy().astype(np.float64)
        yield numbers[numbers.any(axis=1)], weight


@torch.no_grad()
def set_standardize(net: nn.Module, centre: Floats, spread: Floats) -> None:
    """Sets the two buffers of the network's ``standardize``."""
    layer = net.get_submodule("standardize")
    if not isinstance(layer, Standardize):
        raise TypeError(f"standardize must be a Standardize, got {type(layer).__name__}")
    layer.centre.copy_(torch.from_numpy(centre))
    layer.spread.copy_(torch.from_numpy(spread))
