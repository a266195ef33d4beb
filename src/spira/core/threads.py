"""Independent pieces of work, as many at once as torch has threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch

Out = TypeVar("Out")


def in_threads(f: Callable[..., Out], *arguments: Iterable[Any], device: torch.device) -> list[Out]:
    """``list(map(f, *arguments))``, at once on a CPU, where a piece's tensors then stay in one core's cache.

    Nothing in the result depends on how many threads there are, if ``f`` of one piece depends
    on no other. torch's modes are a thread's own, so ``f`` sets those that it needs.
    """
    n_threads = torch.get_num_threads() if device.type == "cpu" else 1
    return list(map(f, *arguments) if n_threads == 1 else _pool(n_threads).map(f, *arguments))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, initializer=_begin)


def _begin() -> None:
    torch.get_num_threads()  # a thread's first look sets its number to the process's, so it must come before
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a thread's own too; see adapters/engine.py
