"""Contradictions between the sections of params.yaml that describe a model and its training."""

from collections.abc import Iterator

from spira.base.errors import ParamKeyError
from spira.features.params import FeatureParams
from spira.models.params import FEATURES, ModelsParams, NetworkParams
from spira.training.params import TrainParams

Problem = tuple[str, str]  # dotted key, message
# whose numbers are in params.yaml; the published ones cannot be too large
SIZED = ("pooled_cnn", "spiraconv", "mfcc_transformer")
MOST_NUMBERS, MOST_WEIGHTS = 10**7, 10**9  # in a window, 40 MB; of a model, 4 GB, twelve times the largest published


def contradictions(
    models: ModelsParams,
    network: NetworkParams,
    train: TrainParams,
    features: FeatureParams,
    *,
    n_frames: int,
    n_features: int,
) -> Iterator[Problem]:
    """Yields each setting that another makes impossible, with both named; none when training can begin.

    Args:
        n_frames: in a window, or the fewest that it may have.
        n_features: in a frame.
    """
    wrong = [(name, FEATURES[name]) for name in models.names if features.kind not in FEATURES[name]]
    for name, takes in wrong:
        yield "features.kind", f"must be {' or '.join(takes)} for the model {name}, got {features.kind!r}"
    if wrong or not models.networks:
        return
    if n_frames * n_features > MOST_NUMBERS:
        yield (
            "windows.seconds",
            f"a window must hold at most {MOST_NUMBERS} numbers, got {n_frames} frames of {n_features} features",
        )
        return
    if network.init_from != "none" and len(models.networks) > 1:
        yield (
            "network.init_from",
            f"must be none where models.networks has more than one, for a file has the weights of one, "
            f"got {network.init_from!r}",
        )
        return
    for kind in models.networks:
        yield from _network_problems(kind, network, train, n_frames, n_features)
    yield from _mask_problems(train, n_frames, n_features)


def _network_problems(
    kind: str, network: NetworkParams, train: TrainParams, n_frames: int, n_features: int
) -> Iterator[Problem]:
    try:
        network.require_room(kind, n_frames, n_features)
    except ParamKeyError as error:
        yield error.key, error.message
        return
    if kind == "pooled_cnn":
        yield from _size_problems(kind, network.pooled_cnn.n_weights(n_features))
    if network.reinit or kind in ("spiraconv", "mfcc_transformer"):
        yield from _layer_problems(kind, network, n_frames, n_features)
    if network.has_batch_norm(kind) and min(train.micro_batch_size, train.batch_size) < 2:
        key = "micro_batch_size" if train.micro_batch_size < 2 else "batch_size"
        yield f"train.{key}", f"must be at least 2 for the network {kind}, which normalises by batch, got 1"


def _size_problems(kind: str, n_weights: int) -> Iterator[Problem]:
    if n_weights > MOST_WEIGHTS:
        yield f"network.{kind}", f"the network must have at most {MOST_WEIGHTS} weights, got {n_weights}"


def _layer_problems(kind: str, network: NetworkParams, n_frames: int, n_features: int) -> Iterator[Problem]:
    import torch  # a second and a half, which no other setting needs to wait for

    from spira.models.build import build
    from spira.training.pretrained import tensors_in_layers

    with torch.device("meta"):  # shapes without numbers
        net = build(kind, network, n_frames, n_features)
    yield from _size_problems(kind, sum(weight.numel() for weight in net.parameters()))
    known = f"known: {', '.join(name for name, _ in net.named_children())}, and what they hold"
    for layer in network.reinit:
        if not tensors_in_layers(net.state_dict(), [layer]):
            yield "network.reinit", f"must name layers of the network {kind}, got {layer!r}; {known}"


def _mask_problems(train: TrainParams, n_frames: int, n_features: int) -> Iterator[Problem]:
    p = train.spec_augment
    if p.n_time_masks and p.time_width >= n_frames:
        yield (
            "train.spec_augment.time_width",
            f"must be less than the {n_frames} frames of windows.seconds, got {p.time_width}",
        )
    if p.n_frequency_masks and p.frequency_width >= n_features:
        yield (
            "train.spec_augment.frequency_width",
            f"must be less than the {n_features} numbers that features.kind gives a frame, got {p.frequency_width}",
        )
