"""Every allowed pair of options trains: one step moves every weight, and what is off changes nothing."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from itertools import combinations, product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from spira.base.errors import DataError
from spira.features.windows import Windows
from spira.models.build import MODELS
from spira.models.dropout import drawing_from, new_generator
from spira.training.gradients import batch_sizes
from spira.training.loop import Epoch, train_epochs
from spira.training.nan_guard import NanGuard
from spira.training.optimization import noam, summed_loss
from tiny_training import (
    MASKS,
    N_CLIPS,
    N_FEATURES,
    N_FRAMES,
    Normalised,
    clips,
    make_net,
    moved,
    params,
    recorded_and_not,
    stuck,
)

pytestmark = pytest.mark.usefixtures("one_thread")
OPTIONS: dict[str, list[object]] = {  # every value of every option; the first is neutral. bfloat16 needs a GPU: below
    "optimizer": ["adam", "adamw", "radam"],
    "schedule": ["constant", "noam", "cosine"],
    "windows": ["overlap", "random", "whole"],
    "balance": ["none", "sampler", "loss"],
    "mixup_alpha": [0.0, 0.4],
    "label_smoothing": [0.0, 0.1],
    "spec_augment": [{**MASKS, "n_time_masks": 0, "n_frequency_masks": 0}, MASKS],
    "norm": ["group", "batch"],  # of the model
}
PAIRS = [
    {a: x, b: y}
    for a, b in combinations(OPTIONS, 2)
    for x, y in product(OPTIONS[a], OPTIONS[b])
    if x != OPTIONS[a][0] and y != OPTIONS[b][0]
]
SINGLES = [{name: value} for name, values in OPTIONS.items() for value in values[1:]]


def one_epoch(net: nn.Module, options: dict[str, object], windows: Windows | None = None) -> Epoch:
    p = params(**{name: value for name, value in options.items() if name != "norm"})
    torch.manual_seed(2)  # dropout
    learnt = train_epochs(net, windows or clips(p.windows), p, seed=3, names=[f"clip {i}" for i in range(N_CLIPS)])
    return next(learnt)


def isfinite(epoch: Epoch) -> bool:
    return bool(torch.tensor([epoch.loss, epoch.lr]).isfinite().all())


@pytest.mark.parametrize("options", [{}, *SINGLES, *PAIRS], ids=str)
def test_one_step_under_every_pair_of_options_is_finite_and_moves_every_weight(options: dict[str, object]) -> None:
    """Every option alone and with every value of every other: generated, so a new one is tried with all."""
    norm = str(options.get("norm", "group"))
    net = make_net(norm=norm)
    epoch = one_epoch(net, options)
    assert isfinite(epoch)
    assert all(torch.isfinite(tensor).all() for tensor in net.state_dict().values())
    assert stuck(net, make_net(norm=norm)) == []


@pytest.mark.parametrize(
    "options",
    [o for o in SINGLES if o.keys() & {"optimizer", "balance", "mixup_alpha", "label_smoothing", "spec_augment"}],
    ids=str,
)
def test_an_option_that_is_on_changes_what_is_learnt(options: dict[str, object]) -> None:
    """Two epochs with it and without it end in other weights: none is read and then forgotten."""
    nets = []
    for changes in ({}, options):
        net = make_net()
        torch.manual_seed(2)
        for _ in train_epochs(
            net, clips("overlap"), params(max_epochs=2, weight_decay=0.1, **changes), seed=3, names=["?"] * N_CLIPS
        ):
            pass
        nets.append(net.state_dict())
    assert not torch.equal(nets[0]["fc1.weight"], nets[1]["fc1.weight"])


@pytest.mark.ml_test_score("Infrastructure 2")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.long] if kind == "cnn14" else [])  # 80 million weights
        for kind in MODELS
        if not kind.startswith("spiraconv")
    ],
)
def test_one_step_moves_every_weight_of_every_kind(kind: str) -> None:
    """Through the same loop, in micro-batches of 4 and 2."""
    nets = [make_net(kind, n_features=32, n_frames=32) for _ in range(2)]
    assert isfinite(one_epoch(nets[0], {}, clips("overlap", 32, 32)))
    assert stuck(*nets) == []


def test_neutral_options_draw_what_was_always_drawn() -> None:
    """The loop as it was before there were options, written out: the same weights, bit for bit."""
    p = params(schedule="noam", batch_size=4, micro_batch_size=3, max_epochs=3)
    net, windows = make_net(), clips("overlap")
    torch.manual_seed(2)
    losses = [epoch.loss for epoch in train_epochs(net, windows, p, seed=3, names=["?"] * N_CLIPS)]

    old = make_net()
    optimizer = torch.optim.Adam(old.parameters(), lr=p.lr, weight_decay=p.weight_decay, fused=True)
    order = torch.Generator().manual_seed(3)
    torch.manual_seed(2)
    step, expected = 0, []
    for _ in range(3):
        old.train()
        total = 0.0
        views = (torch.rand(N_CLIPS, generator=order, dtype=torch.float64) >= 0.5).long()
        drawn = torch.arange(N_CLIPS) * 2 + views  # of each clip one of two views, as likely as the other
        for batch in drawn[torch.randperm(N_CLIPS, generator=order)].split(4):
            step += 1
            optimizer.param_groups[0]["lr"] = p.lr * noam(step, p.warmup_steps)
            optimizer.zero_grad(set_to_none=True)
            parts = batch.split(3)
            for part, seed in zip(parts, torch.randint(2**63 - 1, (len(parts),)).tolist(), strict=True):
                with drawing_from(new_generator(seed, part.device)):
                    logits = old(windows.batch(part))
                loss = summed_loss(logits, windows.labels[part])
                (loss / len(batch)).backward()
                total += float(loss.detach())
            clip_grad_norm_(old.parameters(), p.max_grad_norm)
            optimizer.step()
        expected.append(total / N_CLIPS)
    assert losses == pytest.approx(expected, rel=1e-6)
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in old.state_dict().items())


class Turned(nn.Module):
    """A network whose weight gets its gradient with the axes exchanged, as a view."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 3 * N_FEATURES).view(N_FEATURES, 3))

    def forward(self, windows: Tensor) -> Tensor:
        turned = self.weight.T.flatten().view(3, N_FEATURES)
        return (windows.mean(dim=1) @ turned.T).sum(dim=1) + (turned[0] * windows[:, 0]).sum(dim=1)


