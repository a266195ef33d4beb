"""Tensors as arrays."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def array_of(tensor: Tensor) -> Array:
    """In C order; the same memory where it is so already.

    Unlike torch's operations numpy's do not release Python's lock, for which two threads would wait each time.
    """
    return np.ascontiguousarray(tensor.detach().numpy())


def empty(shape: tuple[int, ...]) -> Array:
    """Of float32, unwritten, and beginning where a cache line does, as numpy's own do not.

    Each second load of a vector that does not fits in no line and takes two: a convolution took a sixth longer.
    """
    return torch.empty(shape).numpy()
