"""Weights on disk: of a trained model, with the parameters that are needed to use it, and of a file to start from."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.tables import write_json

HELD_OUT = "held_out"  # folder in a baseline's: the same fitted without some validation speakers, one folder each
# What torch.load and safetensors raise for a file that is cut short, is an error page, or carries code.
_UNREADABLE = (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, OSError, LookupError, TypeError)


def save_model(weights: dict[str, Tensor], facts: Mapping[str, Any], folder: Path) -> None:
    """Writes ``weights.safetensors`` (no pickle) and ``model.json`` (parameters of features and model, and results).

    predictions/loading.py reads them.
    """
    require_finite(weights, folder / "weights.safetensors")
    write_json(facts, folder / "model.json")
    tensors = {name: weights[name].contiguous() for name in sorted(weights)}
    write_bytes(save(tensors), folder / "weights.safetensors")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a PANNs ``.pth``, whose pickle may hold nothing but tensors.

    Raises:
        DataError: the file is missing, damaged, or holds something other than named, finite tensors.
    """
    try:
        plain = path.suffix == ".safetensors"
        held = load_file(path) if plain else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; put it there and `dvc add` it, or set network.init_from=none"
        ) from error
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: must hold weights and nothing else, as .safetensors or PANNs' .pth: {reason}"
        ) from error
    held = held.get("model", held) if isinstance(held, dict) and not plain else held
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise DataError(
            f"{path}: must hold named tensors, or {{'model': named tensors}} as PANNs' files do, got something else"
        )
    return require_finite({str(name): tensor for name, tensor in held.items()}, path)


def require_finite(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Returns the weights; raises DataError, with the names of those that hold NaN or infinity."""
    if odd := [name for name, tensor in weights.items() if not tensor.isfinite().all()]:
        raise DataError(f"{path}: weights must be finite, got NaN or infinity in {', '.join(odd)}")
    return weights
