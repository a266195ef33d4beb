"""One epoch of training after the other."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from spira.core.augmentation import balanced_draw, class_weights, mixup, smoothed, spec_augment
from spira.core.batches import has_batch_norm, is_separable, sizes
from spira.core.dropout import drawing_from
from spira.core.finite import Watch, listed
from spira.core.logistic_regression import LogisticRegression
from spira.core.resuming import Course, State
from spira.core.threads import alone, in_threads
from spira.core.train_params import TrainParams
from spira.core.training import loss_of, optimizer_for, schedule_for
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
        DataError: the loss, the gradient or a weight is no longer finite; the clips of that batch are named. On a CPU
            at once, before the optimizer's step; on a GPU, whose host waits for no step, at the end of the epoch and
            before it is yielded, so that nobody can save or choose its weights.
    """
    if isinstance(net, LogisticRegression):
        yield _solve(net, windows, p, names)
    else:
        yield from _descend(net, windows, p, seed=seed, names=names, since=since)


def _descend(
    net: nn.Module, windows: Windows, p: TrainParams, *, seed: int, names: Sequence[str], since: State | None
) -> Iterator[Epoch]:
    n_windows = len(windows)
    order, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)  # rng: the options' own
    optimizer = optimizer_for(net, p)
    schedule = schedule_for(optimizer, p, p.max_epochs * -(-n_windows // p.batch_size))
    weights = class_weights(windows.labels) if p.balance == "loss" else None
    least = 2 if has_batch_norm(net) else 1
    course = Course(net, optimizer, schedule, order, rng)
    for epoch in range(course.resume(since) + 1 if since else 1, p.max_epochs + 1):
        net.train()
        watch, losses = Watch(epoch, names, at_once=windows.labels.device.type == "cpu"), []
        heard, views, drawn = _drawn(windows, p, order, rng)
        for batch in alone(drawn.split(sizes(n_windows, p.batch_size, least))):
            loss, clips = _backward(net, *_examples(heard, batch, views, p, rng), p, weights, least), heard.clips[batch]
            watch.look("loss", clips, [loss])
            watch.look("gradient", clips, [clip_grad_norm_(net.parameters(), p.max_grad_norm)])
            optimizer.step()
            watch.look("network", clips, net.state_dict().values())  # batch normalisation's statistics too
            schedule.step()  # Noam counts optimizer steps, not epochs
            losses.append(loss)
        watch.judge()
        mean = sum(torch.stack(losses).tolist()) / n_windows
        yield Epoch(mean, float(schedule.get_last_lr()[0]), course.state(epoch))


def _drawn(
    windows: Windows, p: TrainParams, order: torch.Generator, rng: np.random.Generator
) -> tuple[Windows, Tensor, Tensor]:
    """What an epoch hears: its windows, the view of each, and in which order."""
    heard = moved_at_random(windows, rng) if p.windows == "random" else windows
    views = torch.randint(len(windows.starts), (len(windows),), generator=order)
    drawn = torch.randperm(len(windows), generator=order)  # taken from its generator whatever becomes of it
    drawn = balanced_draw(windows.labels, rng) if p.balance == "sampler" else drawn
    device = windows.labels.device
    return heard, views.to(device, non_blocking=True), drawn.to(device, non_blocking=True)


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
        raise DataError(f"statistics of frames must be finite, got NaN or infinity of {listed(names, odd)}")
    net.solve(statistics, labels, balanced=p.balance == "loss")
    logits = net.linear((statistics - net.centre) / net.spread).squeeze(1)
    return Epoch(float(loss_of(logits, labels)) / len(labels), 0.0, None)
