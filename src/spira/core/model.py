"""The detector that params.yaml names. A new one is a file, and an entry of ``MODELS``."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator
from torch import nn

from spira.core.logistic_regression import LogisticRegression, LogisticRegressionParams
from spira.core.mfcc_transformer import MfccTransformer, MfccTransformerParams
from spira.core.panns import SHAPES, Panns, PannsKind
from spira.core.section import FolderName, Section
from spira.core.spiraconv import V1, V2, SpiraConv, SpiraConvParams
from spira.errors import ParamError

ALL = ("mfcc", "mel", "spectrogram")


class ModelParams(Section):
    kind: str  # one of MODELS
    init_from: FolderName  # none, or a file of weights in data/pretrained
    reinit: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        max_length=1000
    )  # layers of that file that start fresh
    spiraconv: SpiraConvParams
    mfcc_transformer: MfccTransformerParams
    logistic_regression: LogisticRegressionParams

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.kind not in MODELS:
            raise ValueError(f"kind: must be one of {', '.join(MODELS)}, got {self.kind!r}")
        if self.init_from != "none" and not self.init_from.endswith((".safetensors", ".pth")):
            raise ValueError(f"init_from: must be none or end in .safetensors or .pth, got {self.init_from!r}")
        if self.reinit and self.init_from == "none":
            raise ValueError(f"reinit: must be [] where model.init_from=none, got {list(self.reinit)}")
        return self


class Model(NamedTuple):
    """One kind: the features that it takes, and (parameters, frames, features) -> a fresh network."""

    features: tuple[str, ...]
    build: Callable[[ModelParams, int, int], nn.Module]


def build(p: ModelParams, n_frames: int, n_features: int) -> nn.Module:
    """A fresh model, its weights drawn from torch's generator.

    Args:
        p: which model.
        n_frames: frames in a window.
        n_features: numbers in a frame.

    Returns:
        (batch, n_frames, n_features) -> (batch,) logits of `patient`.

    Raises:
        ParamError: the window is too short for the model, or has too few features.
    """
    return MODELS[p.kind].build(p, n_frames, n_features)


def _spiraconv(p: ModelParams, shape: SpiraConvParams, n_frames: int, n_features: int) -> nn.Module:
    if shape.frames_left(n_frames) < 1:
        raise ParamError(f"windows.seconds: too short for model.kind={p.kind}: {n_frames} frames, and none is left")
    return SpiraConv(shape, n_frames, n_features)


def _panns(kind: PannsKind, n_frames: int, n_features: int) -> nn.Module:
    least = SHAPES[kind].least
    if n_frames < least:
        raise ParamError(f"windows.seconds: too short for model.kind={kind}: {n_frames} frames, fewer than {least}")
    if n_features < least:
        raise ParamError(f"features.n_mels: must be at least {least} for model.kind={kind}, got {n_features}")
    return Panns(kind, n_features, n_outputs=1)


MODELS: dict[str, Model] = {
    "spiraconv_v2": Model(ALL, lambda p, time, width: _spiraconv(p, V2, time, width)),
    "spiraconv_v1": Model(ALL, lambda p, time, width: _spiraconv(p, V1, time, width)),
    "spiraconv": Model(ALL, lambda p, time, width: _spiraconv(p, p.spiraconv, time, width)),
    "cnn6": Model(("mel",), lambda _, time, width: _panns("cnn6", time, width)),
    "cnn10": Model(("mel",), lambda _, time, width: _panns("cnn10", time, width)),
    "cnn14": Model(("mel",), lambda _, time, width: _panns("cnn14", time, width)),
    "mfcc_transformer": Model(("mfcc",), lambda p, time, width: MfccTransformer(p.mfcc_transformer, time, width)),
    "logistic_regression": Model(ALL, lambda p, _, width: LogisticRegression(p.logistic_regression, width)),
}
