"""Dropout whose draws cost little."""

import torch
from torch import Tensor, nn

_LEVELS = 2**16  # a draw is 16 bits


class Dropout(nn.Module):
    """``nn.Dropout`` with four elements drawn from each 64-bit number instead of one.

    On a CPU torch draws one number an element, one after the other; at 0.7 after every
    convolution that was a fifth of SpiraConv's training step. The probability is rounded
    to 1 / 65,536.

    ``forward``: any shape; in training each element is 0 with probability ``p`` and
    scaled by 1 / (1 - p) otherwise, in evaluation nothing changes.

    Source:
        Srivastava et al., "Dropout", 2014; ``nn.Dropout`` is the reference in tests/test_dropout.py.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        words = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 4),), device=x.device)
        draws = words.view(torch.int16)[: x.numel()].view(x.shape)  # even over [-32768, 32767]
        kept = draws >= round(self.p * _LEVELS) - _LEVELS // 2
        return x * kept * (1 / (1 - self.p))
