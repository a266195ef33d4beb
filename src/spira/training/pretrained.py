"""Start a network from weights that were trained elsewhere, and list which of them were used."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from spira.base.errors import DataError


class Adopted(NamedTuple):
    """Names of tensors by what became of them; the first three are the network's, the last two the file's."""

    matched: tuple[str, ...]  # taken from the file
    reinit: tuple[str, ...]  # fresh, as asked
    fresh: tuple[str, ...]  # fresh, for the file has none that fits
    misfits: tuple[str, ...]  # in both, of another shape: "name: file's shape, network's shape"
    unused: tuple[str, ...]  # only in the file

    def __str__(self) -> str:
        return "\n".join(
            f"  {name}: {len(names)} {', '.join(names)}".rstrip() for name, names in self._asdict().items()
        )


def tensors_in_layers(names: Iterable[str], layers: Iterable[str]) -> set[str]:
    """The names of tensors in one of the layers: ``conv.0`` has ``conv.0.weight``, never ``conv.01.weight``."""
    layers = tuple(layers)
    return {name for name in names if any(name == layer or name.startswith(f"{layer}.") for layer in layers)}


def adopt(net: nn.Module, weights: Mapping[str, Tensor], reinit: Iterable[str]) -> Adopted:
    """Copies every tensor whose name and shape fit into the network; the others keep what they are.

    Args:
        net: fresh, of any kind.
        weights: by the names that the network gives them, parameters and buffers alike.
        reinit: layers whose tensors are not to be taken.

    Raises:
        DataError: no parameter fits: the weights belong to another network. A buffer alone, such as the scale of the
            inputs, fits any.
    """
    own = net.state_dict()
    asked = tensors_in_layers(own, reinit)
    both = [name for name in own if name in weights and name not in asked]
    matched = [name for name in both if own[name].shape == weights[name].shape]
    parameters = [name for name, _ in net.named_parameters()]
    if not set(parameters).intersection(matched):
        raise DataError(
            f"no weight fits the network: the file has {_listed(weights)}; the network has {_listed(parameters)}. "
            "Is it one of models.networks that the file was saved from?"
        )
    net.load_state_dict({name: weights[name] for name in matched}, strict=False)
    misfits = [f"{n}: {list(weights[n].shape)}, {list(own[n].shape)}" for n in both if n not in matched]
    fresh = [name for name in own if name not in matched and name not in asked]
    unused = [name for name in weights if name not in own]
    return Adopted(*map(tuple, (matched, [n for n in own if n in asked], fresh, misfits, unused)))


def _listed(names: Iterable[str], n: int = 3) -> str:
    listed = list(names)
    return ", ".join(listed[:n]) + (f" and {len(listed) - n} more" if len(listed) > n else "")