def test_a_gradient_laid_out_otherwise_moves_the_weights_it_belongs_to() -> None:
    """The fused optimizer reads memory as it lies: what it is given must lie as the weights do."""
    net, windows = Turned(), clips("overlap")
    p = params(schedule="constant", batch_size=N_CLIPS, micro_batch_size=N_CLIPS, max_epochs=1)
    before = net.weight.detach().clone()
    one_view = windows.keep((windows.views == 0).nonzero()[:, 0])
    turned = Turned()
    summed_loss(turned(one_view.batch(torch.arange(N_CLIPS))), one_view.labels).backward()
    list(train_epochs(net, one_view, p, seed=0, names=["?"] * N_CLIPS))
    gradient = turned.weight.grad
    assert gradient is not None
    assert torch.equal((before - net.weight.detach()).sign(), gradient.sign())  # Adam's first step follows the sign


def test_another_seed_trains_otherwise_and_the_same_seed_does_not() -> None:
    """The seed reaches the options' own draws too."""
    options = {"windows": "random", "mixup_alpha": 0.4, "spec_augment": MASKS, "balance": "sampler"}
    weights = []
    for seed in (3, 3, 4):
        net = make_net()
        torch.manual_seed(2)
        list(train_epochs(net, clips("random"), params(**options), seed=seed, names=["?"] * N_CLIPS))
        weights.append(net.state_dict()["fc1.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("balance", ["none", "sampler", "loss"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_training_set_of_one_class_stays_finite(balance: str, label: float) -> None:
    """No class is divided by its absence."""
    windows = replace(clips("overlap"), labels=torch.full((2 * N_CLIPS,), label))
    net = make_net()
    assert isfinite(one_epoch(net, {"balance": balance}, windows))
    assert stuck(net, make_net()) == []


@pytest.mark.parametrize(("n", "size"), [(5, 4), (9, 4), (3, 2), (1, 4), (16, 4), (6, 4)])
def test_no_micro_batch_of_batch_normalisation_holds_one_window(n: int, size: int) -> None:
    """A lone window joins the ones before it; nothing is dropped. Without batch normalisation it stays alone."""
    sizes = batch_sizes(n, size, 2)
    assert sum(sizes) == n
    assert min(sizes) >= min(2, n)
    assert max(sizes) <= max(size + 1, n if n == 1 else 0)
    assert batch_sizes(n, size, 1) == [len(part) for part in torch.arange(n).split(size)]


@pytest.mark.parametrize(("batch_size", "micro_batch_size"), [(6, 5), (5, 5), (5, 2)])
def test_a_lone_last_window_does_not_stop_batch_normalisation(batch_size: int, micro_batch_size: int) -> None:
    """Six windows are 5 + 1, whether in parts of a batch or in batches: the one joins the others."""
    net = Normalised()
    seen: list[int] = []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    assert isfinite(one_epoch(net, {"batch_size": batch_size, "micro_batch_size": micro_batch_size}))
    assert sum(seen) == N_CLIPS
    assert min(seen) > 1


class Listener(nn.Module):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.shown: list[Tensor] = []

    def forward(self, windows: Tensor) -> Tensor:
        self.shown.append(windows.detach().clone())
        return windows.mean(dim=(1, 2)) * self.weight


def shown(mode: str, n_epochs: int, **options: object) -> list[Tensor]:
    """For each epoch the windows that a network hears, (6, n_frames, 1); frame i of the subset holds the number i."""
    windows = clips(mode, n_features=1)
    counted = replace(windows, frames=(torch.arange(float(len(windows.frames[0])))[:, None],))
    net = Listener()
    p = params(windows=mode, max_epochs=n_epochs, micro_batch_size=N_CLIPS, **options)
    list(train_epochs(net, counted, p, seed=3, names=["?"] * N_CLIPS))
    return net.shown


def test_random_windows_are_one_a_clip_drawn_anew_each_epoch() -> None:
    """Each epoch hears every clip once, from another start; each window lies within its clip and view."""
    held = N_FRAMES + 20
    epochs = [sorted(window[:, 0].tolist() for window in epoch) for epoch in shown("random", 5)]
    for epoch in epochs:
        assert sorted(int(window[0] // held) // 2 for window in epoch) == list(range(N_CLIPS))
        assert all(window[0] // held == window[-1] // held for window in epoch)
        assert all(window == [window[0] + i for i in range(N_FRAMES)] for window in epoch)
    starts = [{window[0] % held for window in epoch} for epoch in epochs]
    assert len(set().union(*starts)) > 10


def test_whole_clips_are_padded_behind_their_end() -> None:
    """Ten frames of zeros behind 54 of sound: no frame of the next clip."""
    for window in shown("whole", 1)[0]:
        assert (window[-10:] == 0).all()
        assert window[-11, 0] == window[0, 0] + N_FRAMES - 11


def test_the_sampler_draws_the_rare_class_as_often() -> None:
    """Two patients of six: over 40 epochs about half of the windows that are drawn, instead of a third."""
    held = N_FRAMES
    rare = [int(w[0, 0] // held) // 2 in {0, 3} for epoch in shown("overlap", 40, balance="sampler") for w in epoch]
    assert sum(rare) / len(rare) == pytest.approx(0.5, abs=0.08)


def test_a_loss_that_is_not_finite_names_its_clips() -> None:
    """The message of the stage, without the stage."""
    windows = clips("overlap")
    broken = replace(windows, frames=(torch.full_like(windows.frames[0], torch.nan),))
    with pytest.raises(DataError, match=r"the loss became nan in epoch 1, .* clip 0, clip 1, .*lower train\.lr"):
        one_epoch(make_net(), {}, broken)


def test_bfloat16_reaches_the_network_and_not_its_weights() -> None:
    """On a CPU, where the section would refuse it: another result than float32's, close to it, weights in float32."""
    found = []
    for precision in ("float32", "bfloat16"):
        net = make_net()
        torch.manual_seed(2)
        p = params().model_copy(update={"precision": precision})
        found.append(next(train_epochs(net, clips("overlap"), p, seed=3, names=["?"] * N_CLIPS)).loss)
        assert {p.dtype for p in net.parameters()} == {torch.float32}
        assert stuck(net, make_net()) == []
    assert found[0] != found[1]
    assert found[1] == pytest.approx(found[0], rel=0.05)


class Checked(Exception):  # noqa: N818 - no error
    """The epoch's steps are taken."""


@pytest.mark.parametrize("options", [{}, *({o: OPTIONS[o][1]} for o in ("mixup_alpha", "spec_augment"))], ids=str)
def test_no_step_asks_the_device_for_a_number(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's part is played by a device without numbers: whoever would wait for one there gets an error here.

    All that such a device has not, and a GPU has, stands aside: its generator, autocast and the fused optimizer.
    """

    def checked(_: NanGuard) -> None:
        raise Checked

    monkeypatch.setattr(NanGuard, "raise_if_bad", checked)
    monkeypatch.setattr("spira.training.loop.new_generator", lambda *_: None)
    monkeypatch.setattr("spira.training.loop.drawing_from", lambda *_: nullcontext())
    monkeypatch.setattr("torch.autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr("spira.training.loop.optimizer_for", lambda net, p: torch.optim.Adam(net.parameters(), p.lr))
    n_steps: list[None] = []
    monkeypatch.setattr(torch.optim.Adam, "step", counting(torch.optim.Adam.step, n_steps))
    windows, net = clips("overlap"), make_net().to("meta")
    with pytest.raises(Checked):
        next(train_epochs(net, moved(windows, "meta"), params(batch_size=2, **options), seed=3, names=["?"] * N_CLIPS))
    assert len(n_steps) == 3


def counting(step: Callable[..., object], n_steps: list[None]) -> Callable[..., object]:
    @wraps(step)
    def counted(*arguments: object) -> object:
        n_steps.append(None)
        return step(*arguments)

    return counted


class Replayed:
    """In the place of a recording, where there is no GPU: what goes in and comes out lies where it lay before."""

    def __init__(self, work: Callable[..., list[Tensor]], inputs: Sequence[Tensor], *_: object) -> None:
        self.work, self.inputs = work, [tensor.clone() for tensor in inputs]
        self.out = work(*self.inputs)  # a recording draws too, before it is first replayed

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        for held, given in zip(self.inputs, inputs, strict=True):
            held.copy_(given)
        for held, made in zip(self.out, self.work(*self.inputs), strict=True):
            held.copy_(made)
        return self.out


@pytest.mark.parametrize("batch_size", [3, 4])  # six windows: two batches; or one, and a smaller one
def test_a_replayed_step_is_given_what_is_new_and_its_results_are_kept(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows, labels and seeds of this batch, not of the recorded one; losses outlive the next: the same bytes."""
    monkeypatch.setattr("spira.training.loop.Recorded", Replayed)
    (losses, weights), (replayed, replayed_weights) = recorded_and_not("spiraconv", "cpu", batch_size)
    assert replayed == losses
    assert all(torch.equal(replayed_weights[name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("kind", ["pooled_cnn", "spiraconv", "spiraconv_v1"])
def test_the_number_of_threads_changes_no_weight(kind: str) -> None:
    """One thread or two: the same bytes, whether micro-batches are learnt from at once or one after the other.

    (Not of the other kinds: torch splits their sums among its threads.)"""
    learnt = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        net = make_net(kind)
        torch.manual_seed(5)
        list(
            train_epochs(net, clips("overlap"), params(micro_batch_size=2, max_epochs=2), seed=1, names=["?"] * N_CLIPS)
        )
        learnt.append(net.state_dict())
    assert all(torch.equal(learnt[0][name], tensor) for name, tensor in learnt[1].items())
