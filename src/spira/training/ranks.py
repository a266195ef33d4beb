"""Sums and messages between the ranks of one training, in which no byte depends on how many ranks there are.

A batch's gradients are added as a binary tree over its micro-batches, whose shape follows from their number alone.
Each of n ranks, a power of two, has one branch of it: the micro-batches [rank * M // n, (rank + 1) * M // n). The
upper branches are added by recursive doubling, log2(n) exchanges a step. Every rank ends with the same sum, and so
takes the same step; all of them make every draw.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from json import dumps
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from spira.base.errors import DataError, MachineError, ParamError
from spira.training.gradients import branch, has_batch_norm, is_separable
from spira.training.params import TrainParams
from spira.training.state import State

Out = TypeVar("Out")

_PATIENCE = timedelta(minutes=10)  # with a rank that neither answers nor ends: its machine is gone, or reads for long


class Ranks(NamedTuple):
    """This rank among the connected ones."""

    rank: int
    n: int
    device: torch.device  # where what they exchange lies

    def part(self, n_items: int) -> slice:
        """Those of some items that are this rank's; none where there are fewer items than ranks, for some ranks."""
        return branch(n_items, self.rank, self.n)

    def add(self, mine: Sequence[Tensor] | None, like: Sequence[Tensor], n_leaves: int) -> list[Tensor]:
        """The sum over all ranks of some tensors, the same bytes on each of them.

        Args:
            mine: the sum over this rank's ``part`` of the leaves, float32; None where it has none.
            like: tensors of the same shapes.
            n_leaves: of all ranks, >= 1.
        """
        if self.n == 1 and mine is not None:
            return list(mine)
        total = torch.cat([tensor.detach().reshape(-1) for tensor in (mine or like)])
        width = 1  # ranks below the branch that is summed
        while width < self.n:
            here, there = self.rank // width, (self.rank // width) ^ 1
            theirs = self._exchange(total, self.rank ^ width)
            sizes = [len(range(n_leaves)[branch(n_leaves, node, self.n // width)]) for node in (here, there)]
            if not sizes[0]:
                total = theirs
            elif sizes[1]:  # a sum of nothing is left out: adding its zeros would make a -0.0 positive
                total = total + theirs
            width *= 2
        parts = total.split([tensor.numel() for tensor in like])
        return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]

    def _exchange(self, mine: Tensor, partner: int) -> Tensor:
        theirs = torch.empty_like(mine)

        def swap() -> None:
            both = [dist.P2POp(dist.isend, mine, partner), dist.P2POp(dist.irecv, theirs, partner)]
            for request in dist.batch_isend_irecv(both):
                request.wait()

        _together(swap)
        return theirs

    def complete(self, numbers: Tensor) -> Tensor:
        """All of some numbers, of which each rank has its own ``part``; shape (n_items,)."""
        if self.n == 1:
            return numbers
        held = [torch.empty_like(numbers) for _ in range(self.n)]
        _together(lambda: dist.all_gather(held, numbers))
        n_items = len(numbers)
        return torch.cat([each[branch(n_items, rank, self.n)] for rank, each in enumerate(held)])

    def from_first(self, content: bytes) -> bytes:
        """What rank 0 has."""
        if self.n == 1:
            return content
        size = torch.tensor([len(content)], device=self.device)
        _together(lambda: dist.broadcast(size, 0))
        held = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.rank == 0 and content:
            held.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        if len(held):
            _together(lambda: dist.broadcast(held, 0))
        return held.cpu().numpy().tobytes()

    def require_same(self, content: bytes, what: str) -> None:
        """Raises DataError on every rank where one has other bytes than rank 0: ``what`` of theirs, in the message."""
        if self.n == 1:
            return
        mine = torch.frombuffer(bytearray(sha256(content).digest()), dtype=torch.uint8).to(self.device)
        held = [torch.empty_like(mine) for _ in range(self.n)]
        _together(lambda: dist.all_gather(held, mine))
        if others := [rank for rank, digest in enumerate(held) if not torch.equal(digest, held[0])]:
            raise DataError(f"rank {others[0]} of {self.n} has other {what} than rank 0")


ONE_RANK = Ranks(0, 1, torch.device("cpu"))


@contextmanager
def connected(rank: int, n: int, meeting: str, n_sharing: int, device: torch.device) -> Iterator[Ranks]:
    """The ranks of one training, connected until all of them have come to the end of the block.

    Args:
        rank: this one's number, in [0, n).
        n: of all ranks.
        meeting: a file of this machine by which they find each other; "" where torchrun's variables say where.
        n_sharing: ranks that share this process's threads.
        device: whose numbers they exchange: by gloo from a CPU, by NCCL from GPUs.

    Raises:
        MachineError: another rank is gone.
    """
    if n == 1:
        yield ONE_RANK
        return
    torch.set_num_threads(max(1, torch.get_num_threads() // n_sharing))
    backend = "nccl" if device.type == "cuda" else "gloo"
    store = dist.FileStore(meeting, n) if meeting else None  # type: ignore[attr-defined]
    _together(lambda: dist.init_process_group(backend, timeout=_PATIENCE, world_size=n, rank=rank, store=store))
    yield Ranks(rank, n, device)
    _together(dist.barrier)
    dist.destroy_process_group()


def _together(work: Callable[[], Out]) -> Out:
    """What all ranks do at once; a MachineError where one of them is gone."""
    try:
        return work()
    except RuntimeError as error:
        raise MachineError(f"another rank is gone ({str(error).splitlines()[0]})") from error


def state_bytes(state: State) -> bytes:
    """A digest of a training's state: the weights and what every generator will draw next."""
    digest = sha256(dumps(state.facts, sort_keys=True, allow_nan=False).encode())
    for name, tensor in sorted(state.tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.digest()


def require_divisible(net: nn.Module, p: TrainParams, kind: str) -> None:
    """Raises ParamError where several ranks would not give the bytes of one, or where nobody has tried it."""
    if has_batch_norm(net):
        why = "batch normalisation, whose statistics follow the micro-batches one after the other"
    elif not is_separable(net):
        why = "torch's own dropout, whose draws follow the micro-batches one after the other"
    elif p.cuda_graph or p.precision != "float32":
        option = "train.cuda_graph: must be false" if p.cuda_graph else "train.precision: must be float32"
        raise ParamError(f"{option} on several ranks, for it has not been tried there")
    else:
        return
    raise ParamError(f"{kind}: must be trained by one rank, for it has {why}; unset SPIRA_RANKS, or start one process")
