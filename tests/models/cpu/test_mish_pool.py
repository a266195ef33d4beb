"""A compiled block agrees with torch's convolution, GroupNorm, Mish, MaxPool2d and Dropout, gradients included."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spira.models.cpu.mish_pool import Norm, block, mish_pool
from spira.models.cpu.time_convolution import convolve
from spira.models.dropout import Draws, Dropout

Gradients = tuple[Tensor, ...]


def reference(x: Tensor, norm: Norm, draws: Draws | None, *, pooled: bool) -> Tensor:
    """Torch's own modules, one after the other."""
    out = nn.functional.mish(norm(x))
    out = nn.functional.max_pool2d(out, (2, 1)) if pooled else out
    return out if draws is None else out * draws.factors(out.dtype)


def image(*shape: int, scale: float = 1.0) -> Tensor:
    return (scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0))).requires_grad_()


def group_norm(n_groups: int, n_channels: int) -> nn.GroupNorm:
    """With weights of both signs, and one that is 0."""
    norm = nn.GroupNorm(n_groups, n_channels)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(n_channels) - 1.0)
        norm.bias.copy_(torch.arange(n_channels) / 4)
    return norm


def identity(n_channels: int) -> nn.BatchNorm2d:
    """What it is given, in evaluation."""
    return nn.BatchNorm2d(n_channels, eps=0.0).eval()


def numbers(x: Tensor, *, pooled: bool) -> Draws:
    shape = (*x.shape[:2], x.shape[2] // 2 if pooled else x.shape[2], x.shape[3])
    torch.manual_seed(1)
    draws = Dropout(0.5).draw(torch.Size(shape), x.device)
    draws.numbers.view(-1)[0] = draws.least  # the last that is kept
    return draws


def both(computed: Callable[[Tensor], Tensor], x: Tensor, norm: Norm) -> tuple[Tensor, Gradients]:
    """The value, and the gradients by the image and the norm's weight and bias."""
    out = computed(x)
    back = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    return out, torch.autograd.grad(out, (x, *norm.parameters()), back)


@pytest.mark.parametrize(("pooled", "dropped"), list(product((True, False), repeat=2)))
@pytest.mark.parametrize("scale", [1.0, 30.0])  # past both of Mish's ends: -100 is 0, and above 20 it is the identity
@pytest.mark.parametrize("kind", ["group", "batch", "identity"])
@settings(deadline=None, max_examples=15)
@given(n_frames=st.integers(2, 9), width=st.integers(1, 41))
def test_values_and_gradients_are_those_of_torchs_modules(
    pooled: bool, dropped: bool, scale: float, kind: str, n_frames: int, width: int
) -> None:
    """Held against double precision, where their own rounding is nothing; an odd last frame is pooled away."""
    norms: dict[str, Norm] = {"group": group_norm(2, 4), "batch": nn.BatchNorm2d(4), "identity": identity(4)}
    norm = norms[kind]
    x = image(3, 4, n_frames, width, scale=scale)
    draws = numbers(x, pooled=pooled) if dropped else None
    ours = both(lambda x: mish_pool(x, norm, draws, pooled=pooled), x, norm)
    exact, norm = x.detach().double().requires_grad_(), norm.double()
    theirs = both(lambda x: reference(x, norm, draws, pooled=pooled), exact, norm)
    for mine, torchs in zip((ours[0], *ours[1]), (theirs[0], *theirs[1]), strict=True):
        torch.testing.assert_close(
            mine.double(), torchs, rtol=1e-5, atol=2e-5 * max(1.0, float(torchs.detach().abs().max()))
        )


def test_float32_agrees_to_rounding() -> None:
    """The tolerance that is promised: 2 parts in a million of the largest value, forward and back.

    Two frames that differ by less are chosen between by rounding, and the gradient goes with them: some in a million.
    """
    norm = group_norm(16, 32)
    x = image(2, 32, 389, 40)
    ours, theirs = (both(lambda x, f=f: f(x, norm, None, pooled=True), x, norm) for f in (mish_pool, reference))  # type: ignore[misc]
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=2e-6 * float(theirs[0].detach().abs().max()))
    off = (ours[1][0] - theirs[1][0]).abs() > 2e-6 * theirs[1][0].abs().max()
    assert float(off.float().mean()) < 1e-5


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("at", [0, 1])  # the earlier or the later of a pair
def test_a_nan_is_not_lost(pooled: bool, at: int) -> None:
    """Neither where it stands, nor on its way through a group: a diverging network must be seen to diverge."""
    x = image(1, 4, 6, 3).detach()
    x[0, 1, at, 2] = float("nan")
    out = mish_pool(x, identity(4), None, pooled=pooled)
    assert out.isnan().nonzero().tolist() == [[0, 1, 0 if pooled else at, 2]]
    grouped = mish_pool(x, nn.GroupNorm(2, 4), None, pooled=pooled)
    assert bool(grouped[:, :2].isnan().all())
    assert not bool(grouped[:, 2:].isnan().any())


