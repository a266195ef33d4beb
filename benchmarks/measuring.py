"""Commands measured in turn: processor seconds, which a busy machine changes less than the clock, and the clock's."""

import os
import resource
from collections.abc import Callable, Hashable, Mapping
from time import perf_counter
from typing import NamedTuple, TypeVar

from spira.base.arithmetic import variables

Name = TypeVar("Name", bound=Hashable)


class Seconds(NamedTuple):
    """What child processes took."""

    processor: float
    clock: float


def interleaved(works: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, list[Seconds]]:
    """What each work's child processes take, once a round, so that a busy machine slows all works alike.

    One more round goes before, unmeasured: it fills the file system's cache and compiles what is compiled once.
    """
    found: dict[Name, list[Seconds]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        for name, work in works.items():
            before, start = children_seconds(), perf_counter()
            work()
            if round_ > 0:
                found[name].append(Seconds(children_seconds() - before, perf_counter() - start))
    return found


def children_seconds() -> float:
    """Processor seconds of all child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def unsettled() -> dict[str, str]:
    """This process's environment, without the variables that ``arithmetic: portable`` sets."""
    return {name: value for name, value in os.environ.items() if name not in variables("portable")}
