"""Dropout does what ``nn.Dropout`` does, with draws that a seed decides."""

import pytest
import torch

from spira.models.dropout import Dropout, drawing_from, new_generator


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_it_drops_and_scales_as_torchs_own_does(p: float) -> None:
    """The kept fraction, the kept value and their variance agree with ``nn.Dropout`` over a million elements."""
    torch.manual_seed(0)
    ones = torch.ones(1000, 1001)
    ours, theirs = Dropout(p).train()(ones), torch.nn.Dropout(p).train()(ones)
    assert float((ours > 0).float().mean()) == pytest.approx(1 - p, abs=0.002)  # 4 standard errors
    torch.testing.assert_close(ours.unique(), theirs.unique())
    assert float(ours.var()) == pytest.approx(float(theirs.var()), rel=0.01)


def test_neighbouring_elements_are_dropped_independently() -> None:
    """Four elements share a 64-bit word; no pair of the four agrees more often than chance, and no lane is biased."""
    torch.manual_seed(0)
    lanes = (Dropout(0.5).train()(torch.ones(200_000, 4)) > 0).double().T
    torch.testing.assert_close(lanes.mean(dim=1), torch.full((4,), 0.5, dtype=torch.float64), atol=0.005, rtol=0)
    torch.testing.assert_close(torch.corrcoef(lanes), torch.eye(4, dtype=torch.float64), atol=0.01, rtol=0)


def test_evaluation_changes_nothing_and_draws_nothing() -> None:
    """The same tensor comes back, and torch's generator stands where it stood."""
    x, before = torch.randn(7, 3), torch.get_rng_state()
    assert Dropout(0.7).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gradient_flows_through_what_was_kept() -> None:
    """d out / d in is the mask, scaled."""
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    out = Dropout(0.7).train()(x)
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, out.detach())


def test_a_thread_can_draw_from_a_seed_of_its_own() -> None:
    """Inside the block the seed alone decides, and torch's generator is not touched; after it all is as before."""
    net, x, before = Dropout(0.5).train(), torch.ones(64), torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with drawing_from(new_generator(seed, x.device)):
            drawn.append(net(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)
    net(x)
    assert not torch.equal(torch.get_rng_state(), before)
