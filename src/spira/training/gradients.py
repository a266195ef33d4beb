"""How a batch is cut into micro-batches, and whether they can be computed in parallel."""

from torch import nn


def has_batch_norm(net: nn.Module) -> bool:
    """Whether, in training, a window's logit depends on the other windows of its micro-batch."""
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules())


def is_separable(net: nn.Module) -> bool:
    """Whether micro-batches can run in parallel: none sees another's statistics, or shares torch's own draws."""
    return not has_batch_norm(net) and not any(isinstance(module, nn.Dropout) for module in net.modules())


def piece_sizes(n: int, size: int, least: int) -> list[int]:
    """Cuts ``n`` into pieces of ``size`` and a rest; a rest below ``least`` joins the piece before it."""
    pieces = [size] * (n // size) + ([n % size] if n % size else [])
    if len(pieces) > 1 and pieces[-1] < least:
        rest = pieces.pop()
        pieces[-1] += rest
    return pieces
