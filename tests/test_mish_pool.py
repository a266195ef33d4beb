"""core.mish_pool and core.mish_rows: torch's GroupNorm, Mish, MaxPool2d and Dropout, in fewer passes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spira.core.mish_pool import group_mish_pool, mish_pool


def reference(x: Tensor, kept: Tensor | None, *, pooled: bool) -> Tensor:
    """Torch's own modules, one after the other."""
    out = nn.functional.mish(x)
    out = nn.functional.max_pool2d(out, (2, 1)) if pooled else out
    return out if kept is None else out * kept


def image(*shape: int, scale: float = 1.0) -> Tensor:
    return (
        scale * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()


def mask(x: Tensor, *, pooled: bool) -> Tensor:
    shape = (*x.shape[:2], x.shape[2] // 2 if pooled else x.shape[2], x.shape[3])
    return 2.0 * torch.randint(2, shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("dropped", [True, False])
@pytest.mark.parametrize("scale", [1.0, 30.0])  # past both of Mish's ends: -100 is 0, and above 20 it is the identity
@settings(deadline=None)
@given(n_frames=st.integers(2, 9))
def test_values_and_gradient_are_those_of_torchs_modules(
    pooled: bool, dropped: bool, scale: float, n_frames: int
) -> None:
    """In double precision, where a mistake cannot hide behind rounding; an odd last frame is pooled away."""
    x = image(2, 4, n_frames, 3, scale=scale)
    kept = mask(x, pooled=pooled) if dropped else None
    ours, theirs = mish_pool(x, kept, pooled=pooled), reference(x, kept, pooled=pooled)
    torch.testing.assert_close(ours, theirs)
    back = torch.randn_like(theirs)
    torch.testing.assert_close(*(torch.autograd.grad(out, x, back)[0] for out in (ours, theirs)))


@pytest.mark.parametrize("pooled", [True, False])
def test_the_gradient_through_the_group_norm_is_torchs(pooled: bool) -> None:
    """Of the image, and of the norm's weight and bias, which are not what they start as."""
    norm = nn.GroupNorm(2, 4).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -2.0, 0.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.1, -1.0, 2.0, 0.0]))
    x = image(3, 4, 7, 5)
    kept = mask(x, pooled=pooled)
    ours, theirs = group_mish_pool(x, norm, kept, pooled=pooled), reference(norm(x), kept, pooled=pooled)
    torch.testing.assert_close(ours, theirs)
    back = torch.randn_like(theirs)
    wanted = (x, norm.weight, norm.bias)
    for mine, torchs in zip(
        torch.autograd.grad(ours, wanted, back), torch.autograd.grad(theirs, wanted, back), strict=True
    ):
        torch.testing.assert_close(mine, torchs)


@pytest.mark.parametrize("n_cached", [1, 140, 2**30])  # a group at a time, two, which a window's end cuts, and all
def test_the_size_of_the_pieces_changes_no_byte(n_cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three windows of three groups: each group meets its own statistics, weights, dropout and gradient."""
    norm = nn.GroupNorm(3, 6)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6) - 2.5)
        norm.bias.copy_(torch.arange(6) / 4)
    x = image(3, 6, 7, 5).float().detach().requires_grad_()
    kept, back = mask(x, pooled=True), torch.randn(3, 6, 3, 5)

    def computed() -> list[Tensor]:
        out = group_mish_pool(x, norm, kept, pooled=True)
        return [out, *torch.autograd.grad(out, (x, norm.weight, norm.bias), back)]

    usual = computed()
    monkeypatch.setattr("spira.core.mish_rows._N_CACHED", n_cached)
    assert all(torch.equal(a, b) for a, b in zip(computed(), usual, strict=True))
    theirs = reference(norm(x), kept, pooled=True)
    for a, b in zip(usual, [theirs, *torch.autograd.grad(theirs, (x, norm.weight, norm.bias), back)], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_values_far_out_stay_finite() -> None:
    """Both ends of float32: Mish of -1e38 is 0 with no gradient, and of 1e38 itself, with a gradient of 1."""
    x = torch.tensor([-1e38, -200.0, 200.0, 1e38]).view(1, 1, 4, 1).requires_grad_()
    out = mish_pool(x, None, pooled=False)
    assert out.flatten().tolist() == [0.0, 0.0, 200.0, pytest.approx(1e38)]
    assert torch.autograd.grad(out.sum(), x)[0].flatten().tolist() == [0.0, 0.0, 1.0, 1.0]


def test_float32_agrees_to_rounding() -> None:
    """The tolerance that is promised: 2 parts in a million of the largest value, forward and back."""
    norm = nn.GroupNorm(16, 32)
    x = image(2, 32, 389, 40).float().detach().requires_grad_()
    ours, theirs = group_mish_pool(x, norm, None, pooled=True), reference(norm(x), None, pooled=True)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6 * float(theirs.detach().abs().max()))
    back = torch.randn_like(theirs)
    mine, torchs = (torch.autograd.grad(out, x, back)[0] for out in (ours, theirs))
    torch.testing.assert_close(mine, torchs, rtol=0, atol=2e-6 * float(torchs.abs().max()))


def test_of_two_that_are_the_same_the_earlier_gets_the_gradient() -> None:
    """As in torch: silence, where every frame is alike, is learnt from in the same way."""
    x = torch.full((1, 1, 4, 1), 0.7, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(mish_pool(x, None, pooled=True).sum(), x)[0].flatten()
    assert gradient[[1, 3]].tolist() == [0.0, 0.0]
    assert bool((gradient[[0, 2]] > 0.5).all())


def test_values_without_a_gradient_stay_values_without_one() -> None:
    """In evaluation nothing is kept for a backward pass, and the number is the same."""
    x = image(1, 2, 6, 3)
    with torch.inference_mode():
        out = mish_pool(x, None, pooled=True)
    assert not out.requires_grad
    torch.testing.assert_close(out.clone(), mish_pool(x, None, pooled=True).detach())
