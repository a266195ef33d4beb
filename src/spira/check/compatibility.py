"""Contradictions between the sections of params.yaml that describe a model and its training."""

from collections.abc import Iterator

from spira.base.errors import ParamKeyError
from spira.features.params import FeatureParams
from spira.models.params import FEATURES, ModelParams
from spira.training.params import TrainParams

Problem = tuple[str, str]  # dotted key, message
SIZED = ("spiraconv", "mfcc_transformer")  # whose numbers are in params.yaml; the published ones cannot be too large
MOST_NUMBERS, MOST_WEIGHTS = 10**7, 10**9  # in a window, 40 MB; of a model, 4 GB, twelve times the largest published


def contradictions(
    model: ModelParams, train: TrainParams, features: FeatureParams, *, n_frames: int, n_features: int
) -> Iterator[Problem]:
    """Yields each setting that another makes impossible, with both named; none when training can begin.

    Args:
        n_frames: in a window, or the fewest that it may have.
        n_features: in a frame.
    """
    takes = FEATURES[model.kind]
    if features.kind not in takes:
        yield "features.kind", f"must be {' or '.join(takes)} for model.kind={model.kind}, got {features.kind!r}"
        return
    if n_frames * n_features > MOST_NUMBERS:
        yield (
            "windows.seconds",
            f"a window must hold at most {MOST_NUMBERS} numbers, got {n_frames} frames of {n_features} features",
        )
        return
    try:
        model.require_room(n_frames, n_features)
    except ParamKeyError as error:
        yield error.key, error.message
        return
    if model.reinit or model.kind in SIZED:
        yield from _network_problems(model, n_frames, n_features)
    if model.has_batch_norm and min(train.micro_batch_size, train.batch_size) < 2:
        key = "micro_batch_size" if train.micro_batch_size < 2 else "batch_size"
        yield f"train.{key}", f"must be at least 2 for model.kind={model.kind}, which normalises by batch, got 1"
    yield from _mask_problems(train, n_frames, n_features)
    if model.kind == "logistic_regression":
        yield from _solver_problems(model, train)


def _network_problems(model: ModelParams, n_frames: int, n_features: int) -> Iterator[Problem]:
    import torch  # a second and a half, which no other setting needs to wait for

    from spira.models.build import build
    from spira.training.pretrained import tensors_in_layers

    with torch.device("meta"):  # shapes without numbers
        net = build(model, n_frames, n_features)
    if (n_weights := sum(weight.numel() for weight in net.parameters())) > MOST_WEIGHTS:
        yield (
            "model.kind",
            f"the network must have at most {MOST_WEIGHTS} weights, got {n_weights} for {model.kind}",
        )
    known = f"known: {', '.join(name for name, _ in net.named_children())}, and what they hold"
    for layer in model.reinit:
        if not tensors_in_layers(net.state_dict(), [layer]):
            yield "model.reinit", f"must name layers of model.kind={model.kind}, got {layer!r}; {known}"


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


def _solver_problems(model: ModelParams, train: TrainParams) -> Iterator[Problem]:
    """Settings of epochs, for a model that is solved at once and has none."""
    p = train.spec_augment
    neutral = {
        "model.init_from": (model.init_from, "none"),
        "train.windows": (train.windows, "overlap or whole" if train.windows == "random" else train.windows),
        "train.balance": (train.balance, "none or loss" if train.balance == "sampler" else train.balance),
        "train.mixup_alpha": (train.mixup_alpha, 0),
        "train.label_smoothing": (train.label_smoothing, 0),
        "train.spec_augment.n_time_masks": (p.n_time_masks, 0),
        "train.spec_augment.n_frequency_masks": (p.n_frequency_masks, 0),
    }
    for key, (got, allowed) in neutral.items():
        if got != allowed:
            yield (
                key,
                f"must be {allowed} for model.kind=logistic_regression, which has no epochs, got {got}",
            )
