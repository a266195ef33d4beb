"""A file of weights fills the tensors that fit; every other is listed, and no code in the file runs."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from spira.base.errors import DataError
from spira.models.build import build
from spira.models.panns import Panns
from spira.models.store import read_weights
from spira.stages.train import adopt_pretrained
from spira.training.pretrained import adopt, tensors_in_layers
from tiny import network_params

pytestmark = pytest.mark.usefixtures("one_thread")
N_MELS = 64


def cnn6(seed: int, n_outputs: int = 1) -> Panns:
    torch.manual_seed(seed)
    return Panns("cnn6", N_MELS, n_outputs)


def published(seed: int = 7) -> dict[str, Tensor]:
    """A state dict with PANNs' names, among them those of the features that it computes itself; 527 outputs."""
    own = {name: tensor for name, tensor in cnn6(seed, 527).state_dict().items() if "standardize" not in name}
    extractor = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(257, 1, 512),
        "logmel_extractor.melW": torch.zeros(257, 64),
    }
    return extractor | own


def write_pth(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_a_published_file_fits_by_name_and_every_tensor_is_listed(tmp_path: Path) -> None:
    """PANNs' ``{'model': ...}``: all but the head is taken, the head is another shape, the extractors are unused."""
    net, theirs = cnn6(0), published()
    head = net.fc_audioset.weight.clone()
    adopted = adopt(net, read_weights(write_pth(tmp_path / "Cnn6.pth", {"iteration": 600_000, "model": theirs})), [])
    assert all(torch.equal(net.state_dict()[name], theirs[name]) for name in adopted.matched)
    scale = ("standardize.centre", "standardize.spread")  # of the inputs, which a published file lacks
    assert adopted.fresh == (*scale, "fc_audioset.weight", "fc_audioset.bias")
    assert adopted.misfits == ("fc_audioset.weight: [527, 512], [1, 512]", "fc_audioset.bias: [527], [1]")
    assert set(adopted.unused) == {name for name in theirs if "extractor" in name}
    assert set(adopted.matched) | set(adopted.fresh) == set(net.state_dict())
    assert torch.equal(net.fc_audioset.weight, head)


def test_layers_named_in_reinit_start_fresh() -> None:
    """They keep the values that the seed drew; ``conv_block1`` is no prefix of ``conv_block10``."""
    net, theirs = cnn6(0), published()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    adopted = adopt(net, theirs, ["fc1", "conv_block4.bn1"])
    asked = {"fc1.weight", "fc1.bias"} | {name for name in before if name.startswith("conv_block4.bn1.")}
    assert set(adopted.reinit) == asked
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in asked)
    assert torch.equal(net.state_dict()["conv_block4.conv1.weight"], theirs["conv_block4.conv1.weight"])
    assert tensors_in_layers(["conv_block1.w", "conv_block10.w", "conv_block1"], ["conv_block1"]) == {
        "conv_block1.w",
        "conv_block1",
    }


def test_a_file_that_matches_nothing_is_an_error() -> None:
    """Weights of another network would otherwise be a training from scratch under a proud name."""
    with pytest.raises(
        DataError, match=r"no weight fits the network: the file has fc\.weight; the network has bn0\.weight, .* more"
    ):
        adopt(cnn6(0), {"fc.weight": torch.zeros(3, 3)}, [])
    with pytest.raises(DataError, match="no weight fits the network"):
        adopt(cnn6(0), {"bn0.weight": torch.zeros(40)}, [])  # the name alone is not enough
    with pytest.raises(DataError, match="no weight fits the network"):  # nor is the scale of the inputs
        adopt(cnn6(0), {"standardize.centre": torch.zeros(N_MELS), "fc.weight": torch.zeros(3, 3)}, [])


def test_our_own_weights_are_read_too(tmp_path: Path) -> None:
    """``data/models/spiraconv_v2/holdout/1/weights.safetensors`` of an earlier run is a start like another."""
    theirs = build("spiraconv_v2", network_params(), 64, 8).state_dict()
    save_file(theirs, tmp_path / "ours.safetensors")
    net = build("spiraconv_v2", network_params(), 64, 8)
    assert set(adopt(net, read_weights(tmp_path / "ours.safetensors"), []).matched) == set(theirs)
    assert all(torch.equal(net.state_dict()[name], theirs[name]) for name in theirs)


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_pth_file_that_carries_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    """A pickle is a program: only tensors are taken out of it."""
    trap = tmp_path / "sprung"
    path = write_pth(tmp_path / "evil.pth", {"model": Trap(trap)})
    with pytest.raises(DataError, match=r"evil\.pth: must hold weights and nothing else"):
        read_weights(path)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(trap), protocol=2))
    with pytest.raises(DataError, match=r"plain\.pth: must hold weights and nothing else"):
        read_weights(tmp_path / "plain.pth")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(100)])
def test_a_damaged_file_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    """An error page saved under the file's name is no traceback."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: must hold weights and nothing else"):
        read_weights(tmp_path / name)


def test_a_file_without_named_tensors_is_refused(tmp_path: Path) -> None:
    """A bare tensor, or a dictionary of numbers, says what was expected."""
    for content in (torch.zeros(3), {"model": {"epochs": 3}}, {"a": torch.zeros(1), "b": 2}):
        with pytest.raises(DataError, match="must hold named tensors"):
            read_weights(write_pth(tmp_path / "x.pth", content))


def test_the_stage_names_the_file_and_prints_what_became_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report of a run says it, and an error names the file once."""
    write_pth(tmp_path / "Cnn6.pth", {"model": published()})
    params = network_params(init_from="Cnn6.pth", reinit=("fc1",))
    adopted = adopt_pretrained(cnn6(0), params, tmp_path)
    assert adopted is not None
    said = capsys.readouterr().out
    assert f"{tmp_path}/Cnn6.pth:\n  matched: 29 " in said
    assert "  reinit: 2 fc1.weight, fc1.bias\n" in said
    assert "  unused: 3 spectrogram_extractor.stft.conv_real.weight" in said
    with pytest.raises(DataError, match=r"Cnn6\.pth: no weight fits the network"):
        adopt_pretrained(nn.Linear(2, 2), params, tmp_path)
    with pytest.raises(
        DataError, match=r"gone\.pth: no such file; put it there and `dvc add` it, or set network\.init_from"
    ):
        adopt_pretrained(cnn6(0), network_params(init_from="gone.pth"), tmp_path)
    assert adopt_pretrained(cnn6(0), network_params(), tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": "weights.bin"}, r"init_from: must be none or end in \.safetensors or \.pth, got 'weights\.bin'"),
        ({"init_from": "../weights.pth"}, "should match pattern"),
        ({"reinit": ("fc1",)}, r"reinit: must be \[\] where network\.init_from=none, got \['fc1'\]"),
    ],
)
def test_a_start_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    """By the section itself, before any file is looked for."""
    with pytest.raises(ValidationError, match=message):
        network_params(**changes)
