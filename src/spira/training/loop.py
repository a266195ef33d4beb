"""Train a network, epoch by epoch: shuffle, augment, step, and stop where a number is no longer finite."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from spira.features.windows import Windows, draw_views, expected_windows, moved_at_random
from spira.models.dropout import Generator, drawing_from, new_generator
from spira.models.threads import in_threads, single_threaded
from spira.training.augmentation import balanced_draw, class_weights, mixup, smooth_labels, spec_augment
from spira.training.cuda_graphs import Recorded
from spira.training.gradients import batch_sizes, has_batch_norm, is_separable, tree_sum
from spira.training.nan_guard import NanGuard
from spira.training.optimization import optimizer_for, schedule_for, summed_loss
from spira.training.params import TrainParams
from spira.training.ranks import ONE_RANK, Ranks, state_bytes
from spira.training.state import State, TrainingRun


class Epoch(NamedTuple):
    """One epoch's results."""

    loss: float  # mean training loss over its windows
    lr: float  # of the step after it
    state: State  # all that the next epoch depends on


def train_epochs(
    net: nn.Module,
    windows: Windows,
    p: TrainParams,
    *,
    seed: int,
    names: Sequence[str],
    resume_from: State | None = None,
    ranks: Ranks = ONE_RANK,
) -> Iterator[Epoch]:
    """Trains the network, one epoch for each item that is taken.

    Args:
        net: on the windows' device.
        windows: of the training clips in every view, of which each epoch draws one; with ``p.windows=random``, one a
            view.
        p: the section `train`.
        seed: of every draw but dropout's.
        names: of the clips, for the message.
        resume_from: the state of the same training after an earlier epoch, to go on from.
        ranks: that train together; each is given the same and yields the same.

    Raises:
        DataError: the loss, the gradient or a weight is no longer finite; the clips of that batch are named. On a CPU
            at once, before the optimizer's step; on a GPU, whose host waits for no step, at the end of the epoch and
            before it is yielded, so that its weights are never saved. Or the ranks no longer have the same weights.
    """
    order = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)  # for the draws of options, so that no option moves another's
    optimizer = optimizer_for(net, p)
    schedule = schedule_for(optimizer, p, p.max_epochs * ceil(expected_windows(windows) / p.batch_size))
    backward = _Backward(net, p, class_weights(windows.labels) if p.balance == "loss" else None, ranks)
    run = TrainingRun(net, optimizer, schedule, order, rng)
    for epoch in range(run.resume(resume_from) + 1 if resume_from else 1, p.max_epochs + 1):
        net.train()
        guard, losses = NanGuard(epoch, names, at_once=windows.labels.device.type == "cpu"), []
        drawn, shuffled = _shuffle(windows, p, order, rng)
        sizes = batch_sizes(len(drawn), p.batch_size, backward.smallest)
        there = shuffled.to(windows.device, non_blocking=True)
        for here, batch in zip(shuffled.split(sizes), single_threaded(there.split(sizes)), strict=True):
            loss, clips = backward(*_examples(drawn, batch, p, rng)), drawn.clips[here]
            guard.record("loss", clips, [loss])
            guard.record("gradient", clips, [clip_grad_norm_(net.parameters(), p.max_grad_norm)])
            optimizer.step()
            guard.record("network", clips, net.state_dict().values())  # batch normalisation's statistics too
            schedule.step()  # Noam counts optimizer steps, not epochs
            losses.append(loss)
        guard.raise_if_bad()
        mean = sum(torch.stack(losses).tolist()) / len(drawn)
        state = run.state(epoch)
        ranks.require_same(state_bytes(state) if ranks.n > 1 else b"", f"weights or draws after epoch {epoch}")
        yield Epoch(mean, float(schedule.get_last_lr()[0]), state)


def _shuffle(
    windows: Windows, p: TrainParams, order: torch.Generator, rng: np.random.Generator
) -> tuple[Windows, Tensor]:
    """One epoch's windows, of one view of each clip; and their order, on the CPU."""
    drawn = draw_views(windows, order)
    drawn = moved_at_random(drawn, rng) if p.windows == "random" else drawn
    # drawn whether it is used or not, so that no option moves another's draws
    shuffled = torch.randperm(len(drawn), generator=order)
    return drawn, balanced_draw(drawn.labels, rng).cpu() if p.balance == "sampler" else shuffled


