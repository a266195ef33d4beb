"""Optimizer, learning rate schedule and loss: the parts of the loop in training/loop.py."""

from collections.abc import Sequence
from inspect import unwrap
from math import cos, pi
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer

from spira.base.errors import DataError
from spira.features.windows import Windows
from spira.models.threads import in_threads
from spira.training.nan_guard import listed
from spira.training.params import TrainParams
from spira.training.ranks import ONE_RANK, Ranks

Kind = TypeVar("Kind", bound=type[Optimizer])


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


def cosine(step: int, warmup_steps: int, n_steps: int) -> float:
    """Fraction of the highest learning rate at an optimizer step: linear up, then half a cosine down, never 0.

    Args:
        step: optimizer steps taken so far, plus this one: >= 1.
        warmup_steps: where the fraction is 1; where it is more than ``n_steps``, that is never reached.
        n_steps: that are expected of the whole training, if it is not stopped early; later ones have the last's.

    Source:
        Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts.
    """
    step = min(step, n_steps)  # an epoch may draw more windows than is expected; the rate never rises again
    if step <= warmup_steps:
        return step / warmup_steps
    return (1 + cos(pi * (step - warmup_steps) / (n_steps - warmup_steps + 1))) / 2


def optimizer_for(net: nn.Module, p: TrainParams) -> Optimizer:
    """Adam and RAdam (weight decay inside the gradient), or AdamW (beside it)."""
    if p.optimizer == "radam":
        return _uncompiled(torch.optim.RAdam)(net.parameters(), lr=p.lr, weight_decay=p.weight_decay)
    kind = _uncompiled(torch.optim.Adam if p.optimizer == "adam" else torch.optim.AdamW)
    # One pass over the weights where the plain form takes ten: a quarter of the time, the same numbers to rounding.
    return kind(net.parameters(), lr=p.lr, weight_decay=p.weight_decay, fused=True)


def _uncompiled(kind: Kind) -> Kind:
    """The optimizer without the wrappers for torch's compiler, whose import costs a training 1.5 s."""
    wrapped = ("add_param_group", "step", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: torch.no_grad()(unwrap(getattr(kind, name))) for name in wrapped}
    made: Kind = type(kind.__name__, (kind,), methods)  # type: ignore[assignment]
    return made


def schedule_for(optimizer: Optimizer, p: TrainParams, n_steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate of each of ``n_steps`` optimizer steps; ``step()`` after every one of the optimizer's."""

    def fraction(n_steps_taken: int) -> float:
        if p.schedule == "noam":
            return noam(n_steps_taken + 1, p.warmup_steps)
        return cosine(n_steps_taken + 1, p.warmup_steps, n_steps) if p.schedule == "cosine" else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, fraction)


def summed_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum over windows of the binary cross-entropy, from logits: finite wherever they are.

    Args:
        logits: shape (batch,).
        labels: in [0, 1], shape (batch,).
        weights: of (control, patient); a label between them weighs each part by its own. None weighs all the same.
    """
    if weights is None:
        return binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    odds = weights[1] / weights[0]
    return weights[0] * binary_cross_entropy_with_logits(logits, labels, pos_weight=odds, reduction="sum")


def validation_loss(
    net: nn.Module, conditions: Sequence[Windows], batch_size: int, names: Sequence[str], ranks: Ranks = ONE_RANK
) -> float:
    """Mean loss over the windows of every condition by their weights, without any option of training, in float32.

    The same weights of the network give the same number: there is no dropout, mixing, smoothing or class weight.

    Args:
        net: on the windows' device.
        conditions: the windows of the same validation clips under each condition; those of some have a weight above 0.
        batch_size: windows a forward pass.
        names: of the clips, for the message.
        ranks: each computes its part of the forward passes, and all return the same number.

    Raises:
        DataError: some clip's loss is not finite, so that epochs cannot be compared.
    """
    net.eval()
    loss = sum(_weighted_loss(net, windows, batch_size, names, ranks) for windows in conditions)
    return loss / sum(float(windows.weights.sum()) for windows in conditions)


def _weighted_loss(net: nn.Module, windows: Windows, batch_size: int, names: Sequence[str], ranks: Ranks) -> float:
    """Sum over the windows of their loss times their weight."""
    batches = torch.arange(len(windows), device=windows.device).split(batch_size)
    weights = windows.weights.to(windows.device).split(batch_size)
    losses = torch.empty(len(batches), dtype=torch.float64, device=windows.device)  # one tensor: see clip_scores
    mine = ranks.part(len(batches))

    @torch.no_grad()
    def measure(i: int, batch: Tensor, weight: Tensor) -> None:
        each = binary_cross_entropy_with_logits(net(windows.batch(batch)), windows.labels[batch], reduction="none")
        losses[i] = (each.double() * weight).sum()

    in_threads(measure, range(len(batches))[mine], batches[mine], weights[mine], device=windows.device)
    losses = ranks.complete(losses)
    if odd := [i for i, finite in enumerate(losses.isfinite().tolist()) if not finite]:
        clips = listed(names, torch.cat([windows.clips.split(batch_size)[i] for i in odd]))
        got = f"got {float(losses[odd[0]])} in batches with {clips}"
        raise DataError(f"the validation loss must be finite, {got}; try a lower train.lr")
    return float(losses.sum())
