"""A trained model on disk: its weights, and all that is needed to use them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spira.adapters.tables import read_json, write_json
from spira.core.model import ModelParams, build
from spira.errors import DataError


def save_model(weights: dict[str, Tensor], facts: Mapping[str, Any], folder: Path) -> None:
    """``weights.safetensors`` (no pickle) and ``model.json`` (parameters of features, windows and model)."""
    write_json(facts, folder / "model.json")
    save_file({name: weights[name].contiguous() for name in sorted(weights)}, folder / "weights.safetensors")


def load_model(folder: Path, device: torch.device) -> nn.Module:
    """The model that ``save_model`` wrote, ready to score: dropout is off.

    Raises:
        DataError: a file is missing, damaged or of another architecture.
    """
    facts = read_json(folder / "model.json")
    weights = folder / "weights.safetensors"
    net = build(ModelParams.model_validate(facts["model"]), facts["n_frames"], facts["n_features"])
    try:
        net.load_state_dict(load_file(weights))
    except FileNotFoundError as error:
        raise DataError(f"{weights}: no such file; run the stage that writes it: dvc repro train") from error
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{weights}: not the weights of model.json beside it: {error}") from error
    return net.to(device).eval()