def _examples(windows: Windows, batch: Tensor, p: TrainParams, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The frames and labels of one batch, augmented."""
    frames, labels = windows.batch(batch), windows.labels[batch]
    if p.mixup_alpha:
        frames, labels = mixup(frames, labels, p.mixup_alpha, rng)
    return spec_augment(frames, p.spec_augment, rng), smooth_labels(labels, p.label_smoothing)


class _Backward:
    """``backward(frames, labels)`` sets each weight's gradient of the batch's mean loss, and returns the loss's sum.

    The batch is cut into micro-batches, each with a generator of its own for dropout. Each rank computes its part of
    them; the sum over all, ``tree_sum``, is the same on every rank.
    """

    def __init__(self, net: nn.Module, p: TrainParams, weights: Tensor | None, ranks: Ranks) -> None:
        self.net, self.p, self.weights, self.ranks = net, p, weights, ranks
        self.smallest = 2 if has_batch_norm(net) else 1  # windows in a batch or micro-batch
        self.trainable = [weight for weight in net.parameters() if weight.requires_grad]
        self.separable = is_separable(net)
        self.generators: list[Generator] = []
        self.recorded: Recorded[list[Tensor]] | None = None

    def __call__(self, frames: Tensor, labels: Tensor) -> Tensor:
        sizes = batch_sizes(len(labels), self.p.micro_batch_size, self.smallest)
        seeds = torch.randint(2**63 - 1, (len(sizes),)).tolist()  # all of them, whichever are this rank's
        if self.p.cuda_graph and len(labels) == self.p.batch_size:  # the last of an epoch may be smaller
            loss, *gradients = self._replay(frames, labels, sizes, seeds)
        else:
            generators = [new_generator(seed, frames.device) for seed in seeds]
            loss, *gradients = self._compute(frames, labels, sizes, generators)
        for weight, gradient in zip(self.trainable, gradients, strict=True):
            weight.grad = gradient
        return loss

    def _compute(
        self, frames: Tensor, labels: Tensor, sizes: list[int], generators: Sequence[Generator]
    ) -> list[Tensor]:
        """The sum of the batch's losses, and the gradient of their mean by each trainable weight."""
        mine = self.ranks.part(len(sizes))
        micro_batches = (frames.split(sizes)[mine], labels.split(sizes)[mine], generators[mine])
        compute = partial(self._compute_micro_batch, n_windows=len(labels))
        # A micro-batch is small enough for a core's cache. Gradients are added in an order that depends on neither
        # threads nor ranks.
        if self.separable:
            results = in_threads(compute, *micro_batches, device=frames.device)
        else:
            results = list(map(compute, *micro_batches))
        summed = tree_sum(results, len(sizes), self.ranks.rank, self.ranks.n)
        # The fused optimizer takes gradients to be contiguous, and does not check it.
        like = [labels.new_zeros(()), *self.trainable]
        return [tensor.contiguous() for tensor in self.ranks.add(summed, like, len(sizes))]

    def _compute_micro_batch(
        self, frames: Tensor, labels: Tensor, generator: Generator, *, n_windows: int
    ) -> list[Tensor]:
        """The sum of its losses, and its part of the gradient of the mean over a batch of ``n_windows``."""
        half = self.p.precision == "bfloat16"
        with drawing_from(generator), torch.autocast(frames.device.type, torch.bfloat16, enabled=half):
            logits = self.net(frames)
        loss = summed_loss(logits.float(), labels, self.weights)
        return [loss.detach(), *torch.autograd.grad(loss / n_windows, self.trainable)]

    def _replay(self, frames: Tensor, labels: Tensor, sizes: list[int], seeds: Sequence[int]) -> list[Tensor]:
        """What ``_compute`` gives, from a CUDA graph that the first call records."""
        if self.recorded is None:
            self.generators = [new_generator(seed, frames.device) for seed in seeds]
            work = partial(self._compute, sizes=sizes, generators=self.generators)
            self.recorded = Recorded(work, (frames, labels), self.generators, self.net)
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)
        loss, *gradients = self.recorded(frames, labels)
        return [loss.clone(), *gradients]
