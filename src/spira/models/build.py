"""The network of a name. A new one is a file, an entry of ``MODELS``, and one of ``NETWORKS`` in models/params.py."""

from collections.abc import Callable

from torch import nn

from spira.models.mfcc_transformer import MfccTransformer
from spira.models.panns import Panns
from spira.models.params import CpuKernels, NetworkParams
from spira.models.pooled_cnn import PooledCnn
from spira.models.spiraconv import SpiraConv


def build(kind: str, p: NetworkParams, n_frames: int, n_features: int) -> nn.Module:
    """A fresh network of torch's own layers, its weights drawn from torch's generator.

    Args:
        kind: its name, one of ``MODELS``.
        p: the settings of all networks.
        n_frames: frames in a window.
        n_features: numbers in a frame.

    Returns:
        (batch, n_frames, n_features) -> (batch,) logits of `patient`. Its ``standardize`` changes nothing yet.

    Raises:
        ParamError: the window is too short for the network, or has too few features.
    """
    p.require_room(kind, n_frames, n_features)
    return MODELS[kind](kind, p, n_frames, n_features)


def with_cpu_kernels(net: nn.Module, kernels: CpuKernels) -> nn.Module:
    """The same network with the same weights, computed on a CPU by torch or by what numba compiles.

    The numbers agree to float32 rounding. This is the only place that imports models/cpu; without that folder
    ``torch`` still trains and predicts, in four times the CPU time, and numba is not needed.
    """
    if kernels == "compiled":
        from spira.models.cpu.layers import use_compiled_layers

        use_compiled_layers(net)
    return net


# (name, settings, frames, features) -> a fresh network
Build = Callable[[str, NetworkParams, int, int], nn.Module]

MODELS: dict[str, Build] = {
    "pooled_cnn": lambda _, p, __, width: PooledCnn(p.pooled_cnn, width),
    "spiraconv_v2": lambda kind, p, time, width: SpiraConv(p.shape(kind), time, width),
    "spiraconv_v1": lambda kind, p, time, width: SpiraConv(p.shape(kind), time, width),
    "spiraconv": lambda kind, p, time, width: SpiraConv(p.shape(kind), time, width),
    "cnn6": lambda _, __, ___, width: Panns("cnn6", width, n_outputs=1),
    "cnn10": lambda _, __, ___, width: Panns("cnn10", width, n_outputs=1),
    "cnn14": lambda _, __, ___, width: Panns("cnn14", width, n_outputs=1),
    "mfcc_transformer": lambda _, p, time, width: MfccTransformer(p.mfcc_transformer, time, width),
}
