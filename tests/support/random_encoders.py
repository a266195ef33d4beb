"""Encoders of random weights, as files; and a sound for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchaudio import models

SMALL = {  # the base architecture's layers and strides, of a few weights
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [(8, 10, 5), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 2, 2), (8, 2, 2)],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 24,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 16,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 3,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 32,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.1,
    "aux_num_out": None,
}


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Syllables of a gliding voice in noise, (time,), float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    voice = sum(np.sin(2 * np.pi * k * (120 + 20 * t) * t) / k for k in range(1, 9))
    return (0.1 * voice * (np.sin(6 * np.pi * t) > 0) + 0.002 * rng.standard_normal(t.size)).astype(np.float32)


def write_resemblyzer(path: Path, changes: Mapping[str, Tensor] | None = None, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of Resemblyzer's shapes by its names; ``changes`` replaces some."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {"linear.weight": (256, 256), "linear.bias": (256,)}
    for layer in range(3):
        shapes |= {f"lstm.weight_ih_l{layer}": (1024, 256 if layer else 40), f"lstm.weight_hh_l{layer}": (1024, 256)}
        shapes |= {f"lstm.bias_ih_l{layer}": (1024,), f"lstm.bias_hh_l{layer}": (1024,)}
    weights = {name: 0.1 * torch.randn(shape, generator=rng) for name, shape in shapes.items()} | dict(changes or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return weights


def small_transformer(architecture: str) -> Any:
    """A model of a few random weights that torchaudio builds as it builds the base size."""
    if architecture == "wavlm_base":
        return models.wavlm_model(**SMALL, encoder_num_buckets=320, encoder_max_distance=800).eval()
    return models.wav2vec2_model(**SMALL).eval()
