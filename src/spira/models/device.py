"""The device that computes, with torch set to repeat itself bit for bit."""

import ctypes
from typing import Literal

import torch

from spira.base.errors import ParamError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h; see man mallopt


def prepare(device: Literal["auto", "cpu", "cuda"], seed: int) -> torch.device:
    """Seeds torch, makes its algorithms deterministic, and returns the device to compute on.

    Raises:
        ParamError: ``device`` is cuda and torch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ParamError("train.device: must be auto or cpu where torch finds no CUDA device, got cuda")
    found = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)  # initial weights and dropout draw from it
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, without importing torch's compiler: 2 s
    # Such algorithms also fill unwritten memory, which cost a tenth of a step; nothing here reads any.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32 in a convolution too, as in a product
    torch.set_flush_denormal(True)
    _keep_memory()
    return found


def _keep_memory() -> None:
    """Makes glibc keep what torch frees, for the next tensor: on a CPU a training step is a third faster.

    By default blocks of some megabytes go back to the kernel when they are freed, and come back page by page, zeroed.
    Another C library has no ``mallopt`` and is left alone.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 1)  # a thread's own arena would give its memory back all the same
