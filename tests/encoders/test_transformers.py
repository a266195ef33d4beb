"""wav2vec 2.0, HuBERT and WavLM: published names reach torchaudio's architectures, whose numbers are the encoder's."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchaudio import models

from random_encoders import small_transformer, sound
from spira.base.errors import DataError
from spira.encoders.names import own_names
from spira.encoders.params import Architecture, EmbeddingParams
from spira.encoders.store import convert, load_encoder

ARCHITECTURES: tuple[Architecture, ...] = ("wav2vec2_base", "hubert_base", "wavlm_base")
PREFIX = {"wav2vec2_base": "wav2vec2.", "hubert_base": "", "wavlm_base": "wavlm."}
every = pytest.mark.parametrize("architecture", ARCHITECTURES)


def parameters(architecture: Architecture, layer: int = 2, pool_frames: int = 1) -> EmbeddingParams:
    return EmbeddingParams(architecture=architecture, file="e.safetensors", layer=layer, pool_frames=pool_frames)


def as_published(weights: Mapping[str, Tensor], architecture: Architecture, *, old: bool) -> dict[str, Tensor]:
    """The names of the Hugging Face hub: each attention's three matrices apart, and one of two spellings of a norm."""
    published = {"masked_spec_embed": torch.zeros(3), "lm_head.weight": torch.zeros(2, 3)}
    for name, weight in weights.items():
        name = re.sub(r"^encoder\.(transformer\.)?", "encoder.", name)
        name = name.replace("encoder.feature_projection", "feature_projection")
        if old:
            name = name.replace("parametrizations.weight.original0", "weight_g")
            name = name.replace("parametrizations.weight.original1", "weight_v")
        name = name.replace("attention.attention.out_proj", "attention.out_proj")
        if found := re.fullmatch(r"(.*attention)\.attention\.in_proj_(weight|bias)", name):
            parts = zip("qkv", weight.chunk(3), strict=True)
            published |= {f"{PREFIX[architecture]}{found[1]}.{x}_proj.{found[2]}": part.clone() for x, part in parts}
        else:
            published[PREFIX[architecture] + name] = weight
    return published


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchaudio's factories build a few weights instead of 95 million."""
    for name in ARCHITECTURES:
        monkeypatch.setattr(models, name, lambda name=name: small_transformer(name))


@every
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.usefixtures("small")
def test_its_frames_are_torchaudios_own(architecture: Architecture, old: bool, tmp_path: Path) -> None:
    """From published names, in both spellings of the weight norm, to the bits of torchaudio's forward pass."""
    torch.manual_seed(1)
    theirs, waveform = small_transformer(architecture), torch.from_numpy(sound(1.0))
    save_file(as_published(theirs.state_dict(), architecture, old=old), tmp_path / "e.safetensors")
    with torch.inference_mode():
        layers, _ = theirs.extract_features(waveform[None])
    for layer, expected in enumerate(layers, start=1):
        ours = load_encoder(parameters(architecture, layer), tmp_path)(waveform)
        assert torch.equal(ours, expected[0])
        assert len(ours) == 1 + (16_000 - 400) // 320


@every
def test_every_weight_of_the_base_size_has_its_published_name(architecture: Architecture) -> None:
    """Names and shapes of all twelve layers, without their numbers; some that anybody can look up on the hub."""
    with torch.device("meta"):
        own = getattr(models, architecture)().state_dict()
        published = as_published(own, architecture, old=True)
    known = {
        "feature_extractor.conv_layers.0.layer_norm.weight",
        "feature_projection.projection.weight",
        "encoder.pos_conv_embed.conv.weight_g",
        "encoder.layers.0.attention.q_proj.weight",
        "encoder.layers.11.feed_forward.intermediate_dense.bias",
        "encoder.layer_norm.bias",
    }
    assert {PREFIX[architecture] + name for name in known} <= published.keys()
    again = own_names(architecture, published)
    assert {name: weight.shape for name, weight in again.items()} == {name: own[name].shape for name in own}


