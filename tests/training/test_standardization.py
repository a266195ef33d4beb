"""The scale of a network's inputs is the weighted mean and deviation of the training frames; padding is none."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from spira.models.build import MODELS
from spira.training.standardization import centre_and_spread, set_standardize
from tiny_training import make_net

SHIFT = torch.tensor([-200.0, 0.0, 3.0])


def renderings() -> list[tuple[Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    lengths, weights = (50, 70, 20), (0.5, 0.125, 0.375)
    return [
        (torch.randn(n, 3, generator=drawn) * 9 + SHIFT, weight) for n, weight in zip(lengths, weights, strict=True)
    ]


def test_the_numbers_are_weighted_over_all_frames() -> None:
    """By numpy; a rendering of weight 0 is not there."""
    frames = np.concatenate([frames.numpy() for frames, _ in renderings()]).astype(np.float64)
    weights = np.concatenate([np.full(len(frames), weight) for frames, weight in renderings()])
    centre, spread = centre_and_spread([*renderings(), (torch.full((9, 3), 1e3), 0.0)])
    assert_allclose(centre, np.average(frames, axis=0, weights=weights))
    assert_allclose(spread, np.average((frames - centre) ** 2, axis=0, weights=weights) ** 0.5)


def test_padding_does_not_count_and_no_spread_is_zero() -> None:
    """Frames of zeros behind each clip change nothing; a coefficient that never differs is divided by 1."""
    padded = [(torch.cat([frames, torch.zeros(30, 3)]), weight) for frames, weight in renderings()]
    for got, expected in zip(centre_and_spread(padded), centre_and_spread(renderings()), strict=True):
        assert_allclose(got, expected)
    constant = [(torch.full((8, 3), 2.5), 1.0)]
    assert [numbers.tolist() for numbers in centre_and_spread(constant)] == [[2.5] * 3, [1.0] * 3]


def test_a_large_mean_costs_no_digits() -> None:
    """Squares of deviations are summed, not squares less a square: 1e6 ± 1e-1 keeps its deviation."""
    drawn = torch.Generator().manual_seed(0)
    frames = (1e6 + torch.randint(0, 2, (4000, 1), generator=drawn) * 0.125).float()
    _, spread = centre_and_spread([(frames, 1.0)])
    assert spread[0] == pytest.approx(0.0625, rel=1e-2)


@pytest.mark.parametrize("kind", MODELS)
def test_every_network_takes_them(kind: str) -> None:
    """Into its two buffers, in float32; nothing else moves."""
    net = make_net(kind, n_features=32)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    set_standardize(net, np.arange(32.0), np.arange(1.0, 33.0))
    after = net.state_dict()
    assert after["standardize.centre"].tolist() == list(range(32))
    assert after["standardize.spread"].tolist() == list(range(1, 33))
    assert all(torch.equal(after[name], weight) for name, weight in before.items() if "standardize" not in name)


def test_a_network_without_the_layer_is_a_mistake_of_ours() -> None:
    """Rather than a network whose inputs are not what model.json says."""
    with pytest.raises(AttributeError):
        set_standardize(nn.Linear(2, 2), np.zeros(2), np.ones(2))
