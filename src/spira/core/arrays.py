"""Tensors as arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def array_of(tensor: Tensor) -> Array:
    """In C order; the same memory where it is so already.

    Unlike torch's operations numpy's do not release Python's lock, for which two threads would wait each time.
    """
    return np.ascontiguousarray(tensor.detach().numpy())
