"""One epoch of training after the other."""

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from spira.base.errors import DataError
from spira.features.windows import Windows, moved_at_random
from spira.models.dropout import Generator, drawing_from, new_generator
from spira.models.logistic_regression import LogisticRegression
from spira.models.threads import alone, in_threads
from spira.training.augmentation import balanced_draw, class_weights, mixup, smoothed, spec_augment
from spira.training.cuda_graphs import Recorded
from spira.training.gradients import has_batch_norm, is_separable, sizes
from spira.training.nan_guard import Watch, listed
from spira.training.optimization import loss_of, optimizer_for, schedule_for
from spira.training.params import TrainParams
from spira.training.state import Course, State


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
    backward = _Backward(net, p, class_weights(windows.labels) if p.balance == "loss" else None)
    course = Course(net, optimizer, schedule, order, rng)
    for epoch in range(course.resume(since) + 1 if since else 1, p.max_epochs + 1):
        net.train()
        watch, losses = Watch(epoch, names, at_once=windows.labels.device.type == "cpu"), []
        heard, views, drawn = _drawn(windows, p, order, rng)
        for batch in alone(drawn.split(sizes(n_windows, p.batch_size, backward.least))):
            loss, clips = backward(*_examples(heard, batch, views, p, rng)), heard.clips[batch]
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


class _Backward:
    """Gives every weight the gradient of a batch's mean loss; returns the sum of its losses."""

    def __init__(self, net: nn.Module, p: TrainParams, weights: Tensor | None) -> None:
        self.net, self.p, self.weights = net, p, weights
        self.least = 2 if has_batch_norm(net) else 1
        self.learnt = [weight for weight in net.parameters() if weight.requires_grad]
        self.separable = is_separable(net)
        self.generators: list[Generator] = []
        self.recorded: Recorded[tuple[Tensor, list[Tensor]]] | None = None

    def __call__(self, frames: Tensor, labels: Tensor) -> Tensor:
        parts = sizes(len(labels), self.p.micro_batch_size, self.least)
        seeds = torch.randint(2**63 - 1, (len(parts),)).tolist()
        if self.p.cuda_graph and len(labels) == self.p.batch_size:  # the last of an epoch may be smaller
            loss, gradients = self._replayed(frames, labels, parts, seeds)
        else:
            generators = [new_generator(seed, frames.device) for seed in seeds]
            loss, gradients = self._computed(frames, labels, parts, generators)
        for weight, gradient in zip(self.learnt, gradients, strict=True):
            weight.grad = gradient
        return loss

    def _computed(
        self, frames: Tensor, labels: Tensor, parts: list[int], generators: Sequence[Generator]
    ) -> tuple[Tensor, list[Tensor]]:
        def one(part: Tensor, part_labels: Tensor, generator: Generator) -> tuple[Tensor, tuple[Tensor, ...]]:
            with drawing_from(generator), torch.autocast(part.device.type, torch.bfloat16, enabled=half):
                logits = self.net(part)
            loss = loss_of(logits.float(), part_labels, self.weights)
            return loss.detach(), torch.autograd.grad(loss / len(labels), self.learnt)

        half = self.p.precision == "bfloat16"
        work = (frames.split(parts), labels.split(parts), generators)
        # Small enough for the cache; their gradients add up to the batch's, in their own order whichever is done first.
        done = in_threads(one, *work, device=frames.device) if self.separable else list(map(one, *work))
        gradients = zip(*(gradients for _, gradients in done), strict=True)
        # The fused optimizer takes them to be contiguous, unasked.
        summed = [reduce(Tensor.add_, of_weight).contiguous() for of_weight in gradients]
        return torch.stack([loss for loss, _ in done]).sum(), summed

    def _replayed(
        self, frames: Tensor, labels: Tensor, parts: list[int], seeds: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        if self.recorded is None:
            self.generators = [new_generator(seed, frames.device) for seed in seeds]
            work = partial(self._computed, parts=parts, generators=self.generators)
            self.recorded = Recorded(work, (frames, labels), self.generators, self.net)
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)
        loss, gradients = self.recorded(frames, labels)
        return loss.clone(), gradients


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
