"""The compiled layers compute what torch's own do; without them everything still trains and predicts."""

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from torch import Tensor, nn

from closures import ROOT
from spira.clips.subsets import write_subsets
from spira.features.conditions import CONDITIONS
from spira.features.store import IndexRow, read_renderings, shard_path, write_index, write_shard
from spira.models.build import build, with_cpu_kernels
from spira.models.cpu.layers import CompiledBlocks
from spira.models.dropout import drawing_from, new_generator
from spira.predictions.loading import load_model
from spira.predictions.scoring import score
from spira.training.loop import train_epochs
from tiny import network_params
from tiny_features import write_features
from tiny_training import N_CLIPS, clips, params

pytestmark = pytest.mark.usefixtures("one_thread")
N_FRAMES, N_FEATURES = 101, 40
KINDS = ["pooled_cnn", "spiraconv_v2", "spiraconv_v1", "odd_channels", "cnn6"]
WITHOUT_NUMBA = """
import runpy, sys
sys.modules["numba"] = None  # an import of it fails
sys.argv = {argv}
runpy.run_module("spira.stages.{stage}", run_name="__main__")
"""


def both(kind: str) -> tuple[nn.Module, nn.Module]:
    """Torch's layers and the compiled ones, with the same weights."""
    shape = network_params().spiraconv.model_dump() | {"channels": (6, 8), "kernels": (4, 3), "dilations": (2, 1)}
    p, kind = (network_params(spiraconv=shape), "spiraconv") if kind == "odd_channels" else (network_params(), kind)
    plain, other = (build(kind, p, N_FRAMES, N_FEATURES) for _ in range(2))
    compiled = with_cpu_kernels(other, "compiled")
    compiled.load_state_dict(plain.state_dict())
    return plain, compiled


def forward_and_back(net: nn.Module, windows: Tensor) -> tuple[Tensor, ...]:
    """Logits, and the gradients by every weight, with the dropout of one seed."""
    with drawing_from(new_generator(5, windows.device)):
        logits = net(windows)
    return logits, *torch.autograd.grad(logits.square().sum(), list(net.parameters()))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_torchs(kind: str, training: bool) -> None:
    """With the same dropout, to one part in 10,000 of the greatest; and what draws is the same words."""
    torch.manual_seed(0)
    nets = [net.train(training) for net in both(kind)]
    windows = torch.randn(3, N_FRAMES, N_FEATURES)
    for a, b in zip(*(forward_and_back(net, windows) for net in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * max(1.0, float(b.detach().abs().max())))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_either_load_into_the_other(kind: str) -> None:
    """The published names and shapes, in the same order: a file of weights does not say which layers made it."""
    plain, compiled = both(kind)
    ours, theirs = compiled.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs)
    plain.load_state_dict(ours)
    assert all(torch.equal(ours[name], tensor) for name, tensor in plain.state_dict().items())


def test_another_precision_is_computed_by_torch() -> None:
    """As what is on a GPU is: the compiled loops are of float32."""
    plain, compiled = (net.double().eval() for net in both("spiraconv_v2"))
    assert isinstance(compiled.get_submodule("conv"), CompiledBlocks)
    windows = torch.randn(2, N_FRAMES, N_FEATURES, dtype=torch.float64)
    assert torch.equal(plain(windows), compiled(windows))


def test_the_same_weights_train_to_the_same_weights() -> None:
    """Three epochs from one seed, dropout and all: they agree to 0.001 where an epoch moves them by 0.01 and more."""
    windows = clips("overlap", N_FEATURES, N_FRAMES)
    ends = []
    for net in both("spiraconv_v2"):
        torch.manual_seed(2)
        began = {name: weight.detach().clone() for name, weight in net.named_parameters()}
        losses = [
            epoch.loss for epoch in train_epochs(net, windows, params(max_epochs=3), seed=3, names=["?"] * N_CLIPS)
        ]
        ends.append((losses, net.state_dict()))
        assert all((net.state_dict()[name] - tensor).abs().max() > 0.01 for name, tensor in began.items())
    assert ends[0][0] == pytest.approx(ends[1][0], abs=1e-4)
    for name, tensor in ends[0][1].items():
        torch.testing.assert_close(tensor, ends[1][1][name], rtol=0, atol=1e-3)


def write_scored(folder: Path) -> None:
    """What `predict` reads beside the models: frames of validation and test clips under every condition."""
    clips = {subset: [f"{subset}{i}" for i in range(12)] for subset in ("train", "validation", "test")}
    subsets = [subset for subset, names in clips.items() for _ in names]
    everybody = [name for names in clips.values() for name in names]
    write_subsets(everybody, {"holdout": subsets}, folder / "data/subsets.csv", folder / "data/folds")
    for subset, condition in product(("validation", "test"), CONDITIONS):
        drawn = torch.Generator().manual_seed(1)
        frames = (torch.randn(130, 40, generator=drawn) for _ in clips[subset])
        out = folder / "data/features" / subset
        write_shard(shard_path(out, condition, 0), 40, clips[subset], frames)
        write_index(
            [IndexRow(name, name, i % 2, 0, 1.0, 0, 130) for i, name in enumerate(clips[subset])], out, condition
        )


def run_stage(folder: Path, source: Path, stage: str, *arguments: str) -> None:
    """A stage from a copy of the package, in a process that cannot import numba."""
    code = WITHOUT_NUMBA.format(argv=[stage, *arguments], stage=stage)
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_without_the_folder_and_without_numba_torch_trains_and_predicts(tmp_path: Path) -> None:
    """The switch turned off, models/cpu deleted: both stages run, and predict the scores of the compiled layers."""
    write_features(tmp_path)
    write_scored(tmp_path)
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "cpu"))
    assert not (source / "spira/models/cpu").exists()
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"cpu_kernels": "torch"}))
    run_stage(tmp_path, source, "train", "spiraconv", "holdout", "1")
    run_stage(tmp_path, source, "predict")
    scores = pl.read_csv(tmp_path / "data/predictions.csv").filter(subset="test", condition="clean")

    model = load_model(tmp_path / "data/models/spiraconv/holdout/1", torch.device("cpu"), "compiled")
    frames, _ = read_renderings(tmp_path / "data/features/test", "clean", scores["clip_id"].to_list())
    expected = score(model, frames, step=100, batch_size=8)
    np.testing.assert_allclose(expected, scores["score"].to_numpy(), atol=1e-5)
