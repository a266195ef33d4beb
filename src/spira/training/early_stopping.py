"""Which epoch's weights are kept: the last one's, or the best one's, and then when to stop."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from spira.training.state import State, cpu_copy


class BestWeights:
    """The weights of the epoch with the lowest validation loss so far, or of the last one."""

    def __init__(self, keep: Literal["last", "lowest"], patience: int) -> None:
        self.keep, self.patience = keep, patience
        self.loss = float("inf")
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def update(self, epoch: int, loss: float, weights: Iterable[tuple[str, Tensor]]) -> bool:
        """Takes an epoch's weights where they are to be kept so far; True where it is time to stop.

        A tie of losses keeps the earlier epoch. Where the last epoch is kept, none is the last before its time.
        """
        if self.keep == "last" or loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.weights = {name: cpu_copy(tensor) for name, tensor in weights}
        return self.keep == "lowest" and epoch - self.epoch >= self.patience

    def state(self) -> State:
        loss = torch.tensor(self.loss, dtype=torch.float64)
        return State({".loss": loss, **self.weights}, {"epoch": self.epoch})  # no weight's name starts with a dot

    def resume(self, state: State) -> None:
        self.weights = dict(state.tensors)
        self.loss, self.epoch = float(self.weights.pop(".loss")), state.facts["epoch"]
