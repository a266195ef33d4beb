"""Sections of params.yaml for the models; `check` reads them without importing torch."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from spira.base.errors import ParamKeyError
from spira.base.section import FolderName, Section

Probability = Annotated[float, Field(ge=0, lt=1)]
Sizes = Annotated[
    tuple[Annotated[int, Field(gt=0, le=4096)], ...], Field(min_length=1, max_length=100)
]  # one a convolution
Quantile = Annotated[float, Field(gt=0, lt=1)]
PannsKind = Literal["cnn6", "cnn10", "cnn14"]
CpuKernels = Literal["compiled", "torch"]  # see models/build.py; no weight depends on which, but for rounding

_ALL = ("mfcc", "mel", "spectrogram")
FEATURES: dict[str, tuple[str, ...]] = {  # that each kind of model takes
    "spiraconv_v2": _ALL,
    "spiraconv_v1": _ALL,
    "spiraconv": _ALL,
    "cnn6": ("mel",),
    "cnn10": ("mel",),
    "cnn14": ("mel",),
    "mfcc_transformer": ("mfcc",),
    "logistic_regression": _ALL,
}


class SpiraConvParams(Section):
    channels: Sizes  # that each convolution yields
    kernels: Sizes  # frames
    dilations: Sizes  # frames
    norm: Literal["group", "batch"]  # group: in groups of two channels
    hidden: int = Field(gt=0, le=65_536)  # units of the linear layer before the last
    dropout: Probability

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        for name in ("kernels", "dilations"):
            sizes = list(getattr(self, name))
            if len(sizes) != len(self.channels):
                raise ValueError(f"{name}: must be as many as channels={list(self.channels)}, got {sizes}")
        if self.norm == "group" and any(n % 2 for n in self.channels):
            raise ValueError(f"channels: must be even where norm=group, got {list(self.channels)}")
        return self

    def frames_left(self, n_frames: int) -> int:
        """Frames that reach the linear layer; less than 1 where the window is too short."""
        for i, (kernel, dilation) in enumerate(zip(self.kernels, self.dilations, strict=True), start=1):
            n_frames -= dilation * (kernel - 1)
            n_frames = n_frames // 2 if i < len(self.kernels) else n_frames
        return n_frames


V2 = SpiraConvParams(
    channels=(32, 16, 8, 4), kernels=(7, 5, 3, 2), dilations=(2, 2, 2, 1), norm="group", hidden=100, dropout=0.7
)
V1 = V2.model_copy(update={"norm": "batch"})


class Shape(NamedTuple):
    """Sizes of a member of PANNs: CNN6, CNN10 or CNN14."""

    channels: tuple[int, ...]  # of each block
    kernel: int
    n_convolutions: int  # in a block
    n_pooled: int  # blocks, from the first, after which time and frequency are halved

    @property
    def least(self) -> int:
        """The fewest frames, and bands, of which the poolings leave at least one."""
        return int(2**self.n_pooled)


SHAPES: dict[str, Shape] = {
    "cnn6": Shape((64, 128, 256, 512), kernel=5, n_convolutions=1, n_pooled=4),
    "cnn10": Shape((64, 128, 256, 512), kernel=3, n_convolutions=2, n_pooled=4),
    "cnn14": Shape((64, 128, 256, 512, 1024, 2048), kernel=3, n_convolutions=2, n_pooled=5),
}


class MfccTransformerParams(Section):
    width: int = Field(gt=0, le=65_536)  # numbers a frame inside the encoder
    n_layers: int = Field(gt=0, le=100)
    n_heads: int = Field(gt=0, le=1000)
    feed_forward: int = Field(gt=0, le=65_536)  # units between a layer's two linear maps
    dropout: Probability

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % (2 * self.n_heads):
            raise ValueError(f"width: must be a multiple of 2 * n_heads={2 * self.n_heads}, got {self.width}")
        return self


class LogisticRegressionParams(Section):
    # of each coefficient over a window's frames, beside mean and deviation
    quantiles: tuple[Quantile, ...] = Field(max_length=100)
    inverse_penalty: float = Field(gt=0, le=10**9)  # scikit-learn's C; less is smoother


class ModelParams(Section):
    kind: str  # one of FEATURES
    init_from: FolderName  # none, or a file of weights in data/pretrained
    # layers of that file that start fresh
    reinit: tuple[Annotated[str, Field(min_length=1)], ...] = Field(max_length=1000)
    spiraconv: SpiraConvParams
    mfcc_transformer: MfccTransformerParams
    logistic_regression: LogisticRegressionParams

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.kind not in FEATURES:
            raise ValueError(f"kind: must be one of {', '.join(FEATURES)}, got {self.kind!r}")
        if self.init_from != "none" and not self.init_from.endswith((".safetensors", ".pth")):
            raise ValueError(f"init_from: must be none or end in .safetensors or .pth, got {self.init_from!r}")
        if self.reinit and self.init_from == "none":
            raise ValueError(f"reinit: must be [] where model.init_from=none, got {list(self.reinit)}")
        return self

    @property
    def shape(self) -> SpiraConvParams:
        """The sizes of ``kind``, which is a SpiraConv."""
        return {"spiraconv_v2": V2, "spiraconv_v1": V1}.get(self.kind, self.spiraconv)

    @property
    def has_batch_norm(self) -> bool:
        """Whether, in training, a window's logit depends on the other windows of its batch."""
        return self.kind in SHAPES or (self.kind.startswith("spiraconv") and self.shape.norm == "batch")

    def require_room(self, n_frames: int, n_features: int) -> None:
        """Raises ParamKeyError, with the key to change, where a window is too small for the model."""
        key, short = "windows.seconds", f"too short for model.kind={self.kind}: a window has {n_frames} frames"
        if self.kind.startswith("spiraconv") and self.shape.frames_left(n_frames) < 1:
            raise ParamKeyError(key, f"{short}, and its convolutions and poolings leave none")
        if self.kind in SHAPES and n_frames < (least := SHAPES[self.kind].least):
            raise ParamKeyError(key, f"{short}, must have at least {least}")
        if self.kind in SHAPES and n_features < (least := SHAPES[self.kind].least):
            message = f"must be at least {least} for model.kind={self.kind}, got {n_features}"
            raise ParamKeyError("features.n_mels", message)
