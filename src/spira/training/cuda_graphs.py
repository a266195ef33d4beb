"""CUDA graphs: work on a GPU that is recorded once and replayed."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from spira.models.dropout import Generator

Out = TypeVar("Out")

_N_WARM = 3  # in which libraries choose their algorithms and take their memory; a recording may do neither


class Recorded(Generic[Out]):
    """``work(*inputs)`` for tensors of the same shapes, as one launch: a small network's kernels take less time than
    the host takes to launch them.

    Args:
        work: of tensors on the current GPU; it waits for none, and chooses nothing by their numbers.
        inputs: such as it will be called with.
        generators: from which it draws, beside torch's own; a seed that one is given counts from the next call on.
        net: whose weights it reads, in the memory where they are now. Its state is put back as it was before.

    What a call returns lies where the last call's did: copy what is to outlive the next.

    Source:
        torch's documentation on CUDA graphs.
    """

    def __init__(
        self,
        work: Callable[..., Out],
        inputs: Sequence[Tensor],
        generators: Sequence[Generator],
        net: nn.Module,
    ) -> None:
        state, drawn = {name: tensor.clone() for name, tensor in net.state_dict().items()}, torch.cuda.get_rng_state()
        self._inputs = [tensor.clone() for tensor in inputs]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_N_WARM):
                work(*self._inputs)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            if isinstance(generator, torch.Generator):  # as all of a GPU are
                self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph):
            self._out = work(*self._inputs)
        net.load_state_dict(state)  # batch normalisation's statistics
        torch.cuda.set_rng_state(drawn)

    def __call__(self, *inputs: Tensor) -> Out:
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return self._out