def test_values_far_out_stay_finite() -> None:
    """Both ends of float32: Mish of -1e38 is 0 with no gradient, and of 1e38 itself, with a gradient of 1."""
    x = torch.tensor([-1e38, -200.0, 200.0, 1e38]).view(1, 1, 4, 1).requires_grad_()
    out = mish_pool(x, identity(1), None, pooled=False)
    assert out.flatten().tolist() == pytest.approx([0.0, 0.0, 200.0, 1e38], rel=1e-6, abs=1e-30)
    assert torch.autograd.grad(out.sum(), x)[0].flatten().tolist() == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-30)


def test_of_two_that_are_the_same_the_earlier_gets_the_gradient() -> None:
    """As in torch: silence, where every frame is alike, is learnt from in the same way."""
    x = torch.full((1, 1, 4, 1), 0.7, requires_grad=True)
    gradient = torch.autograd.grad(mish_pool(x, identity(1), None, pooled=True).sum(), x)[0].flatten()
    assert gradient[[1, 3]].tolist() == [0.0, 0.0]
    assert bool((gradient[[0, 2]] > 0.5).all())


def test_values_without_a_gradient_stay_values_without_one() -> None:
    """In evaluation nothing is kept for a backward pass, and the number is the same."""
    x, norm = image(1, 2, 6, 3), group_norm(1, 2)
    with torch.inference_mode():
        out = mish_pool(x, norm, None, pooled=True)
    assert not out.requires_grad
    torch.testing.assert_close(out.clone(), mish_pool(x, norm, None, pooled=True).detach())


@pytest.mark.parametrize(("pooled", "dropped"), list(product((True, False), repeat=2)))
@pytest.mark.parametrize("n_groups", [8, 4, 2, 1])  # of one, two, four and eight channels; the last is not held at once
def test_the_first_block_is_the_convolution_and_what_follows_it(pooled: bool, dropped: bool, n_groups: int) -> None:
    """The same bytes, and those of each weight's gradient, though the convolution is not kept but computed again."""
    torch.manual_seed(3)
    convolution, norm = nn.Conv2d(1, 8, (7, 1), dilation=(2, 1)), group_norm(n_groups, 8)
    x = image(3, 1, 61, 40).detach()
    draws = numbers(convolve(x, convolution), pooled=pooled) if dropped else None
    back = torch.randn(mish_pool(convolve(x, convolution), norm, draws, pooled=pooled).shape)

    def computed(out: Tensor) -> Gradients:
        return out, *torch.autograd.grad(out, (*convolution.parameters(), *norm.parameters()), back)

    one = computed(block(x, convolution, norm, draws, pooled=pooled))
    two = computed(mish_pool(convolve(x, convolution), norm, draws, pooled=pooled))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_first_block_gives_the_gradient_by_its_input_where_one_asks() -> None:
    """As who asks what a network listens to."""
    convolution, norm = nn.Conv2d(1, 4, (3, 1)), group_norm(2, 4)
    x = image(2, 1, 9, 5)
    out = block(x, convolution, norm, None, pooled=True)
    theirs = reference(nn.functional.conv2d(x, convolution.weight, convolution.bias), norm, None, pooled=True)
    torch.testing.assert_close(*(torch.autograd.grad(made.square().sum(), x)[0] for made in (out, theirs)))
