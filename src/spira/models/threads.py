"""Independent pieces of work, as many at once as torch has threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import local
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Out = TypeVar("Out")


class _Begun(local):
    n_threads: int | None = None  # that torch had before ``alone``


_begun = _Begun()


def alone(items: Iterable[Item]) -> Iterator[Item]:
    """The items; until the last is done with, torch computes in this thread alone, ``in_threads`` in as many as before.

    OpenMP's threads keep their cores busy for some milliseconds after each of torch's own parallel operations, in case
    another follows. Between two batches there are a few such operations, and the waiting took a third of an epoch.
    """
    before, n_threads = _begun.n_threads, torch.get_num_threads()
    _begun.n_threads = before or n_threads
    torch.set_num_threads(1)
    try:
        yield from items
    finally:
        torch.set_num_threads(n_threads)
        _begun.n_threads = before


def in_threads(f: Callable[..., Out], *arguments: Iterable[Any], device: torch.device) -> list[Out]:
    """``list(map(f, *arguments))``, at once on a CPU, where a piece's tensors then stay in one core's cache.

    Nothing in the result depends on how many threads there are, if ``f`` of one piece depends
    on no other. torch's modes are a thread's own, so ``f`` sets those that it needs.
    """
    n_threads = (_begun.n_threads or torch.get_num_threads()) if device.type == "cpu" else 1
    return list(map(f, *arguments) if n_threads == 1 else _pool(n_threads).map(f, *arguments))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, initializer=_begin)


def _begin() -> None:
    torch.get_num_threads()  # a thread's first look sets its number to the process's, so it must come before
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a thread's own too; see models/device.py
