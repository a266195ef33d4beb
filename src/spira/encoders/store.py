"""Files of weights -> frozen encoders; and published pickles -> safetensors."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.encoders.encoder import Encoder
from spira.encoders.names import own_names
from spira.encoders.params import Architecture, EmbeddingParams
from spira.encoders.resemblyzer import Resemblyzer
from spira.encoders.transformers import SpeechTransformer

_UNREADABLE = (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, OSError, LookupError, TypeError)
_MOST_NAMED = 3
Net = Resemblyzer | SpeechTransformer


def load_encoder(p: EmbeddingParams, folder: Path) -> Encoder:
    """The encoder that `embedding` in params.yaml asks for.

    Args:
        p: architecture, file, layer and pooling.
        folder: where the file is, such as ``data/pretrained``.

    Raises:
        DataError: the file is missing or damaged, or lacks a weight of the architecture, or has one too many, or one
            of another shape.
    """
    path = folder / p.file
    return Encoder(_build(p.architecture, p.layer, _read(path), path), p.pool_frames)


def convert(architecture: Architecture, source: Path, out: Path) -> int:
    """Writes the encoder's weights of a PyTorch pickle, and nothing else of it, as safetensors; returns their number.

    The pickle may hold tensors and plain containers alone: no code in it is run.

    Raises:
        DataError: it is missing or damaged, holds code, or is not of this architecture; nothing is written.
    """
    try:
        held = torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{source}: no such file") from error
    except _UNREADABLE as error:
        raise DataError(f"{source}: must be a PyTorch file of tensors alone: {str(error).splitlines()[0]}") from error
    for inner in ("model_state", "model", "state_dict"):  # Resemblyzer's, and what others use
        held = held[inner] if isinstance(held, Mapping) and isinstance(held.get(inner), Mapping) else held
    if not isinstance(held, Mapping):
        raise DataError(f"{source}: must hold named tensors, got {type(held).__name__}")
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    weights = own_names(architecture, tensors)
    encoder = _build(architecture, 1, weights, source)
    write_bytes(save({name: weights[name].contiguous() for name in sorted(weights)}), out)
    return sum(weight.numel() for weight in encoder.parameters())


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; put it there and `dvc add` it, or set features.kind to another than embedding"
        ) from error
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: must be a complete .safetensors file (`spira import-encoder` makes one): "
            f"{str(error).splitlines()[0]}"
        ) from error


def _build(architecture: Architecture, layer: int, weights: Mapping[str, Tensor], path: Path) -> Net:
    """A frozen encoder of these weights, by whatever names they were published."""
    encoder: Net = Resemblyzer() if architecture == "resemblyzer" else SpeechTransformer(architecture, layer)
    net = encoder.model if isinstance(encoder, SpeechTransformer) else encoder
    own, given = net.state_dict(), own_names(architecture, weights)
    odd = {
        "missing": [name for name in own if name not in given],
        "left over": [name for name in given if name not in own],
        "of another shape": [
            f"{name} {list(given[name].shape)} for {list(own[name].shape)}"
            for name in own
            if name in given and given[name].shape != own[name].shape
        ],
        "not finite": [name for name, weight in given.items() if not weight.isfinite().all()],
    }
    if any(odd.values()):
        found = "; ".join(f"{kind}: {_listed(names)}" for kind, names in odd.items() if names)
        raise DataError(f"{path}: must hold the weights of embedding.architecture={architecture}; {found}")
    net.load_state_dict({name: weight.float() for name, weight in given.items()}, assign=True)
    encoder.eval().requires_grad_(False)
    return encoder


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
