"""Which rank of a training a process is, by SPIRA_RANKS or by the variables that torchrun sets."""

from collections.abc import Mapping
from typing import NamedTuple

from spira.base.errors import ParamError

ASKED = "SPIRA_RANKS"
MOST = 64  # each is a process of its own, with all that it has loaded
PARENT, MEETING = "SPIRA_RANK_PARENT", "SPIRA_RANK_MEETING"  # given to the ranks that rank 0 starts, by nobody else

_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Place(NamedTuple):
    """Which of the ranks this process is."""

    rank: int  # in [0, n)
    n: int
    local_rank: int  # among those of this machine: the number of its GPU
    n_sharing: int  # ranks among which the cores are still to be shared
    meeting: str  # a file that the ranks of one machine meet by; "" where they meet at MASTER_ADDR


ALONE = Place(rank=0, n=1, local_rank=0, n_sharing=1, meeting="")


def place_in(environment: Mapping[str, str]) -> Place:
    """The place that torchrun's variables give this process, or the first of SPIRA_RANKS.

    Raises:
        ParamError: a number is no number, or out of range, or variables are missing or contradict each other.
    """
    if "RANK" not in environment:
        n = _number(environment, ASKED, 1, MOST) if ASKED in environment else 1
        _require_power_of_two(ASKED, n)
        return ALONE._replace(n=n, n_sharing=_n_sharing(environment, n))
    if ASKED in environment:
        raise ParamError(f"{ASKED}: must not be set where torchrun has set RANK, got both; unset one of them")
    needed = _TORCHRUN[:2] if MEETING in environment else _TORCHRUN
    if missing := [name for name in needed if name not in environment]:
        raise ParamError(
            f"RANK: must come with {', '.join(_TORCHRUN[1:])}, got no {' and no '.join(missing)}; torchrun sets them "
            f"all. For one process, unset RANK"
        )
    n = _number(environment, "WORLD_SIZE", 1, 4096)
    _require_power_of_two("WORLD_SIZE", n)
    n_local = _number(environment, "LOCAL_WORLD_SIZE", 1, n) if "LOCAL_WORLD_SIZE" in environment else 1
    return Place(
        rank=_number(environment, "RANK", 0, n - 1),
        n=n,
        local_rank=_number(environment, "LOCAL_RANK", 0, n - 1) if "LOCAL_RANK" in environment else 0,
        n_sharing=_n_sharing(environment, n_local),
        meeting=environment.get(MEETING, ""),
    )


def _n_sharing(environment: Mapping[str, str], n_local: int) -> int:
    """1 where OMP_NUM_THREADS has settled how many threads a rank has."""
    return 1 if environment.get("OMP_NUM_THREADS") else n_local


def _number(environment: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and str(int(text)) == text and least <= int(text) <= most):
        raise ParamError(f"{name}: must be a whole number in [{least}, {most}], got {text!r}")
    return int(text)


def _require_power_of_two(name: str, n: int) -> None:
    """A batch's gradients are added in pairs, pairs of pairs and so on, and a rank has one branch of that tree."""
    if n & (n - 1):
        raise ParamError(f"{name}: must be a power of two (1, 2, 4, 8, ...), got {n}")
