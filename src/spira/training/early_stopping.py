"""Early stopping."""

from collections.abc import Iterable

import torch
from torch import Tensor

from spira.training.state import State, copied


class BestWeights:
    """The weights of the epoch with the lowest validation loss, and when to give up."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.loss = float("inf")
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def seen(self, epoch: int, loss: float, weights: Iterable[tuple[str, Tensor]]) -> bool:
        """Take note of an epoch; True where it is time to stop. A tie keeps the earlier epoch."""
        if loss < self.loss:
            self.loss, self.epoch = loss, epoch
            self.weights = {name: copied(tensor) for name, tensor in weights}
        return epoch - self.epoch >= self.patience

    def state(self) -> State:
        loss = torch.tensor(self.loss, dtype=torch.float64)
        return State({".loss": loss, **self.weights}, {"epoch": self.epoch})  # no weight's name starts with a dot

    def resume(self, state: State) -> None:
        self.weights = dict(state.tensors)
        self.loss, self.epoch = float(self.weights.pop(".loss")), state.facts["epoch"]
