"""Trained models on disk: the weights, and the parameters that are needed to use them."""

import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.tables import read_json, write_json
from spira.models.build import build, with_cpu_kernels
from spira.models.params import CpuKernels, ModelParams

# What torch.load and safetensors raise for a file that is cut short, is an error page, or carries code.
_UNREADABLE = (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, OSError, LookupError, TypeError)


def save_model(weights: dict[str, Tensor], facts: Mapping[str, Any], folder: Path) -> None:
    """Writes ``weights.safetensors`` (no pickle) and ``model.json`` (parameters of features, windows and model)."""
    _require_finite(weights, folder / "weights.safetensors")
    write_json(facts, folder / "model.json")
    tensors = {name: weights[name].contiguous() for name in sorted(weights)}
    write_bytes(save(tensors), folder / "weights.safetensors")


def load_model(folder: Path, device: torch.device, kernels: CpuKernels) -> nn.Module:
    """The model that ``save_model`` wrote, ready to score: dropout is off.

    Raises:
        DataError: a file is missing or damaged, the weights fit another architecture, or one is not finite.
    """
    facts = read_json(folder / "model.json")
    weights = folder / "weights.safetensors"
    model = ModelParams.model_validate_json(json.dumps(facts["model"], allow_nan=False))
    net = build(model, facts["n_frames"], facts["n_features"])
    try:
        net.load_state_dict(_require_finite(load_file(weights), weights))
    except FileNotFoundError as error:
        raise DataError(f"{weights}: no such file; the stage train writes it: dvc repro train") from error
    except (SafetensorError, RuntimeError) as error:
        raise DataError(
            f"{weights}: the weights do not fit the network that model.json beside it describes: {error}"
        ) from error
    return with_cpu_kernels(net, kernels).to(device).eval()


def frames_in_window(folder: Path) -> int:
    """The length of the windows that a saved model was trained on."""
    return int(read_json(folder / "model.json")["n_frames"])


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a PANNs ``.pth``, whose pickle may hold nothing but tensors.

    Raises:
        DataError: the file is missing, damaged, or holds something other than named, finite tensors.
    """
    try:
        plain = path.suffix == ".safetensors"
        held = load_file(path) if plain else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; put it there and `dvc add` it, or set model.init_from=none") from error
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
    return _require_finite({str(name): tensor for name, tensor in held.items()}, path)


def _require_finite(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Returns the weights; raises DataError, with the names of those that hold NaN or infinity."""
    if odd := [name for name, tensor in weights.items() if not tensor.isfinite().all()]:
        raise DataError(f"{path}: weights must be finite, got NaN or infinity in {', '.join(odd)}")
    return weights
