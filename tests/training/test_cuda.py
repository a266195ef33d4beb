"""What needs a CUDA device: `make gpu-check` runs this file there, with few packages beside torch."""

from collections.abc import Iterator
from copy import deepcopy
from math import isfinite

import pytest
import torch
from torch import Tensor

from spira.models.build import MODELS, build
from spira.models.device import prepare
from spira.training.loop import train_epochs
from spira.training.nan_guard import NanGuard
from spira.training.optimization import summed_loss
from tiny import network_params
from tiny_training import N_CLIPS, clips, make_net, moved, params, recorded_and_not, stuck

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """``prepare`` has torch raise where an algorithm would not repeat itself."""
    yield
    torch.set_deterministic_debug_mode("default")


def test_no_step_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch itself raises where an operation would wait, from the first step to the check at the epoch's end."""
    check = NanGuard.raise_if_bad

    def may_wait(guard: NanGuard) -> None:
        torch.cuda.set_sync_debug_mode("default")
        check(guard)

    monkeypatch.setattr(NanGuard, "raise_if_bad", may_wait)
    windows, net = moved(clips("overlap"), "cuda"), make_net().cuda()
    learnt = train_epochs(net, windows, params(batch_size=2, device="cuda"), seed=3, names=["?"] * N_CLIPS)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert isfinite(next(learnt).loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("batch_size", [3, 4])
@pytest.mark.parametrize("kind", ["spiraconv", "spiraconv_v1"])
def test_a_recorded_step_learns_the_same(kind: str, batch_size: int) -> None:
    """A CUDA graph's losses, weights and statistics are those of the steps one by one; its draws too."""
    (losses, weights), (replayed, replayed_weights) = recorded_and_not(kind, "cuda", batch_size)
    assert replayed == pytest.approx(losses, rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(replayed_weights[name], weight, rtol=1e-4, atol=1e-5)


def test_bfloat16_trains_on_a_gpu() -> None:
    """Finite, close to float32's loss (bfloat16 has 8 bits), and every weight moves in float32."""
    losses = []
    for precision in ("float32", "bfloat16"):
        net, p = make_net().cuda(), params(precision=precision, device="cuda")
        torch.manual_seed(2)  # dropout
        windows = moved(clips("overlap"), "cuda")
        losses.append(next(train_epochs(net, windows, p, seed=3, names=["?"] * N_CLIPS)).loss)
        assert stuck(net, make_net().cuda()) == []
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_gpu_reads_the_same_windows() -> None:
    """Out of the one array that all were put into."""
    here, there = clips("whole"), moved(clips("whole"), "cuda")
    windows = torch.arange(len(here))
    assert torch.equal(there.batch(windows.cuda()).cpu(), here.batch(windows))


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_gpu_computes_what_a_cpu_computes(kind: str) -> None:
    """Logits and gradients of every network in float32, without dropout; and twice the same bytes."""
    net = build(kind, network_params(), 401, 64).eval()
    frames, labels = torch.randn(4, 401, 64, generator=torch.Generator().manual_seed(3)), torch.tensor([0.0, 1, 1, 0])

    def computed(device: str) -> list[Tensor]:
        moved_net = deepcopy(net).to(device)
        logits = moved_net(frames.to(device))
        trainable = [weight for weight in moved_net.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(summed_loss(logits, labels.to(device)), trainable, allow_unused=True)
        return [logits.detach().cpu(), *(gradient.cpu() for gradient in gradients if gradient is not None)]

    prepare("cuda", seed=0)
    here, there = computed("cpu"), computed("cuda")
    for a, b in zip(here, there, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-4 * float(a.abs().max()) + 1e-6)
    assert all(map(torch.equal, there, computed("cuda")))
