"""Every kind of model agrees with its publication, learns one batch, and gives each window one finite logit."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from spira.base.errors import ParamError
from spira.check.compatibility import MOST_NUMBERS, MOST_WEIGHTS, SIZED
from spira.models.build import MODELS, build
from spira.models.dropout import Dropout
from spira.models.mfcc_transformer import MfccTransformer, sinusoids
from spira.models.panns import Panns
from spira.models.params import NETWORKS, PannsKind
from spira.models.pooled_cnn import ConvTime, PooledCnn
from spira.models.standardize import Standardize
from spira.training.gradients import has_batch_norm
from tiny import network_params

pytestmark = pytest.mark.usefixtures("one_thread")
N_FEATURES = 40
SMALL = {"width": 16, "n_layers": 2, "n_heads": 2, "feed_forward": 32, "dropout": 0.0}
CLASSES = [
    "pooled_cnn",
    "spiraconv_v2",
    "spiraconv_v1",
    "cnn6",
    "cnn10",
    "mfcc_transformer",
]  # the others are of these classes


def make_net(kind: str, n_frames: int, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(kind, network_params(mfcc_transformer=SMALL), n_frames, N_FEATURES)


def frames(n: int, n_frames: int) -> torch.Tensor:
    return torch.randn(n, n_frames, N_FEATURES, generator=torch.Generator().manual_seed(0))


def without_dropout(net: torch.nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def n_parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_what_is_said_of_a_kind_without_torch_is_so() -> None:
    """Every kind has its features; it normalises by batch where its parameters say so; and its weights are counted."""
    assert MODELS.keys() == NETWORKS.keys()
    for kind in MODELS:
        assert has_batch_norm(make_net(kind, 64)) == network_params().has_batch_norm(kind), kind
    general = {**network_params().spiraconv.model_dump(), "norm": "batch"}
    assert network_params(spiraconv=general).has_batch_norm("spiraconv")
    assert network_params().pooled_cnn.n_weights(N_FEATURES) == n_parameters(make_net("pooled_cnn", 64))


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in SIZED])
@pytest.mark.parametrize(("n_frames", "n_features"), [(MOST_NUMBERS // 8193, 8193), (MOST_NUMBERS // 40, 40)])
def test_a_published_model_is_never_too_large(kind: str, n_frames: int, n_features: int) -> None:
    """Of the largest windows that are allowed, wide or long: so `check` need not build it to count."""
    with torch.device("meta"):
        net = build(kind, network_params(), n_frames, n_features)
    assert n_parameters(net) <= MOST_WEIGHTS


@pytest.mark.parametrize("kind", MODELS)
def test_a_window_gives_one_finite_logit(kind: str) -> None:
    """(batch, frame, coefficient) -> (batch,), for every kind, also for a single window."""
    net = make_net(kind, 64).eval()
    with torch.inference_mode():
        logits = net(frames(3, 64))
        assert logits.shape == (3,)
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(net(frames(3, 64)[:1]), logits[:1], atol=1e-4, rtol=1e-3)  # no neighbour matters


@pytest.mark.parametrize("kind", CLASSES)
def test_the_gradient_reaches_every_parameter(kind: str) -> None:
    """No layer is built and then forgotten. (A weight before a rectifier may be silent once; three batches are not.)"""
    net = make_net(kind, 64).train()
    for seed in range(3):
        windows = torch.randn(4, 64, N_FEATURES, generator=torch.Generator().manual_seed(seed))
        binary_cross_entropy_with_logits(net(windows), torch.tensor([0.0, 1.0, 0.0, 1.0])).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A constant added to a convolution is taken out again by the batch normalisation after it.
    assert [name for name in silent if not (kind == "spiraconv_v1" and name.endswith("bias"))] == []


@pytest.mark.ml_test_score("Infrastructure 2")
@pytest.mark.parametrize(
    ("kind", "n_frames"),
    [("pooled_cnn", 64), ("spiraconv_v2", 64), ("spiraconv_v1", 64), ("cnn6", 32), ("mfcc_transformer", 32)],
)
def test_one_batch_is_learnt_by_heart(kind: str, n_frames: int) -> None:
    """Six windows of noise, labels alternating: the loss falls below 0.1 where everything is connected."""
    net = make_net(kind, n_frames).train()
    without_dropout(net)
    windows, labels = frames(6, n_frames), (torch.arange(6) % 2).float()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = [1.0]
    while losses[-1] > 0.1 and len(losses) < 80:
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(net(windows), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1


# ---------------------------------------------------------------------------------------------------------------------
# PANNs
# ---------------------------------------------------------------------------------------------------------------------

PUBLISHED: dict[
    PannsKind, tuple[int, float]
] = {  # exact with 64 bands and 527 outputs; in millions, Kong et al. table XII
    "cnn6": (4_837_455, 4.8),
    "cnn10": (5_219_279, 5.2),
    "cnn14": (80_753_615, 80.8),
}


def published_names(kind: PannsKind) -> dict[str, list[int]]:
    """The state dict that Kong et al. publish, written out anew: names and shapes of what is learnt."""
    channels = [1, 64, 128, 256, 512] + ([1024, 2048] if kind == "cnn14" else [])
    normalised = {"bn0": 64}
    found: dict[str, list[int]] = {}
    for i, (n_in, n_out) in enumerate(pairwise(channels), start=1):
        if kind == "cnn6":
            found[f"conv_block{i}.conv1.weight"] = [n_out, n_in, 5, 5]
        else:
            found[f"conv_block{i}.conv1.weight"] = [n_out, n_in, 3, 3]
            found[f"conv_block{i}.conv2.weight"] = [n_out, n_out, 3, 3]
            normalised[f"conv_block{i}.bn2"] = n_out
        normalised[f"conv_block{i}.bn1"] = n_out
    for name, size in normalised.items():
        found |= {f"{name}.{what}": [size] for what in ("weight", "bias", "running_mean", "running_var")}
        found[f"{name}.num_batches_tracked"] = []
    last = channels[-1]
    return found | {
        "fc1.weight": [last, last],
        "fc1.bias": [last],
        "fc_audioset.weight": [527, last],
        "fc_audioset.bias": [527],
    }


@pytest.mark.parametrize("kind", PUBLISHED)
def test_panns_have_the_published_number_of_weights(kind: PannsKind) -> None:
    """4.8, 5.2 and 80.8 million with AudioSet's 527 outputs."""
    with torch.device("meta"):
        net = Panns(kind, 64, 527)
    exact, millions = PUBLISHED[kind]
    assert n_parameters(net) == exact
    assert round(exact / 1e6, 1) == millions


