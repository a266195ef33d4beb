"""Into which pieces a batch may be cut, and whether they may be learnt from at once."""

from torch import nn


def has_batch_norm(net: nn.Module) -> bool:
    """Whether a window's logit depends, in training, on those beside it in a micro-batch."""
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules())


def is_separable(net: nn.Module) -> bool:
    """Whether micro-batches can be learnt from at once: none sees another's statistics, or shares torch's own draws."""
    return not has_batch_norm(net) and not any(isinstance(module, nn.Dropout) for module in net.modules())


def sizes(n: int, size: int, least: int) -> list[int]:
    """``n`` in pieces of ``size``, the last with the rest; a rest below ``least`` joins the piece before it."""
    pieces = [size] * (n // size) + ([n % size] if n % size else [])
    if len(pieces) > 1 and pieces[-1] < least:
        rest = pieces.pop()
        pieces[-1] += rest
    return pieces