@pytest.mark.usefixtures("small")
def test_neighbouring_frames_are_averaged(tmp_path: Path) -> None:
    """Of 49 frames, four of ten and one of nine."""
    torch.manual_seed(2)
    save_file(small_transformer("hubert_base").state_dict(), tmp_path / "e.safetensors")
    waveform = torch.from_numpy(sound(1.0))
    single = load_encoder(parameters("hubert_base"), tmp_path)(waveform)
    ten = load_encoder(parameters("hubert_base", pool_frames=10), tmp_path)(waveform)
    assert len(ten) == 5
    torch.testing.assert_close(ten[1], single[10:20].mean(dim=0))
    torch.testing.assert_close(ten[4], single[40:].mean(dim=0))


@pytest.mark.usefixtures("small")
def test_a_file_of_another_model_is_refused_by_what_is_wrong(tmp_path: Path) -> None:
    """What it lacks, has too much, or has in another shape; and what is no number."""
    weights = small_transformer("wav2vec2_base").state_dict()
    bias = "encoder.transformer.layer_norm.bias"
    for changes, message in (
        ({bias: None}, rf"wav2vec2_base; missing: {bias}$"),
        ({"decoder.weight": torch.zeros(1)}, r"; left over: decoder\.weight$"),
        ({bias: torch.zeros(5)}, rf"; of another shape: {bias} \[5\] for \[24\]$"),
        ({bias: torch.full((24,), float("nan"))}, rf"; not finite: {bias}$"),
    ):
        changed = {name: weight for name, weight in (weights | changes).items() if weight is not None}
        save_file(changed, tmp_path / "e.safetensors")
        with pytest.raises(DataError, match=message):
            load_encoder(parameters("wav2vec2_base"), tmp_path)
    (tmp_path / "e.safetensors").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"e\.safetensors: must be a complete \.safetensors file"):
        load_encoder(parameters("wav2vec2_base"), tmp_path)
    (tmp_path / "e.safetensors").unlink()
    with pytest.raises(DataError, match=r"e\.safetensors: no such file; put it there and `dvc add` it"):
        load_encoder(parameters("wav2vec2_base"), tmp_path)


@pytest.mark.usefixtures("small")
def test_a_published_pickle_becomes_the_encoder_alone(tmp_path: Path) -> None:
    """Heads and the optimizer stay behind; the frames are those of the model that was pickled."""
    torch.manual_seed(3)
    theirs, waveform = small_transformer("wavlm_base"), torch.from_numpy(sound(0.5))
    published = as_published(theirs.state_dict(), "wavlm_base", old=True)
    torch.save({"model": published, "step": 7}, tmp_path / "published.bin")
    n_weights = convert("wavlm_base", tmp_path / "published.bin", tmp_path / "e.safetensors")
    assert n_weights == sum(weight.numel() for weight in theirs.parameters())
    assert load_file(tmp_path / "e.safetensors").keys() == theirs.state_dict().keys()
    with torch.inference_mode():
        expected = theirs.extract_features(waveform[None])[0][1][0]
    assert torch.equal(load_encoder(parameters("wavlm_base"), tmp_path)(waveform), expected)


class Code:
    """What a pickle may bring with it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"model": {"a": torch.zeros(1)}, "more": Code()}, r"must be a PyTorch file of tensors alone"),
        ([torch.zeros(1)], r"must hold named tensors, got list"),
        ({"a": torch.zeros(1)}, r"embedding\.architecture=resemblyzer; missing: lstm\.weight_ih_l0, .* and 11 more"),
    ],
)
def test_a_pickle_of_something_else_is_refused_and_nothing_written(
    held: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code in it is not run."""
    torch.save(held, tmp_path / "published.pt")
    with pytest.raises(DataError, match=message):
        convert("resemblyzer", tmp_path / "published.pt", tmp_path / "e.safetensors")
    assert not (tmp_path / "e.safetensors").exists()
    assert "run" not in capsys.readouterr().out
