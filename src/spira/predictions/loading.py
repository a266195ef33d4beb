"""A trained model's folder -> the model, ready to score."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from spira.base.array_types import Floats
from spira.base.errors import DataError
from spira.base.tables import read_json
from spira.baselines.statistics import FrameLayout, Regression, Statistics
from spira.models.build import MODELS, build, with_cpu_kernels
from spira.models.params import CpuKernels, NetworkParams
from spira.models.store import HELD_OUT, require_finite
from spira.predictions.trained import Model, Network


def load_model(folder: Path, device: torch.device, kernels: CpuKernels) -> Model:
    """The model that ``save_model`` wrote; a baseline computes on the CPU, wherever networks do.

    Raises:
        DataError: a file is missing or damaged, the weights fit another architecture, or one is not finite.
    """
    facts, path = read_json(folder / "model.json"), folder / "weights.safetensors"
    try:
        weights = require_finite(load_file(path), path)
        return _network(facts, weights, device, kernels) if facts["model"] in MODELS else _statistics(facts, weights)
    except FileNotFoundError as error:
        stage = "train" if facts["model"] in MODELS else "fit"
        raise DataError(f"{path}: no such file; the stage {stage} writes it: dvc repro {stage}") from error
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{path}: the weights do not fit the model that model.json beside it describes: {error}"
        ) from error


def model_files(folder: Path) -> list[Path]:
    """What ``load_model`` and ``load_held_out`` read."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def load_held_out(folder: Path, device: torch.device, kernels: CpuKernels) -> dict[str, Model]:
    """By validation clip, the model that was fitted without its speaker; {} where the model in ``folder`` met none."""
    found: dict[str, Model] = {}
    for part in sorted((folder / HELD_OUT).glob("*")):
        found |= dict.fromkeys(read_json(part / "model.json")["clips"], load_model(part, device, kernels))
    return found


def _network(
    facts: Mapping[str, Any], weights: dict[str, Tensor], device: torch.device, kernels: CpuKernels
) -> Network:
    settings = NetworkParams.model_validate_json(json.dumps(facts["network"], allow_nan=False))
    net = build(facts["model"], settings, facts["n_frames"], facts["n_features"])
    net.load_state_dict(weights)
    return Network(with_cpu_kernels(net, kernels).to(device).eval(), facts["n_frames"], device)


def _statistics(facts: Mapping[str, Any], weights: dict[str, Tensor]) -> Statistics:
    features = facts["features"]
    layout = FrameLayout(features["kind"], features["n_mels"], facts["sample_rate"] / features["hop_length"])
    centre, spread, weight = (_numbers(weights, name, facts["n_statistics"]) for name in ("centre", "spread", "weight"))
    regression = Regression(centre, spread, weight, float(weights["bias"]))
    return Statistics(facts["block"], layout, regression)


def _numbers(weights: Mapping[str, Tensor], name: str, n: int) -> Floats:
    numbers: Floats = weights[name].numpy()
    if numbers.shape != (n,):
        raise RuntimeError(f"{name} must have {n} numbers, got shape {list(numbers.shape)}")
    return numbers
