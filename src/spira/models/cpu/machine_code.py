"""Compile functions with numba, where operations of torch or NumPy are too slow, and keep the machine code on disk."""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

from numba import njit

# Without Python's lock; division by zero gives infinity; a product and a sum may be one instruction.
_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}

# For a function that ``compiled`` ones call. It always becomes part of them: as a function of its own it would be
# compiled twice, alone and in each caller, not always to the same instructions. Which of the two ran was decided by
# whether the caller's machine code was made by this process or found, so that the first training of a fresh clone
# differed from all that followed.
inner = njit(forceinline=True, **_FLAGS)
# The same for a sum over thousands of products, which is vectors only where its order is the compiler's.
reordered = njit(forceinline=True, **_FLAGS | {"fastmath": {"contract", "nsz", "reassoc"}})


def compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Machine code of a function, from ``__pycache__`` where an earlier process left it: 0.1 s instead of some seconds.

    Where that folder cannot be written, or holds what a crash cut short, this process compiles for itself.
    """

    def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            code: Callable[..., Any] = njit(signature, cache=True, **_FLAGS)(function)
        except (OSError, EOFError, RuntimeError, UnpicklingError):
            code = njit(signature, **_FLAGS)(function)
        return code

    return compile_function
