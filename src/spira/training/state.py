"""The state of a training between two epochs: taken out after one, put back before the next."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class State(NamedTuple):
    """A copy of something that changes, as it was at one moment."""

    tensors: dict[str, Tensor]  # on the CPU
    facts: dict[str, Any]  # as JSON has them


class TrainingRun(NamedTuple):
    """All that an epoch of training changes, beside torch's own generators."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    order: torch.Generator
    rng: np.random.Generator

    def state(self, epoch: int) -> State:
        """Copies weights, moments, learning rate and the state of every generator, after an epoch."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        for i, moments in optimizer["state"].items():
            tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in moments.items()}
        tensors |= {"order": self.order.get_state(), "torch": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            tensors["cuda"] = torch.cuda.get_rng_state()
        facts = {
            "epoch": epoch,
            "groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict(),
            "rng": self.rng.bit_generator.state,
        }
        return State({name: cpu_copy(tensor) for name, tensor in tensors.items()}, facts)

    def resume(self, state: State) -> int:
        """Puts everything back, torch's own generators too; returns the epoch after which it was taken."""
        tensors, facts = state
        self.net.load_state_dict(_under("net.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            i, _, moment = name.partition(".")
            moments.setdefault(int(i), {})[moment] = tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": facts["groups"]})
        self.schedule.load_state_dict(dict(facts["schedule"]))
        self.order.set_state(tensors["order"])
        self.rng.bit_generator.state = facts["rng"]
        torch.set_rng_state(tensors["torch"])
        if "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"])
        return int(facts["epoch"])


def cpu_copy(tensor: Tensor) -> Tensor:
    """A copy of the tensor on the CPU."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
