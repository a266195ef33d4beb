"""Every kind of model agrees with its publication, learns one batch, and gives each window one finite logit."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from spira.base.errors import DataError, ParamError
from spira.check.compatibility import MOST_NUMBERS, MOST_WEIGHTS, SIZED
from spira.models.build import MODELS, build
from spira.models.dropout import Dropout
from spira.models.logistic_regression import LogisticRegression
from spira.models.mfcc_transformer import MfccTransformer, sinusoids
from spira.models.panns import Panns
from spira.models.params import FEATURES, PannsKind
from spira.training.gradients import has_batch_norm
from tiny import model_params

pytestmark = pytest.mark.usefixtures("one_thread")
N_FEATURES = 40
SMALL = {"width": 16, "n_layers": 2, "n_heads": 2, "feed_forward": 32, "dropout": 0.0}
DESCENDED = ["spiraconv_v2", "spiraconv_v1", "cnn6", "cnn10", "mfcc_transformer"]  # the others are of these classes


def make_net(kind: str, n_frames: int, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(model_params(kind=kind, mfcc_transformer=SMALL), n_frames, N_FEATURES)


def frames(n: int, n_frames: int) -> torch.Tensor:
    return torch.randn(n, n_frames, N_FEATURES, generator=torch.Generator().manual_seed(0))


def without_dropout(net: torch.nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def n_parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_what_is_said_of_a_kind_without_torch_is_so() -> None:
    """Every kind has its features; and it normalises by batch where its parameters say so."""
    assert MODELS.keys() == FEATURES.keys()
    for kind in MODELS:
        assert has_batch_norm(make_net(kind, 64)) == model_params(kind=kind).has_batch_norm, kind
    general = {**model_params().spiraconv.model_dump(), "norm": "batch"}
    assert model_params(kind="spiraconv", spiraconv=general).has_batch_norm


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in SIZED])
@pytest.mark.parametrize(("n_frames", "n_features"), [(MOST_NUMBERS // 8193, 8193), (MOST_NUMBERS // 40, 40)])
def test_a_published_model_is_never_too_large(kind: str, n_frames: int, n_features: int) -> None:
    """Of the largest windows that are allowed, wide or long: so `check` need not build it to count."""
    with torch.device("meta"):
        net = build(model_params(kind=kind), n_frames, n_features)
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


@pytest.mark.parametrize("kind", DESCENDED)
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
    ("kind", "n_frames"), [("spiraconv_v2", 64), ("spiraconv_v1", 64), ("cnn6", 32), ("mfcc_transformer", 32)]
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
    """A published state dict loads strictly, but for the STFT and mel matrices that features replace here."""
    with torch.device("meta"):
        net = Panns(kind, 64, 527)
    assert {name: list(tensor.shape) for name, tensor in net.state_dict().items()} == published_names(kind)


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
        build(model_params(kind=kind), n_frames, n_mels)


# ---------------------------------------------------------------------------------------------------------------------
# The transformer
# ---------------------------------------------------------------------------------------------------------------------


def test_the_transformer_has_the_weights_of_its_parts() -> None:
    """By the arithmetic of Vaswani et al.: four maps, two norms and a feed-forward a layer; a norm after them."""
    p = model_params().mfcc_transformer
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
# Logistic regression
# ---------------------------------------------------------------------------------------------------------------------


def regression(seed: int = 0) -> LogisticRegression:
    net = make_net("logistic_regression", 64, seed)
    assert isinstance(net, LogisticRegression)
    return net


def test_statistics_are_those_of_the_frames() -> None:
    """Mean, deviation, and each quantile of each coefficient; numpy agrees."""
    windows = frames(2, 64)
    statistics = regression().statistics(windows)
    assert statistics.shape == (2, 7 * N_FEATURES)
    torch.testing.assert_close(statistics[:, :N_FEATURES], windows.mean(dim=1))
    torch.testing.assert_close(statistics[:, N_FEATURES : 2 * N_FEATURES], windows.std(dim=1, correction=0))
    torch.testing.assert_close(statistics[:, 4 * N_FEATURES : 5 * N_FEATURES], windows.quantile(0.5, dim=1))


def test_padding_does_not_count() -> None:
    """A clip has the same statistics padded with zero frames as alone; a window of zeros is finite."""
    net, windows = regression(), frames(2, 64)
    padded = torch.cat([windows, torch.zeros(2, 30, N_FEATURES)], dim=1)
    torch.testing.assert_close(net.statistics(padded), net.statistics(windows))
    assert torch.isfinite(net(torch.zeros(1, 64, N_FEATURES))).all()


def test_the_solution_is_scikit_learns_and_ignores_the_seed() -> None:
    """Two fresh models solve to the same weights, and to its probabilities (float32 rounding)."""
    from sklearn.linear_model import LogisticRegression as Solver

    windows = frames(40, 16)
    labels = (torch.arange(40) % 2).float()
    windows[1::2] += 0.3
    nets = [regression(seed) for seed in (0, 1)]
    for net in nets:
        x = net.statistics(windows)
        net.solve(x, labels, balanced=False)
    assert torch.equal(nets[0].linear.weight, nets[1].linear.weight)
    scaled = ((x - x.mean(0)) / x.std(0, correction=0)).double().numpy()
    expected = Solver(C=model_params().logistic_regression.inverse_penalty).fit(scaled, labels).predict_proba(scaled)
    got = torch.sigmoid(nets[0](windows)).detach()
    torch.testing.assert_close(got, torch.from_numpy(expected[:, 1]).float(), atol=1e-4, rtol=1e-3)


def test_balanced_classes_raise_the_rare_ones_scores() -> None:
    """``train.balance=loss`` reaches the solver."""
    windows, labels = frames(40, 16), (torch.arange(40) < 4).float()
    means = []
    for balanced in (False, True):
        net = regression()
        net.solve(net.statistics(windows), labels, balanced=balanced)
        means.append(float(torch.sigmoid(net(windows)).detach().mean()))
    assert means[0] < 0.2 < means[1]


def test_one_class_is_an_error_and_not_a_model() -> None:
    """A message in place of scikit-learn's traceback."""
    net = regression()
    with pytest.raises(DataError, match="needs windows of both classes, patient and control, got one"):
        net.solve(net.statistics(frames(4, 16)), torch.ones(4), balanced=False)
