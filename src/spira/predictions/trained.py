"""A trained model, ready to score: a network, or a baseline."""

from typing import NamedTuple

import torch
from torch import nn

from spira.baselines.statistics import Statistics


class Network(NamedTuple):
    """A trained network, and the windows that it is given."""

    net: nn.Module  # (batch, n_frames, n_features) -> (batch,) logits; dropout is off
    n_frames: int  # in a window
    device: torch.device


Model = Network | Statistics
