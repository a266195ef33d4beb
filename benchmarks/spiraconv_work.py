"""What an epoch of SpiraConv asks of any device at the least: floating-point operations, and bytes of memory traffic.

Conventions:
    FLOPs   of convolutions and linear layers, 2 a multiplication with its addition; normalisation, Mish, pooling,
            dropout and the optimizer are not counted.
    bytes   of large tensors, as if each kernel read and wrote them once and nothing stayed in a cache. A kernel is a
            convolution, a linear layer, or all that lies between two convolutions: it reads the convolution's result
            once for its statistics and once for its values. Frames that windows share are read for each of them.
    Bytes are of float32. In bfloat16 half of them are counted, as if weights and optimizer too were kept in it, and
    every operation at the rate of bfloat16.
"""

from math import prod
from typing import Literal, NamedTuple

from spira.models.params import SpiraConvParams

_SIZE = 4  # bytes of a float32
# Forward and backward each read a weight, and its gradient is written; Adam reads weight, gradient and two moments,
# and writes all but the gradient.
_PASSES_OVER_WEIGHTS = 3 + 4 + 3


class Layer(NamedTuple):
    """A convolution and what follows it up to the next, for one window."""

    n_weights: int  # the normalisation's too
    macs: int  # multiplications with their addition, one way
    n_in: int  # values that enter,
    n_convolved: int  # that the convolution yields,
    n_out: int  # and that the next one is given


class Work(NamedTuple):
    flops: int
    n_bytes: int  # in float32


class Limits(NamedTuple):
    """What a device was measured to do."""

    float32: float  # FLOP/s of a large product
    bfloat16: float  # FLOP/s of a large product
    copy: float  # bytes/s, read and written, of a large copy


class Least(NamedTuple):
    limit: Literal["bytes", "FLOPs"]  # which of the two takes longer
    seconds: float


def spiraconv_layers(p: SpiraConvParams, n_frames: int, n_features: int) -> list[Layer]:
    """Every convolution's sizes, first to last."""
    layers, channels = [], (1, *p.channels)
    for i, (n_out, kernel, dilation) in enumerate(zip(p.channels, p.kernels, p.dilations, strict=True)):
        n_left = n_frames - dilation * (kernel - 1)
        n_next = n_left if i == len(p.channels) - 1 else n_left // 2
        taps = channels[i] * n_out * kernel
        sizes = (channels[i] * n_frames, n_out * n_left, n_out * n_next)
        layers.append(Layer(taps + 3 * n_out, taps * n_left * n_features, *(n * n_features for n in sizes)))
        n_frames = n_next
    return layers


def spiraconv_work(p: SpiraConvParams, n_windows: int, n_steps: int, *, n_frames: int, n_features: int) -> Work:
    """Forward, backward and optimizer, ``n_windows`` in ``n_steps``."""
    layers = spiraconv_layers(p, n_frames, n_features)
    # Forward, by weights and by values; nobody asks for the gradient by the features.
    convolutions = sum(2 * layer.macs * (2 if i == 0 else 3) for i, layer in enumerate(layers))
    shapes = [(layers[-1].n_out, p.hidden), (p.hidden, 1)]
    linear = sum(2 * prod(shape) * 3 for shape in shapes)
    n_weights = sum(layer.n_weights for layer in layers) + sum(prod(shape) + shape[1] for shape in shapes)
    values = sum(_values(layer, first=i == 0) for i, layer in enumerate(layers))
    n_bytes = _SIZE * (n_windows * values + n_steps * n_weights * _PASSES_OVER_WEIGHTS)
    return Work(n_windows * (convolutions + linear), n_bytes)


def _values(layer: Layer, *, first: bool) -> int:
    """Values read and written for one window in one layer."""
    forward = (layer.n_in + layer.n_convolved) + (2 * layer.n_convolved + layer.n_out)
    between = layer.n_out + 2 * layer.n_convolved + layer.n_convolved  # writes the gradient by the convolution's result
    by_weights = layer.n_convolved + layer.n_in
    by_values = 0 if first else layer.n_convolved + layer.n_in
    return forward + between + by_weights + by_values


def least(work: Work, limits: Limits, precision: Literal["float32", "bfloat16"]) -> Least:
    """No faster can it be done without a cache, if bytes and operations overlap entirely."""
    half = precision == "bfloat16"
    computed = work.flops / (limits.bfloat16 if half else limits.float32)
    moved = work.n_bytes / limits.copy / (2 if half else 1)
    return Least("bytes", moved) if moved >= computed else Least("FLOPs", computed)
