"""Sections of params.yaml for the models; `check` reads them without importing torch."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from spira.base.errors import ParamKeyError
from spira.base.section import FolderName, Section, Seed

Probability = Annotated[float, Field(ge=0, lt=1)]
Sizes = Annotated[
    tuple[Annotated[int, Field(gt=0, le=4096)], ...], Field(min_length=1, max_length=100)
]  # one a convolution
PannsKind = Literal["cnn6", "cnn10", "cnn14"]
Block = Literal["small", "large"]  # of statistics: see baselines/statistics.py
InversePenalty = Annotated[float, Field(gt=0, le=10**9)]  # scikit-learn's C; less is smoother
CpuKernels = Literal["compiled", "torch"]  # see models/build.py; no weight depends on which, but for rounding

_ALL = ("mfcc", "mel", "spectrogram", "embedding")
NETWORKS: dict[str, tuple[str, ...]] = {  # and the features that each takes
    "pooled_cnn": _ALL,
    "spiraconv_v2": _ALL,
    "spiraconv_v1": _ALL,
    "spiraconv": _ALL,
    "cnn6": ("mel",),
    "cnn10": ("mel",),
    "cnn14": ("mel",),
    "mfcc_transformer": ("mfcc",),
}
BASELINES: dict[str, tuple[str, ...]] = {"statistics": _ALL}
FEATURES = {**NETWORKS, **BASELINES}
Kinds = Annotated[tuple[str, ...], Field(max_length=20)]


class ModelsParams(Section):
    networks: Kinds  # of NETWORKS; each is trained once a fold and seed
    baselines: Kinds  # of BASELINES; each is fitted once a fold

    @model_validator(mode="after")
    def _known(self) -> Self:
        for key, kinds in (("networks", NETWORKS), ("baselines", BASELINES)):
            named: tuple[str, ...] = getattr(self, key)
            if unknown := [name for name in named if name not in kinds]:
                raise ValueError(f"{key}: must each be one of {', '.join(kinds)}, got {unknown[0]!r}")
            if len(set(named)) < len(named):
                raise ValueError(f"{key}: must differ from each other, got {list(named)}")
        if not self.names:
            raise ValueError("networks: must name a model where models.baselines=[], got []")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of all models, in the order of tables and pages."""
        return (*self.networks, *self.baselines)

    def trainings(self, seeds: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
        """(model, seed) of every training in a fold; nothing in a baseline is drawn, and its seed is 0."""
        trained = ((network, seed) for network in self.networks for seed in seeds)
        return (*trained, *((baseline, 0) for baseline in self.baselines))


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


class PooledCnnParams(Section):
    channels: Sizes  # that each convolution yields
    kernels: Sizes  # frames; odd, so that each is centred on a frame
    strides: Sizes  # frames from one centre to the next
    dilations: Sizes  # frames
    dropout: Probability

    @model_validator(mode="after")
    def _layers(self) -> Self:
        for name in ("kernels", "strides", "dilations"):
            sizes = list(getattr(self, name))
            if len(sizes) != len(self.channels):
                raise ValueError(f"{name}: must be as many as channels={list(self.channels)}, got {sizes}")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels: must be odd, got {list(self.kernels)}")
        return self

    def n_weights(self, n_features: int) -> int:
        """Of the network: each convolution with its bias and normalisation, and the linear layer."""
        sizes = zip((n_features, *self.channels), self.channels, self.kernels, strict=False)
        return sum((kernel * n_in + 3) * n_out for n_in, n_out, kernel in sizes) + 2 * self.channels[-1] + 1


class NetworkParams(Section):
    init_from: FolderName  # none, or a file of weights in data/pretrained
    # layers of that file that start fresh
    reinit: tuple[Annotated[str, Field(min_length=1)], ...] = Field(max_length=1000)
    standardize: bool  # whether each coefficient is brought to mean 0 and deviation 1 over the training frames
    pooled_cnn: PooledCnnParams
    spiraconv: SpiraConvParams
    mfcc_transformer: MfccTransformerParams

    @model_validator(mode="after")
    def _start(self) -> Self:
        if self.init_from != "none" and not self.init_from.endswith((".safetensors", ".pth")):
            raise ValueError(f"init_from: must be none or end in .safetensors or .pth, got {self.init_from!r}")
        if self.reinit and self.init_from == "none":
            raise ValueError(f"reinit: must be [] where network.init_from=none, got {list(self.reinit)}")
        return self

    def shape(self, kind: str) -> SpiraConvParams:
        """The sizes of a SpiraConv."""
        return {"spiraconv_v2": V2, "spiraconv_v1": V1}.get(kind, self.spiraconv)

    def has_batch_norm(self, kind: str) -> bool:
        """Whether, in training, a window's logit depends on the other windows of its batch."""
        return kind in SHAPES or (kind.startswith("spiraconv") and self.shape(kind).norm == "batch")

    def require_room(self, kind: str, n_frames: int, n_features: int) -> None:
        """Raises ParamKeyError, with the key to change, where a window is too small for the network."""
        key, short = "windows.seconds", f"too short for the network {kind}: a window has {n_frames} frames"
        if kind.startswith("spiraconv") and self.shape(kind).frames_left(n_frames) < 1:
            raise ParamKeyError(key, f"{short}, and its convolutions and poolings leave none")
        if kind in SHAPES and n_frames < (least := SHAPES[kind].least):
            raise ParamKeyError(key, f"{short}, must have at least {least}")
        if kind in SHAPES and n_features < (least := SHAPES[kind].least):
            raise ParamKeyError("features.n_mels", f"must be at least {least} for the network {kind}, got {n_features}")


class StatisticsParams(Section):
    blocks: Annotated[tuple[Block, ...], Field(min_length=1, max_length=10)]  # of statistics; inner folds select one
    inverse_penalties: Annotated[tuple[InversePenalty, ...], Field(min_length=1, max_length=100)]  # and one of these
    n_inner_folds: int = Field(ge=2, le=20)  # of the training clips, by speaker
    seed: Seed  # of the inner folds

    @model_validator(mode="after")
    def _choices(self) -> Self:
        for name in ("blocks", "inverse_penalties"):
            choices = list(getattr(self, name))
            if len(set(choices)) < len(choices):
                raise ValueError(f"{name}: must differ from each other, got {choices}")
        return self


class BaselineParams(Section):
    statistics: StatisticsParams
