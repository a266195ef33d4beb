"""Schedules have their published values, the loss is cross-entropy, and the epoch that is asked for is kept."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from spira.features.windows import Windows
from spira.models.build import build
from spira.training.early_stopping import BestWeights
from spira.training.optimization import (
    cosine,
    noam,
    optimizer_for,
    schedule_for,
    summed_loss,
    validation_loss,
)
from spira.training.params import TrainParams
from tiny import network_params, train_params

pytestmark = pytest.mark.usefixtures("one_thread")
N_FRAMES, N_FEATURES = 101, 8


def params(**changes: object) -> TrainParams:
    plain = {"optimizer": "adam", "schedule": "noam", "weight_decay": 0.01, "device": "cpu"}
    return train_params(**{"lr": 1e-3, "batch_size": 8, "warmup_steps": 1000, **plain, **changes})


def make_net(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build("spiraconv_v2", network_params(), N_FRAMES, N_FEATURES)


def some_windows(n: int) -> Windows:
    drawn = torch.Generator().manual_seed(0)
    return Windows(
        frames=(torch.randn(n * N_FRAMES, N_FEATURES, generator=drawn),),
        arrays=torch.zeros(n, dtype=torch.int64),
        starts=torch.arange(n) * N_FRAMES,
        remaining=torch.full((n,), N_FRAMES),
        labels=(torch.arange(n) % 2).float(),
        clips=torch.arange(n),
        views=torch.zeros(n, dtype=torch.int64),
        weights=torch.ones(n, dtype=torch.float64),
        length=N_FRAMES,
    )


@pytest.mark.parametrize(("step", "lr"), [(1, 1e-6), (500, 5e-4), (1000, 1e-3), (4000, 5e-4)])
def test_noam_has_the_published_values(step: int, lr: float) -> None:
    """Warmup 1000, base 1e-3: SPIRA's own schedule, which counts from 1."""
    assert 1e-3 * noam(step, 1000) == pytest.approx(lr)


def test_the_schedule_counts_optimizer_steps_from_one() -> None:
    """The first step already has a learning rate, lr * warmup ** -1, and not zero."""
    optimizer = optimizer_for(make_net(0), params())
    schedule = schedule_for(optimizer, params(), 10)
    rates = []
    for _ in range(3):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-6, 2e-6, 3e-6])


def test_a_constant_schedule_is_constant() -> None:
    """``schedule: constant`` never touches ``lr``."""
    optimizer = optimizer_for(make_net(0), params(schedule="constant"))
    schedule = schedule_for(optimizer, params(schedule="constant"), 10)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [1e-3]


@pytest.mark.parametrize(("step", "fraction"), [(1, 0.01), (50, 0.5), (100, 1.0), (151, 0.49222), (200, 0.00024)])
def test_cosine_rises_and_falls_and_never_stops(step: int, fraction: float) -> None:
    """Straight up for 100 steps, half a cosine down to the 200th, whose rate is still above 0."""
    assert cosine(step, 100, 200) == pytest.approx(fraction, abs=1e-5)
    assert cosine(step, 100, 200) > 0
    assert cosine(1, 1, 1) == 1.0


def test_the_cosine_schedule_knows_how_many_steps_there_are() -> None:
    """It counts optimizer steps: the highest after the warmup, about half in the middle of the rest."""
    p = params(schedule="cosine", warmup_steps=2)
    optimizer = optimizer_for(make_net(0), p)
    schedule = schedule_for(optimizer, p, 9)
    rates = []
    for _ in range(9):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.5e-3, 1e-3, 1e-3 * (1 + math.cos(math.pi / 8)) / 2])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] > 0


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("radam", torch.optim.RAdam)]
)
def test_the_optimizer_is_the_one_named(name: str, kind: type[torch.optim.Optimizer]) -> None:
    """With the weight decay and learning rate of the section."""
    optimizer = optimizer_for(make_net(0), params(optimizer=name))
    assert type(optimizer).__base__ is kind
    assert optimizer.defaults["weight_decay"] == 0.01


