"""Work in parallel threads, results in the order of the work; and a progress bar."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")

_SECONDS_BETWEEN_LINES = 10.0


def n_cores() -> int:
    """The number of cores that this process may use: ``taskset -c 0 dvc repro`` gives it one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], n_workers: int | None = None
) -> Generator[Result]:
    """``map`` in threads, holding no more than a few results a worker.

    The results and their order do not depend on ``n_workers`` (one a core where it is None).
    """
    n_workers = n_workers or n_cores()
    with ThreadPoolExecutor(n_workers) as pool:
        ahead: deque[Future[Result]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) > 4 * n_workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:  # where nobody wants the rest, what has not begun is left
            for future in ahead:
                future.cancel()


def progress(items: Iterable[Item], total: int, name: str) -> Generator[Item]:
    """Yields the items, with a bar on a terminal and a line every ten seconds elsewhere."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=name, total=total, leave=False)
        return
    printed = time.monotonic()
    for n_items, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - printed > _SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            print(f"{name}: {n_items} of {total}", file=sys.stderr, flush=True)
