"""How a batch is cut into micro-batches, whether they can be computed in parallel, and how gradients are added."""

from collections.abc import Sequence

from torch import Tensor, nn


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


def branch(n_leaves: int, node: int, n_nodes: int) -> slice:
    """The leaves below one of the ``n_nodes`` nodes of a level, a power of two, of the binary tree over all leaves.

    It may have none where there are fewer leaves than nodes. Of five leaves::

        |          0 1 2 3 4          |   1 node
        |     0 1     |     2 3 4     |   2
        |  0   |  1   |  2   |  3 4   |   4
    """
    return slice(node * n_leaves // n_nodes, (node + 1) * n_leaves // n_nodes)


def tree_sum(
    leaves: Sequence[Sequence[Tensor]], n_leaves: int, node: int = 0, n_nodes: int = 1
) -> Sequence[Tensor] | None:
    """The sum below a node of the tree, of some tensors a leaf; None where it has no leaf. It overwrites the leaves.

    The order of the additions follows from ``n_leaves`` alone, so the sum's bytes do not depend on who adds what.

    Args:
        leaves: those below the node.
        n_leaves: of the whole tree.
        node: in [0, n_nodes).
        n_nodes: of its level, a power of two.
    """
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    first, middle = (branch(n_leaves, 2 * node + side, 2 * n_nodes).start for side in (0, 1))
    left = tree_sum(leaves[: middle - first], n_leaves, 2 * node, 2 * n_nodes)
    right = tree_sum(leaves[middle - first :], n_leaves, 2 * node + 1, 2 * n_nodes)
    return [a.add_(b) for a, b in zip(left or (), right or (), strict=True)]
