"""core.time_convolution: ``nn.Conv2d`` with a (k, 1) kernel."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spira.core.time_convolution import TimeConv2d


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 5))
def test_it_is_torchs_convolution(batch: int, n_in: int, n_out: int, kernel: int, dilation: int, more: int) -> None:
    """Values, and the gradients of image, weight and bias, in double precision."""
    n_frames = dilation * (kernel - 1) + 1 + more
    ours = TimeConv2d(n_in, n_out, kernel, dilation=dilation).double()
    theirs = nn.Conv2d(n_in, n_out, (kernel, 1), dilation=(dilation, 1)).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(batch, n_in, n_frames, 3, dtype=torch.float64, requires_grad=True)
    back = torch.randn(batch, n_out, 1 + more, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    for net_a, net_b in ((ours, theirs),):
        mine = torch.autograd.grad(net_a(x), (x, *net_a.parameters()), back)
        torchs = torch.autograd.grad(net_b(x), (x, *net_b.parameters()), back)
        for a, b in zip(mine, torchs, strict=True):
            torch.testing.assert_close(a, b)


def test_an_image_that_is_not_laid_out_in_order_is_taken_too() -> None:
    """A view with its axes exchanged has no flat slices; it is copied."""
    conv = TimeConv2d(2, 3, 2, dilation=2)
    x = torch.randn(1, 2, 4, 9).transpose(2, 3)
    torch.testing.assert_close(conv(x), conv(x.contiguous()))
