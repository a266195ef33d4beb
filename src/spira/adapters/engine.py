"""The device that computes, and how exactly it repeats itself."""

from typing import Literal

import torch

from spira.errors import ParamError


def prepare(device: Literal["auto", "cpu", "cuda"], seed: int) -> torch.device:
    """The device, with torch's generators seeded and its algorithms deterministic.

    Raises:
        ParamError: CUDA was asked for by name and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ParamError("train.device: cuda was asked for, but torch finds no CUDA device; auto takes what there is")
    chosen = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)  # initial weights and dropout draw from it
    torch.use_deterministic_algorithms(mode=True)
    torch.set_flush_denormal(True)
    return chosen
