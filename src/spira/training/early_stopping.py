"""Early stopping: keep the weights of the best epoch, stop when none is better for a while."""

from collections.abc import Iterable

import torch
from torch import Tensor

from spira.training.state import State, cpu_copy


class BestWeights:
    """The weights of the epoch with the lowest validation loss so far."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.loss = float("inf")
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def update(self, epoch: int, loss: float, weights: Iterable[tuple[str, Tensor]]) -> bool:
        """Compares an epoch with the best so far; True where it is time to stop. A tie keeps the earlier epoch."""
        if loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.weights = {name: cpu_copy(tensor) for name, tensor in weights}
        return epoch - self.epoch >= self.patience

    def state(self) -> State:
        loss = torch.tensor(self.loss, dtype=torch.float64)
        return State({".loss": loss, **self.weights}, {"epoch": self.epoch})  # no weight's name starts with a dot

    def resume(self, state: State) -> None:
        self.weights = dict(state.tensors)
        self.loss, self.epoch = float(self.weights.pop(".loss")), state.facts["epoch"]
