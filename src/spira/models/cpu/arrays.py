"""Torch's tensors as NumPy arrays of the same memory, as the compiled kernels take them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def as_array(tensor: Tensor) -> Array:
    """The tensor as an array in C order; the same memory where it is in that order already.

    Unlike torch's operations numpy's do not release Python's lock, for which two threads would wait each time.
    """
    return np.ascontiguousarray(tensor.detach().numpy())


def empty(shape: tuple[int, ...]) -> Array:
    """An array of float32, unwritten, that begins where a cache line does; numpy's own do not.

    Each second load of a vector that does not fits in no line and takes two: a convolution took a sixth longer.
    """
    return torch.empty(shape).numpy()
