"""core.spiraconv and core.model: the published architecture, to the weight."""

import pytest
import torch

from spira.core.model import ModelParams, build
from spira.core.spiraconv import SpiraConvV2, frames_after_convolutions
from spira.errors import ParamError


def n_parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("n_frames", "total"), [(401, 691_613), (301, 499_613)])
def test_it_has_the_published_number_of_weights(n_frames: int, total: int) -> None:
    """4 s and 3 s windows of 40 coefficients; 3,412 of them lie in the convolutional blocks."""
    net = SpiraConvV2(n_frames, 40)
    assert n_parameters(net) == total
    assert n_parameters(net.conv) == 3_412


def test_frames_fall_as_published() -> None:
    """401 -> 389, 194, 186, 93, 89, 44, 43 frames, so 43 * 4 * 40 = 6,880 inputs to the linear layer."""
    sizes: list[int] = []
    net = SpiraConvV2(401, 40)
    for layer in net.conv:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.shape[2]))
    net(torch.zeros(1, 401, 40))
    assert sizes == [389, 194, 186, 93, 89, 44, 43]
    assert net.fc1.in_features == 6_880
    assert frames_after_convolutions(401) == 43


def test_the_weights_have_the_published_names() -> None:
    """A model trained by SPIRA's first version fits by name: conv, fc1, fc2."""
    assert {name.split(".")[0] for name in SpiraConvV2(401, 40).state_dict()} == {"conv", "fc1", "fc2"}


def test_the_flat_order_is_frame_channel_coefficient() -> None:
    """Golden: input j of the first linear layer is (frame, channel, coefficient) = divmod by 160 and 40."""
    net = SpiraConvV2(401, 40).eval()
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
    net = SpiraConvV2(401, 40).eval()
    windows = torch.randn(6, 401, 40)
    torch.testing.assert_close(net(windows), torch.cat([net(w[None]) for w in windows]), atol=1e-5, rtol=1e-4)


def test_a_window_too_short_for_the_convolutions_is_refused() -> None:
    """The key to change is named, instead of a negative dimension inside torch."""
    with pytest.raises(ParamError, match=r"windows\.seconds: too short for model\.kind=spiraconv_v2: 30 frames"):
        build(ModelParams(kind="spiraconv_v2"), 30, 40)
