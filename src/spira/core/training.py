"""What the loop in stages/train.py is made of: optimizer, schedule, batches, early stopping."""

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from spira.core.section import Section
from spira.core.windows import Windows


class TrainParams(Section):
    batch_size: PositiveInt  # windows an optimizer step
    micro_batch_size: PositiveInt  # windows a forward pass; gradients are summed over a batch
    max_epochs: PositiveInt
    patience: PositiveInt  # epochs without a lower validation loss
    optimizer: Literal["adam", "adamw"]
    lr: PositiveFloat  # at its highest
    weight_decay: NonNegativeFloat
    schedule: Literal["noam", "constant"]
    warmup_steps: PositiveInt  # optimizer steps until noam is at its highest
    max_grad_norm: PositiveFloat
    device: Literal["auto", "cpu", "cuda"]


def noam(step: int, warmup_steps: int) -> float:
    """Fraction of the highest learning rate at an optimizer step.

    Linear up to ``warmup_steps``, then as 1 / sqrt(step)::

        1 |      /\\_
          |    /     ‾‾--..__
        0 |__/________________ step
             1   warmup

    Args:
        step: optimizer steps taken so far, plus this one: >= 1.
        warmup_steps: where the fraction is 1.

    Source:
        Vaswani et al., "Attention is all you need", 2017, equation 3, scaled to peak at 1.
    """
    return float(warmup_steps**0.5 * min(step * warmup_steps**-1.5, step**-0.5))


def optimizer_for(net: nn.Module, p: TrainParams) -> torch.optim.Optimizer:
    """Adam (weight decay inside the gradient) or AdamW (beside it)."""
    kind = torch.optim.Adam if p.optimizer == "adam" else torch.optim.AdamW
    return kind(net.parameters(), lr=p.lr, weight_decay=p.weight_decay)


def schedule_for(optimizer: torch.optim.Optimizer, p: TrainParams) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of each optimizer step; ``step()`` after every one of the optimizer's."""
    if p.schedule == "constant":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: noam(done + 1, p.warmup_steps))


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over windows of the binary cross-entropy, from logits: finite wherever they are."""
    return binary_cross_entropy_with_logits(logits, labels, reduction="sum")


@torch.no_grad()
def validation_loss(net: nn.Module, windows: Windows, batch_size: int) -> float:
    """Mean loss over every window, without dropout: the same weights give the same number."""
    net.eval()
    total = torch.zeros((), dtype=torch.float64)
    for batch in torch.arange(len(windows), device=windows.starts.device).split(batch_size):
        logits = net(windows.batch(batch, torch.zeros_like(batch)))
        total += loss_of(logits, windows.labels[batch]).double().cpu()
    return float(total / len(windows))


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
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights}
        return epoch - self.epoch >= self.patience
