"""How a batch is cut into micro-batches, and whether they can be computed in parallel."""

from torch import nn


def has_batch_norm(net: nn.Module) -> bool:
    """Whether, in training, a window's logit depends on the other windows of its micro-batch."""
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules())


def is_separable(net: nn.Module) -> bool:
    """Whether micro-batches can run in parallel: none sees another's statistics, or shares torch's own draws."""
    return not has_batch_norm(net) and not any(isinstance(module, nn.Dropout) for module in net.modules())


def batch_sizes(n_windows: int, size: int, smallest: int) -> list[int]:
    """Cuts windows into batches of ``size`` and a rest, or a batch into micro-batches.

    A rest smaller than ``smallest`` joins the batch before it.
    """
    sizes = [size] * (n_windows // size) + ([n_windows % size] if n_windows % size else [])
    if len(sizes) > 1 and sizes[-1] < smallest:
        rest = sizes.pop()
        sizes[-1] += rest
    return sizes
