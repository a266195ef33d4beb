"""SpiraConv has the published architecture, to the last weight; a shape that cannot be built is refused."""

import pytest
import torch
from pydantic import ValidationError

from spira.base.errors import ParamError
from spira.models.build import build
from spira.models.params import V1, V2, SpiraConvParams
from spira.models.spiraconv import MaxPoolTime, SpiraConv
from tiny import network_params


def n_parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("n_frames", "total"), [(401, 691_613), (301, 499_613)])
def test_it_has_the_published_number_of_weights(n_frames: int, total: int) -> None:
    """4 s and 3 s windows of 40 coefficients; 3,412 of them lie in the convolutional blocks."""
    net = SpiraConv(V2, n_frames, 40)
    assert n_parameters(net) == total
    assert n_parameters(net.conv) == 3_412


def test_frames_fall_as_published() -> None:
    """401 -> 389, 194, 186, 93, 89, 44, 43 frames, so 43 * 4 * 40 = 6,880 inputs to the linear layer."""
    sizes: list[int] = []
    net = SpiraConv(V2, 401, 40)
    for layer in net.conv:
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, seen, out: sizes.extend([seen[0].shape[2], out.shape[2]]))
    net(torch.zeros(1, 401, 40))
    assert sizes == [401, 389, 194, 186, 93, 89, 44, 43]
    assert net.fc1.in_features == 6_880
    assert V2.frames_left(401) == 43


def test_the_weights_have_the_published_names() -> None:
    """A model trained by SPIRA's first version fits by name: conv, fc1, fc2; what is ours is the inputs' scale."""
    layers = [f"conv.{i}" for i in (0, 1, 5, 6, 10, 11, 15, 16)] + ["fc1", "fc2"]
    scale, own = ["standardize.centre", "standardize.spread"], list(SpiraConv(V2, 401, 40).state_dict())
    assert own == scale + [f"{name}.{kind}" for name in layers for kind in ("weight", "bias")]


def test_the_flat_order_is_frame_channel_coefficient() -> None:
    """Golden: input j of the first linear layer is (frame, channel, coefficient) = divmod by 160 and 40."""
    net = SpiraConv(V2, 401, 40).eval()
    seen: list[torch.Tensor] = []
    images: list[torch.Tensor] = []
    net.conv.register_forward_hook(lambda _, __, out: images.append(out))
    net.fc1.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    net(torch.randn(2, 401, 40, generator=torch.Generator().manual_seed(0)))
    frame, channel, coefficient = 7, 2, 31
    torch.testing.assert_close(
        seen[0][1, 160 * frame + 40 * channel + coefficient], images[0][1, channel, frame, coefficient]
    )


def test_a_window_is_scored_the_same_alone_as_in_a_batch() -> None:
    """Group normalisation looks at no neighbour, so micro-batches give a batch's numbers (float32 rounding)."""
    torch.manual_seed(0)
    net = SpiraConv(V2, 401, 40).eval()
    windows = torch.randn(6, 401, 40)
    torch.testing.assert_close(net(windows), torch.cat([net(w[None]) for w in windows]), atol=1e-5, rtol=1e-4)


def test_a_window_too_short_for_the_convolutions_is_refused() -> None:
    """The key to change is named, instead of a negative dimension inside torch."""
    with pytest.raises(
        ParamError, match=r"windows\.seconds: too short for the network spiraconv_v2: a window has 30 frames"
    ):
        build("spiraconv_v2", network_params(), 30, 40)


def test_v1_is_v2_with_batch_normalisation() -> None:
    """As many weights; and a window's logit depends on its neighbours in training only."""
    v1, v2 = SpiraConv(V1, 401, 40), SpiraConv(V2, 401, 40)
    assert n_parameters(v1) == n_parameters(v2)
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in v1.conv) == 4
    assert {n: p.shape for n, p in v1.named_parameters()} == {n: p.shape for n, p in v2.named_parameters()}
    windows = torch.randn(4, 401, 40)
    v1.eval()
    torch.testing.assert_close(v1(windows)[:1], v1(windows[:1]), atol=1e-5, rtol=1e-4)


def test_v2_is_the_instance_that_params_yaml_spells_out() -> None:
    """``kind: spiraconv`` with the committed numbers is v2: the same weights from the same seed."""
    nets = []
    for kind in ("spiraconv", "spiraconv_v2"):
        torch.manual_seed(0)
        nets.append(build(kind, network_params(), 401, 40).state_dict())
    assert nets[0].keys() == nets[1].keys()
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def shape(**changes: object) -> SpiraConvParams:
    return SpiraConvParams.model_validate({**V2.model_dump(), **changes})


def test_its_parameters_reach_the_network() -> None:
    """Two convolutions of other sizes: 101 frames less 2 * 3 are 95, halved 47, less 1 * 1 are 46."""
    p = shape(channels=(6, 2), kernels=(4, 2), dilations=(2, 1), hidden=7, dropout=0.25, norm="batch")
    net = SpiraConv(p, 101, 5)
    assert net.conv[0].weight.shape == (6, 1, 4, 1)
    assert net.conv[0].dilation == (2, 1)
    assert net.fc1.weight.shape == (7, 46 * 2 * 5)
    assert net.dropout.p == 0.25
    assert net(torch.randn(3, 101, 5)).shape == (3,)


@pytest.mark.parametrize("n_frames", [2, 7, 8])
def test_pooling_is_torchs_own(n_frames: int) -> None:
    """Values and gradients; an odd last frame is dropped, of two that are the same the earlier counts, NaN stays."""
    x = torch.randn(2, 3, n_frames, 5, generator=torch.Generator().manual_seed(0)).round().requires_grad_()
    ours, theirs = MaxPoolTime()(x), torch.nn.functional.max_pool2d(x, (2, 1))
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, theirs)))
    for at in (0, 1):
        odd = torch.zeros(1, 1, 2, 1)
        odd[0, 0, at] = float("nan")
        assert bool(MaxPoolTime()(odd).isnan().all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": (7, 5, 3)}, r"kernels: must be as many as channels=\[32, 16, 8, 4\], got \[7, 5, 3\]"),
        ({"channels": (32, 16, 8, 5)}, r"channels: must be even where norm=group, got \[32, 16, 8, 5\]"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused(changes: dict[str, object], message: str) -> None:
    """The key and what is expected, before torch stumbles."""
    with pytest.raises(ValidationError, match=message):
        shape(**changes)
