"""The compiled convolution along time agrees with ``nn.Conv2d`` of a (k, 1) kernel."""

from copy import deepcopy

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from spira.models.cpu.time_convolution import convolve, is_compiled

CHANNELS = st.sampled_from([1, 2, 3, 4, 8, 12])


@settings(deadline=None)
@given(st.integers(1, 3), CHANNELS, CHANNELS, st.integers(1, 7), st.integers(1, 3), st.integers(0, 60), st.booleans())
@example(2, 4, 8, 5, 2, 60, True)  # more values than a tile has, and a rest
@example(2, 1, 1, 5, 3, 33, False)  # sums that cancel out
def test_it_is_torchs_convolution(
    batch: int, n_in: int, n_out: int, kernel: int, dilation: int, more: int, asked: bool
) -> None:
    """Values, and the gradients of image, weight and bias, held against double precision; compiled or not."""
    torch.manual_seed(n_in + n_out)
    n_frames = dilation * (kernel - 1) + 1 + more
    ours = nn.Conv2d(n_in, n_out, (kernel, 1), dilation=(dilation, 1))
    theirs = deepcopy(ours).double()
    x = torch.randn(batch, n_in, n_frames, 19, requires_grad=asked)
    exact, back = x.detach().double().requires_grad_(asked), torch.randn(batch, n_out, 1 + more, 19)
    wanted = [(x, *ours.parameters())[not asked :], (exact, *theirs.parameters())[not asked :]]
    mine = (out := convolve(x, ours), *torch.autograd.grad(out, wanted[0], back))
    torchs = (out := theirs(exact), *torch.autograd.grad(out, wanted[1], back.double()))
    n_summed = back.numel() // n_out  # by a bias's gradient, of numbers about one; they may cancel out
    for a, b in zip(mine, torchs, strict=True):
        size = max(1.0, float(b.detach().abs().max()), 0.1 * n_summed**0.5)
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5 * size)


def test_what_is_compiled_is_what_spiraconv_convolves() -> None:
    """Channels in fours; a single one only where nobody asks for the gradient by it."""
    image = torch.zeros(1, 1, 9, 3)
    assert is_compiled(nn.Conv2d(1, 32, (7, 1)), image)
    assert is_compiled(nn.Conv2d(32, 16, (5, 1)), image.expand(1, 32, 9, 3).clone().requires_grad_())
    assert not is_compiled(nn.Conv2d(1, 32, (7, 1)), image.clone().requires_grad_())
    assert not is_compiled(nn.Conv2d(1, 6, (7, 1)), image)


def test_an_image_that_is_not_laid_out_in_order_is_taken_too() -> None:
    """A view with its axes exchanged is copied."""
    conv = nn.Conv2d(4, 4, (2, 1), dilation=(2, 1))
    x = torch.randn(1, 4, 4, 9).transpose(2, 3)
    torch.testing.assert_close(convolve(x, conv), convolve(x.contiguous(), conv))
