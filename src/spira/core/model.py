"""The detector that params.yaml names."""

from typing import Literal

from torch import nn

from spira.core.section import Section
from spira.core.spiraconv import SpiraConvV2, frames_after_convolutions
from spira.errors import ParamError


class ModelParams(Section):
    kind: Literal["spiraconv_v2"]


def build(p: ModelParams, n_frames: int, n_features: int) -> nn.Module:
    """A fresh model, its weights drawn from torch's generator.

    Args:
        p: which model.
        n_frames: frames in a window.
        n_features: numbers in a frame.

    Returns:
        (batch, n_frames, n_features) -> (batch,) logits of `patient`.

    Raises:
        ParamError: the window is too short for the model.
    """
    if frames_after_convolutions(n_frames) < 1:
        raise ParamError(f"windows.seconds: too short for model.kind={p.kind}: {n_frames} frames, and none is left")
    return SpiraConvV2(n_frames, n_features)
