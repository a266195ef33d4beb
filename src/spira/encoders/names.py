"""Names of weights in published files -> the names that this repository's encoders give them."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from spira.encoders.params import Architecture

# What files hold besides an encoder: heads, and what only training needs.
_TRAINING = re.compile(
    r"(masked_spec_embed|mask_generator|quantizer|project_q|project_hid|lm_head|aux|final_proj|label_embeddings"
    r"|logit_generator|similarity_weight|similarity_bias)\b"
)
_RENAMED = (
    (r"^(wav2vec2|hubert|wavlm)\.", ""),  # a model with a head names the encoder in it
    (r"^feature_projection\.", "encoder.feature_projection."),
    (r"^encoder\.(?!feature_projection\.|transformer\.)", "encoder.transformer."),
    (r"(pos_conv_embed\.conv)\.weight_g$", r"\1.parametrizations.weight.original0"),  # torch's spelling before 2.0
    (r"(pos_conv_embed\.conv)\.weight_v$", r"\1.parametrizations.weight.original1"),
)


def own_names(architecture: Architecture, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an encoder by the names of its ``state_dict``; what only training needs is left out.

    Args:
        architecture: whose weights they are.
        weights: as the Hugging Face hub publishes wav2vec 2.0, HuBERT and WavLM, as torchaudio names them, or as
            Resemblyzer does. Names that fit none of these stay as they are.
    """
    renamed = {}
    for name, tensor in weights.items():
        for pattern, instead in _RENAMED if architecture != "resemblyzer" else ():
            name = re.sub(pattern, instead, name)
        if not _TRAINING.match(name):
            renamed[name] = tensor
    return _joined(renamed) if architecture == "wavlm_base" else renamed


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """WavLM's three projections of each attention as the one matrix, and one bias, that torchaudio has."""
    joined = dict(weights)
    for name in weights:
        if found := re.fullmatch(r"(.*\.attention)\.q_proj\.(weight|bias)", name):
            attention, kind = found.groups()
            parts = [f"{attention}.{letter}_proj.{kind}" for letter in "qkv"]
            if all(part in weights for part in parts):
                joined[f"{attention}.attention.in_proj_{kind}"] = torch.cat([joined.pop(part) for part in parts])
        elif found := re.fullmatch(r"(.*\.layers\.\d+\.attention)\.(out_proj\..*)", name):
            joined[f"{found[1]}.attention.{found[2]}"] = joined.pop(name)
    return joined