def test_another_seed_gives_other_initial_weights() -> None:
    """In SPIRA's first version three "seeds" were one."""
    first, again, other = (make_net(seed).state_dict()["fc1.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_the_loss_is_cross_entropy_and_finite_for_any_logit() -> None:
    """Agrees with the probabilities' own formula, and ±1e4 does not become infinite."""
    logits = torch.tensor([-2.0, 0.5, 3.0])
    labels = torch.tensor([0.0, 1.0, 1.0])
    expected = binary_cross_entropy(torch.sigmoid(logits), labels, reduction="sum")
    assert float(summed_loss(logits, labels)) == pytest.approx(float(expected), rel=1e-5)
    assert float(summed_loss(torch.tensor([1e4]), torch.tensor([0.0]))) == pytest.approx(1e4)


def test_class_weights_weigh_each_part_of_a_label_by_its_own() -> None:
    """By hand: a patient counts 3 times, a control twice; a label of 0.3 is 0.3 of the one and 0.7 of the other."""
    logits, labels = torch.tensor([-2.0, 0.5, 3.0]), torch.tensor([0.0, 1.0, 0.3])
    p = torch.sigmoid(logits)
    expected = (-3 * labels * p.log() - 2 * (1 - labels) * (1 - p).log()).sum()
    assert float(summed_loss(logits, labels, torch.tensor([2.0, 3.0]))) == pytest.approx(float(expected), rel=1e-5)
    assert float(summed_loss(logits, labels, torch.ones(2))) == pytest.approx(
        float(summed_loss(logits, labels)), rel=1e-6
    )
    assert float(summed_loss(torch.tensor([1e4]), torch.tensor([0.0]), torch.ones(2))) == pytest.approx(1e4)


def test_micro_batches_sum_to_the_batchs_gradient() -> None:
    """Without dropout, gradients summed over parts are the whole batch's (float32 rounding)."""
    windows = some_windows(8)
    gradients = []
    for part_size in (8, 3, 1):
        net = make_net(1).eval()
        for part in torch.arange(8).split(part_size):
            (summed_loss(net(windows.batch(part)), windows.labels[part]) / 8).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(gradients[2], gradients[0], atol=1e-6, rtol=1e-3)


def test_every_weight_moves() -> None:
    """In SPIRA's third version none ever does."""
    net, windows = make_net(1), some_windows(8)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = optimizer_for(net, params(weight_decay=0.0))  # so that only the gradient moves them
    net.train()
    for _ in range(4):  # dropout may silence a unit once
        batch = torch.arange(8)
        summed_loss(net(windows.batch(batch)), windows.labels).backward()
        optimizer.step()
    assert [name for name, p in net.named_parameters() if torch.equal(p, before[name])] == []


def test_one_batch_can_be_learnt_by_heart() -> None:
    """A network whose loss cannot fall on eight windows is not connected."""
    net, windows = make_net(1).eval(), some_windows(8)  # eval: without dropout
    optimizer = optimizer_for(net, params(lr=1e-2, weight_decay=0.0))
    batch = torch.arange(8)
    for _ in range(60):
        optimizer.zero_grad()
        summed_loss(net(windows.batch(batch)), windows.labels).backward()
        optimizer.step()
    assert validation_loss(net, [windows], 8, []) < 0.1


def test_validation_loss_is_a_mean_without_dropout_whatever_the_batch_size() -> None:
    """The same weights give the same number, twice and in any batches: forgetting ``eval()`` breaks this."""
    net, windows = make_net(1).train(), some_windows(7)
    losses = [validation_loss(net, [windows], size, []) for size in (7, 7, 2, 1)]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)
    net.eval()
    batch = torch.arange(7)
    logits = net(windows.batch(batch)).double()
    by_hand = [
        math.log1p(math.exp(-x if y else x)) for x, y in zip(logits.tolist(), windows.labels.tolist(), strict=True)
    ]
    assert losses[0] == pytest.approx(sum(by_hand) / 7, rel=1e-5)


def test_a_validation_loss_is_weighted_by_view_over_every_condition() -> None:
    """0.25 of the clean windows and 0.75 of the noisy ones, of which there may be more; where all weigh 0, none."""
    net, windows = make_net(1), some_windows(7)
    clean, noisy = (
        replace(windows.keep(torch.arange(*ends)), weights=torch.full((n,), weight, dtype=torch.float64))
        for ends, n, weight in (((0, 3), 3, 0.25), ((3, 7), 4, 0.75))
    )
    a, b = validation_loss(net, [clean], 2, []), validation_loss(net, [noisy], 2, [])
    assert validation_loss(net, [clean, noisy], 2, []) == pytest.approx((3 * 0.25 * a + 4 * 0.75 * b) / (0.75 + 3))
    silent = replace(clean, weights=torch.zeros(3, dtype=torch.float64))
    assert validation_loss(net, [silent, noisy], 2, []) == pytest.approx(b)
    half = replace(noisy, weights=torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
    one = validation_loss(net, [noisy.keep(torch.tensor([0]))], 2, [])
    assert validation_loss(net, [half], 2, []) == pytest.approx(one)


def test_beyond_the_expected_steps_the_rate_of_a_cosine_stays_the_last() -> None:
    """Views have other lengths, so an epoch may have more windows than expected; 1 - cos would rise again."""
    assert [cosine(step, 10, 50) for step in (51, 60, 99, 140)] == [cosine(50, 10, 50)] * 4
    assert cosine(50, 10, 50) < cosine(49, 10, 50)


def test_the_lowest_validation_loss_wins_and_patience_ends_it() -> None:
    """Epoch 2 of 5 wins; a tie keeps the earlier; two epochs without a lower loss are enough."""
    best = BestWeights("lowest", patience=2)
    stops = []
    for epoch, loss in enumerate([0.9, 0.5, 0.5, 0.7], start=1):
        stops.append(best.update(epoch, loss, [("w", torch.tensor(float(epoch)))]))
    assert stops == [False, False, False, True]
    assert (best.epoch, best.loss, float(best.weights["w"])) == (2, 0.5, 2.0)


def test_the_last_epoch_is_kept_whatever_its_loss_and_none_ends_it_early() -> None:
    """With a handful of validation speakers their losses say little, and patience would end a training by chance."""
    best = BestWeights("last", patience=1)
    stops = [
        best.update(epoch, loss, [("w", torch.tensor(float(epoch)))])
        for epoch, loss in enumerate([0.5, 0.9, 0.7], start=1)
    ]
    assert stops == [False, False, False]
    assert (best.epoch, best.loss, float(best.weights["w"])) == (3, 0.7, 3.0)


def test_the_kept_weights_are_a_copy() -> None:
    """Training goes on in place; what was best must not go with it."""
    weight = torch.tensor([1.0])
    best = BestWeights("lowest", patience=2)
    best.update(1, 0.5, [("w", weight)])
    weight += 1
    assert float(best.weights["w"]) == 1.0


@pytest.mark.parametrize(("name", "plain"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_one_pass_over_the_weights_is_the_plain_optimizer(name: str, plain: type[torch.optim.Adam]) -> None:
    """The fused form gives the weights of torch's plain one, to float32 rounding, after twenty steps."""
    ours, theirs = torch.nn.Linear(30, 20), torch.nn.Linear(30, 20)
    theirs.load_state_dict(ours.state_dict())
    p = train_params(optimizer=name, lr=0.01, weight_decay=0.1)
    optimizers = (optimizer_for(ours, p), plain(theirs.parameters(), lr=p.lr, weight_decay=p.weight_decay))
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        gradient = torch.randn(20, 30, generator=rng)
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            net.weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-6)
