"""Independent pieces of work, as many at once as torch has threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import local
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Out = TypeVar("Out")


class _Before(local):
    n_threads: int | None = None  # that torch had before ``single_threaded``


_before = _Before()


def single_threaded(items: Iterable[Item]) -> Iterator[Item]:
    """Yields the items, and holds torch to one thread until the last is used; ``in_threads`` still has all of them.

    OpenMP's threads keep their cores busy for some milliseconds after each of torch's own parallel operations, in case
    another follows. Between two batches there are a few such operations, and the waiting took a third of an epoch.
    """
    outer, n_threads = _before.n_threads, torch.get_num_threads()
    _before.n_threads = outer or n_threads
    torch.set_num_threads(1)
    try:
        yield from items
    finally:
        torch.set_num_threads(n_threads)
        _before.n_threads = outer


def in_threads(f: Callable[..., Out], *arguments: Iterable[Any], device: torch.device) -> list[Out]:
    """``list(map(f, *arguments))``, in parallel on a CPU, where a piece's tensors then stay in one core's cache.

    Nothing in the result depends on how many threads there are, if ``f`` of one piece depends
    on no other. torch's modes are a thread's own, so ``f`` sets those that it needs.
    """
    n_threads = (_before.n_threads or torch.get_num_threads()) if device.type == "cpu" else 1
    return list(map(f, *arguments) if n_threads == 1 else _pool(n_threads).map(f, *arguments))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, initializer=_prepare_thread)


def _prepare_thread() -> None:
    torch.get_num_threads()  # a thread's first look sets its number to the process's, so it must come before
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a thread's own too; see models/device.py