@pytest.mark.parametrize("kind", PUBLISHED)
def test_panns_have_the_published_names_and_shapes(kind: PannsKind) -> None:
    """A published state dict has all but the scale of the inputs; its STFT and mel matrices are features here."""
    with torch.device("meta"):
        net = Panns(kind, 64, 527)
    ours = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    assert ours == published_names(kind) | {"standardize.centre": [64], "standardize.spread": [64]}


def test_panns_normalise_each_band_first() -> None:
    """``bn0`` is over mel bands, not over frames: another level in one band changes no logit in training."""
    torch.manual_seed(0)
    net = Panns("cnn6", N_FEATURES, 1).train()
    without_dropout(net)
    windows, louder = frames(4, 64), frames(4, 64)
    louder[:, :, 7] += 30.0
    torch.testing.assert_close(net(louder), net(windows), atol=1e-3, rtol=1e-3)
    assert net.bn0.num_features == N_FEATURES


@pytest.mark.parametrize(("kind", "n_frames", "n_mels"), [("cnn6", 15, 40), ("cnn14", 31, 40), ("cnn14", 64, 31)])
def test_panns_refuse_what_pooling_would_leave_nothing_of(kind: str, n_frames: int, n_mels: int) -> None:
    """The key to change is named: 16 frames and bands are halved four times, 32 five times."""
    with pytest.raises(ParamError, match=r"windows\.seconds: too short|features\.n_mels: must be at least 32"):
        build(kind, network_params(), n_frames, n_mels)


# ---------------------------------------------------------------------------------------------------------------------
# The transformer
# ---------------------------------------------------------------------------------------------------------------------


def test_the_transformer_has_the_weights_of_its_parts() -> None:
    """By the arithmetic of Vaswani et al.: four maps, two norms and a feed-forward a layer; a norm after them."""
    p = network_params().mfcc_transformer
    d, f = p.width, p.feed_forward
    layer = 4 * (d * d + d) + 2 * 2 * d + (d * f + f) + (f * d + d)
    assert n_parameters(MfccTransformer(p, 401, 40)) == (40 * d + d) + p.n_layers * layer + 2 * d + (d + 1)


def test_the_transformer_uses_order_and_not_level() -> None:
    """Frames backwards give another logit; a constant added to a coefficient gives the same."""
    net = make_net("mfcc_transformer", 64).eval()
    windows = frames(2, 64)
    assert not torch.allclose(net(windows.flip(1)), net(windows), atol=1e-4)
    torch.testing.assert_close(net(windows + 5.0), net(windows), atol=1e-4, rtol=1e-3)


def test_position_codes_are_the_published_ones() -> None:
    """sin(t / 10000 ** (2 i / width)) in column 2 i, cos in the next."""
    codes = sinusoids(50, 8)
    assert float(codes[7, 2]) == pytest.approx(math.sin(7 / 10_000 ** (2 / 8)))
    assert float(codes[7, 5]) == pytest.approx(math.cos(7 / 10_000 ** (4 / 8)))


