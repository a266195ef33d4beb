"""The detector that params.yaml names. A new one is a file, an entry of ``MODELS``, and one of ``FEATURES``."""

from collections.abc import Callable

from torch import nn

from spira.models.logistic_regression import LogisticRegression
from spira.models.mfcc_transformer import MfccTransformer
from spira.models.panns import Panns
from spira.models.params import CpuKernels, ModelParams
from spira.models.spiraconv import SpiraConv


def build(p: ModelParams, n_frames: int, n_features: int) -> nn.Module:
    """A fresh model of torch's own layers, its weights drawn from torch's generator.

    Args:
        p: which model.
        n_frames: frames in a window.
        n_features: numbers in a frame.

    Returns:
        (batch, n_frames, n_features) -> (batch,) logits of `patient`.

    Raises:
        ParamError: the window is too short for the model, or has too few features.
    """
    p.require_room(n_frames, n_features)
    return MODELS[p.kind](p, n_frames, n_features)


def with_cpu_kernels(net: nn.Module, kernels: CpuKernels) -> nn.Module:
    """The same network with the same weights, computed on a CPU by torch or by what numba compiles.

    The numbers agree to float32 rounding. This is the only place that imports models/cpu; without that folder
    ``torch`` still trains and predicts, in four times the CPU time, and numba is not needed.
    """
    if kernels == "compiled":
        from spira.models.cpu.layers import use_compiled_layers

        use_compiled_layers(net)
    return net


Build = Callable[[ModelParams, int, int], nn.Module]  # (parameters, frames, features) -> a fresh network

MODELS: dict[str, Build] = {
    "spiraconv_v2": lambda p, time, width: SpiraConv(p.shape, time, width),
    "spiraconv_v1": lambda p, time, width: SpiraConv(p.shape, time, width),
    "spiraconv": lambda p, time, width: SpiraConv(p.shape, time, width),
    "cnn6": lambda _, __, width: Panns("cnn6", width, n_outputs=1),
    "cnn10": lambda _, __, width: Panns("cnn10", width, n_outputs=1),
    "cnn14": lambda _, __, width: Panns("cnn14", width, n_outputs=1),
    "mfcc_transformer": lambda p, time, width: MfccTransformer(p.mfcc_transformer, time, width),
    "logistic_regression": lambda p, _, width: LogisticRegression(p.logistic_regression, width),
}
