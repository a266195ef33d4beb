"""One epoch of training after the other."""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from spira.core.augmentation import balanced_draw, class_weights, mixup, smoothed, spec_augment
from spira.core.dropout import drawing_from
from spira.core.logistic_regression import LogisticRegression
from spira.core.resuming import Course, State
from spira.core.threads import alone, in_threads
from spira.core.training import TrainParams, loss_of, optimizer_for, schedule_for
from spira.core.windows import Windows, moved_at_random
from spira.errors import DataError


class Epoch(NamedTuple):
    """What an epoch tells of itself."""

    loss: float  # mean over its windows of what was minimised
    lr: float  # of the step after it; 0 where nothing is descended
    state: State | None  # all that the next one depends on; None where it is the only one


def learn(
    net: nn.Module, windows: Windows, p: TrainParams, *, seed: int, names: Sequence[str], since: State | None = None
) -> Iterator[Epoch]:
    """Changes the network's weights, an epoch each time it is asked; one solution where the model has one.

    Args:
        net: on the windows' device.
        windows: of the training clips; with ``p.windows=random``, one a clip.
        p: how.
        seed: of every draw but dropout's.
        names: of the clips, for the message.
        since: of an earlier epoch of the same training, after which to go on.

    Raises:
        DataError: the loss, the gradient or a weight is no longer finite; the clips of that batch are named.
    """
    if isinstance(net, LogisticRegression):
        yield _solve(net, windows, p, names)
    else:
        yield from _descend(net, windows, p, seed=seed, names=names, since=since)


def _descend(
    net: nn.Module, windows: Windows, p: TrainParams, *, seed: int, names: Sequence[str], since: State | None
) -> Iterator[Epoch]:
    device, n_windows, n_views = windows.labels.device, len(windows), len(windows.starts)
    order, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)  # rng: the options' own
    optimizer = optimizer_for(net, p)
    schedule = schedule_for(optimizer, p, p.max_epochs * -(-n_windows // p.batch_size))
    weights = class_weights(windows.labels) if p.balance == "loss" else None
    least = 2 if has_batch_norm(net) else 1
    course = Course(net, optimizer, schedule, order, rng)
    for epoch in range(course.resume(since) + 1 if since else 1, p.max_epochs + 1):
        net.train()
        epoch_loss = 0.0
        heard = moved_at_random(windows, rng) if p.windows == "random" else windows
        views = torch.randint(n_views, (n_windows,), generator=order).to(device)
        drawn = torch.randperm(n_windows, generator=order).to(device)
        drawn = balanced_draw(windows.labels, rng) if p.balance == "sampler" else drawn
        for batch in alone(drawn.split(sizes(n_windows, p.batch_size, least))):
            loss = _backward(net, *_examples(heard, batch, views, p, rng), p, weights, least)
            where = f"in epoch {epoch}, in the batch with windows of {_listed(names, windows.clips[batch])}"
            _require_finite("loss", where, [loss])
            _require_finite("gradient", where, [clip_grad_norm_(net.parameters(), p.max_grad_norm)])
            optimizer.step()
            _require_finite("network", where, net.state_dict().values())  # batch normalisation's statistics too
            schedule.step()  # Noam counts optimizer steps, not epochs
            epoch_loss += float(loss)
        yield Epoch(epoch_loss / n_windows, float(schedule.get_last_lr()[0]), course.state(epoch))


def _examples(
    windows: Windows, batch: Tensor, views: Tensor, p: TrainParams, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """What the network is shown in a batch, and what it is to say of it."""
    frames, labels = windows.batch(batch, views[batch]), windows.labels[batch]
    if p.mixup_alpha:
        frames, labels = mixup(frames, labels, p.mixup_alpha, rng)
    return spec_augment(frames, p.spec_augment, rng), smoothed(labels, p.label_smoothing)


def _backward(
    net: nn.Module, frames: Tensor, labels: Tensor, p: TrainParams, weights: Tensor | None, least: int
) -> Tensor:
    """Gives every weight the gradient of the batch's mean loss; returns the sum of its losses."""
    parts = sizes(len(labels), p.micro_batch_size, least)
    learnt = [weight for weight in net.parameters() if weight.requires_grad]

    def one(part: Tensor, part_labels: Tensor, seed: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        with drawing_from(seed, part.device), torch.autocast(part.device.type, torch.bfloat16, enabled=half):
            logits = net(part)
        loss = loss_of(logits.float(), part_labels, weights)
        return loss.detach(), torch.autograd.grad(loss / len(labels), learnt)

    half = p.precision == "bfloat16"
    work = (frames.split(parts), labels.split(parts), torch.randint(2**63 - 1, (len(parts),)).tolist())
    # Small enough for the cache; their gradients add up to the batch's, in their own order whichever is done first.
    done = in_threads(one, *work, device=frames.device) if is_separable(net) else list(map(one, *work))
    for weight, *gradients in zip(learnt, *(gradient for _, gradient in done), strict=True):
        weight.grad = reduce(Tensor.add_, gradients).contiguous()  # the fused optimizer takes it to be so, unasked
    return torch.stack([loss for loss, _ in done]).sum()


@torch.no_grad()
def _solve(net: LogisticRegression, windows: Windows, p: TrainParams, names: Sequence[str]) -> Epoch:
    every = torch.arange(len(windows), device=windows.labels.device).split(p.batch_size)
    views = range(len(windows.starts))
    statistics = torch.cat(
        [net.statistics(windows.batch(batch, torch.full_like(batch, view))) for view in views for batch in every]
    )
    labels = windows.labels.repeat(len(views))
    odd = windows.clips.repeat(len(views))[~statistics.isfinite().all(dim=1)]
    if len(odd):
        raise DataError(f"statistics of frames must be finite, got NaN or infinity of {_listed(names, odd)}")
    net.solve(statistics, labels, balanced=p.balance == "loss")
    logits = net.linear((statistics - net.centre) / net.spread).squeeze(1)
    return Epoch(float(loss_of(logits, labels)) / len(labels), 0.0, None)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether a window's logit depends, in training, on those beside it in a micro-batch."""
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules())


def is_separable(net: nn.Module) -> bool:
    """Whether micro-batches can be learnt from at once: none sees another's statistics, or shares torch's own draws."""
    return not has_batch_norm(net) and not any(isinstance(module, nn.Dropout) for module in net.modules())


def sizes(n: int, size: int, least: int) -> list[int]:
    """``n`` in pieces of ``size``, the last with the rest; a rest below ``least`` joins the piece before it."""
    pieces = [size] * (n // size) + ([n % size] if n % size else [])
    if len(pieces) > 1 and pieces[-1] < least:
        rest = pieces.pop()
        pieces[-1] += rest
    return pieces


def _require_finite(what: str, where: str, tensors: Iterable[Tensor]) -> None:
    extremes = torch.stack([extreme for tensor in tensors for extreme in tensor.aminmax()])  # NaN is both
    if not extremes.isfinite().all():
        got = float(extremes[~extremes.isfinite()][0])
        raise DataError(f"the {what} became {got} {where}; try a lower train.lr")


def _listed(names: Sequence[str], clips: Tensor) -> str:
    return ", ".join(sorted({names[clip] for clip in clips.tolist()}))