# ---------------------------------------------------------------------------------------------------------------------
# The small network with statistics pooling
# ---------------------------------------------------------------------------------------------------------------------


def pooled(seed: int = 0) -> PooledCnn:
    net = make_net("pooled_cnn", 64, seed).eval()
    assert isinstance(net, PooledCnn)
    net.standardize.centre.copy_(torch.linspace(-3, 3, N_FEATURES))
    net.standardize.spread.copy_(torch.linspace(1, 2, N_FEATURES))
    return net


@pytest.mark.parametrize("n_sound", [1, 2, 51, 64])
def test_padding_changes_no_logit(n_sound: int) -> None:
    """Of an odd or even number of frames, next to a longer window, and where the inputs are standardised."""
    net, windows = pooled(), frames(2, 64)
    windows[0, n_sound:] = 0.0
    with torch.inference_mode():
        alone = net(windows[:1, :n_sound])
        torch.testing.assert_close(net(windows)[:1], alone, atol=1e-5, rtol=1e-5)
        further = torch.cat([windows, torch.zeros(2, 33, N_FEATURES)], dim=1)
        torch.testing.assert_close(net(further)[:1], alone, atol=1e-5, rtol=1e-5)
        assert torch.isfinite(net(torch.zeros(1, 64, N_FEATURES))).all()


def test_the_pooling_is_over_all_frames_and_the_convolutions_see_their_neighbours() -> None:
    """By an independent reference: numpy, one frame after the other, for a clip that fills its window."""
    net, windows = pooled(), frames(1, 21)
    image = ((windows[0] - net.standardize.centre) / net.standardize.spread).numpy()
    p = network_params().pooled_cnn
    for layer, stride, dilation in zip(net.layers, p.strides, p.dilations, strict=True):
        assert isinstance(layer, ConvTime)
        weight, bias = (layer.linear.get_parameter(name).detach().numpy() for name in ("weight", "bias"))
        weight = weight.reshape(len(bias), layer.kernel, -1).swapaxes(1, 2)  # (channel, coefficient, tap)
        out = []
        for centre in range(0, len(image), stride):
            at = [centre + dilation * (i - weight.shape[2] // 2) for i in range(weight.shape[2])]
            taps = [image[i] if 0 <= i < len(image) else np.zeros(image.shape[1]) for i in at]
            out.append(sum(weight[:, :, i] @ tap for i, tap in enumerate(taps)) + bias)
        image = np.stack(out)
        image = (image - image.mean(1, keepdims=True)) / np.sqrt(image.var(1, keepdims=True) + layer.norm.eps)
        image = np.maximum(image, 0)
    pooled_numbers = np.concatenate([image.mean(0), np.sqrt(image.var(0) + 1e-5)])
    expected = pooled_numbers @ net.classify.weight[0].detach().numpy() + float(net.classify.bias.detach())
    with torch.inference_mode():
        assert float(net(windows)) == pytest.approx(float(expected), abs=1e-4)


def test_a_window_of_any_length_fits_the_same_weights() -> None:
    """Nothing in the network has the length of a window."""
    assert [w.shape for w in make_net("pooled_cnn", 30).parameters()] == [w.shape for w in pooled().parameters()]


# ---------------------------------------------------------------------------------------------------------------------
# Standardised inputs
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_every_network_standardises_its_inputs_first(kind: str) -> None:
    """With the buffers set, raw frames give what standardised frames give with none; no gradient moves a buffer."""
    plain, scaled = make_net(kind, 64).eval(), make_net(kind, 64).eval()
    centre, spread = torch.linspace(-200, 20, N_FEATURES), torch.linspace(60, 0.5, N_FEATURES)
    state = scaled.state_dict()
    state["standardize.centre"].copy_(centre)
    state["standardize.spread"].copy_(spread)
    windows = frames(2, 64)
    with torch.inference_mode():
        torch.testing.assert_close(scaled(windows * spread + centre), plain(windows), atol=1e-3, rtol=1e-3)
    assert not any(name.startswith("standardize") for name, _ in scaled.named_parameters())


def test_without_numbers_nothing_is_changed_and_padding_stays() -> None:
    """The published networks see the very bits; a frame of zeros is no frame at the mean."""
    layer, windows = Standardize(N_FEATURES), frames(2, 8)
    windows[1, 5:] = 0.0
    assert torch.equal(layer(windows), windows)
    layer.centre.fill_(3.0)
    assert (layer(windows)[1, 5:] == 0).all()
    assert torch.equal(layer(windows)[0], windows[0] - 3.0)
