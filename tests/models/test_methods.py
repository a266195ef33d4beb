"""Every published method by its name, from frames to scores: the stages that parameters alone must steer."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file
from torchaudio.transforms import MFCC, AmplitudeToDB

from spira.base.params import load
from spira.clips.arrays import read_array
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import IndexRow, write_index, write_shard
from spira.models.params import CpuKernels
from spira.models.store import load_model
from spira.predictions.params import PredictParams
from spira.stages import featurize, predict
from stage_path import prepare, run_to_features, run_training

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"width": 16, "n_layers": 1, "n_heads": 2, "feed_forward": 32, "dropout": 0.1}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus, up to frames: clips of 2.0 to 2.5 s, windows of 1 s, two views."""
    root = tmp_path_factory.mktemp("methods")
    with pytest.MonkeyPatch.context() as patch:
        prepare(root, patch, noise={"views": 2})
        run_to_features(1)
    return root


def set_params(**changes: Mapping[str, object]) -> None:
    tree = yaml.safe_load(Path("params.yaml").read_text())
    for section, values in changes.items():
        tree[section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(tree))


def scores(workspace: Path, monkeypatch: pytest.MonkeyPatch, **changes: Mapping[str, object]) -> pl.DataFrame:
    """Train with seed 1 and score; the workspace's params.yaml is as it was afterwards."""
    monkeypatch.chdir(workspace)
    committed = Path("params.yaml").read_text()
    try:
        set_params(**{"train": {"max_epochs": 2}, **changes})
        if "features" in changes:
            run_featurize()
        run_training(1)
        predict.run((1,), 16_000, *(load(n, k) for n, k in PREDICT.items()))
    finally:
        Path("params.yaml").write_text(committed)
    return pl.read_csv("data/predictions.csv")


PREDICT = {"features": FeatureParams, "windows": WindowParams, "predict": PredictParams, "cpu_kernels": CpuKernels}


def run_featurize() -> None:
    sections = load("features", FeatureParams), load("windows", WindowParams), load("noise", NoiseParams)
    featurize.run(16_000, *sections, n_workers=1)


def facts() -> dict[str, Any]:
    return dict(json.loads(Path("data/models/holdout/1/model.json").read_text()))


@pytest.mark.parametrize("kind", ["spiraconv_v1", "spiraconv", "mfcc_transformer", "logistic_regression"])
def test_a_method_by_its_name_gives_scores(kind: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-S model.kind=...`` alone: a finite score in [0, 1] a clip and condition, from weights without pickle."""
    table = scores(workspace, monkeypatch, model={"kind": kind, "mfcc_transformer": SMALL})
    assert len(table) == 2 * 3 * 6
    assert table["score"].is_between(0, 1).all()
    assert table["score"].n_unique() > 6
    assert facts()["n_frames"] == 101


def test_panns_learn_from_log_mel(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-S model.kind=cnn6 -S features.kind=mel``; batch normalisation's running statistics are saved too."""
    before = {path: path.read_bytes() for path in (workspace / "data/features").rglob("*") if path.is_file()}
    table = scores(workspace, monkeypatch, model={"kind": "cnn6"}, features={"kind": "mel"}, train={"max_epochs": 1})
    for path, content in before.items():  # for the other tests
        path.write_bytes(content)
    assert table["score"].is_between(0, 1).all()
    weights = load_file("data/models/holdout/1/weights.safetensors")
    assert weights["bn0.running_mean"].shape == (40,)
    assert weights["bn0.running_mean"].all()
    assert weights["bn0.num_batches_tracked"] > 0


def test_the_simple_model_learns_in_one_epoch(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Low hum with pauses against high hum: a line through statistics tells them apart, whatever the seed."""
    table = scores(workspace, monkeypatch, model={"kind": "logistic_regression"})
    noisy = table.filter((pl.col("subset") == "test") & (pl.col("condition") == "noisy"))
    assert noisy.filter(pl.col("label") == 1)["score"].min() > noisy.filter(pl.col("label") == 0)["score"].max()  # type: ignore[operator]
    assert facts()["best_epoch"] == 1


def test_whole_clips_are_as_long_as_the_longest_of_training(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's window is that clip; evaluation clips that are longer are cut, and every clip has a score."""
    monkeypatch.chdir(workspace)
    train, test = (pl.read_csv(f"data/features/{array}.csv")["n_frames"] for array in ("train/views", "test/noisy"))
    table = scores(workspace, monkeypatch, train={"max_epochs": 1, "windows": "whole"})
    assert facts()["n_frames"] == train.max()
    assert len(table) == 2 * 3 * 6
    assert test.min() < train.max()  # type: ignore[operator]  # one is padded


def test_a_longer_evaluation_clip_is_cut_into_whole_windows(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the training clips cut short, each score is the mean over the windows that cover the clip."""
    monkeypatch.chdir(workspace)
    train = Path("data/features/train")
    before = {path: path.read_bytes() for path in train.iterdir()}
    whole, rows = read_array(train / "views-0.npy"), pl.read_csv(train / "views.csv").rows(named=True)
    cut = [torch.from_numpy(whole[row["start"] : row["start"] + 120]) for row in rows]
    write_shard(train / "views-0.npy", whole.shape[1], [row["clip_id"] for row in rows], cut)
    kept = ("clip_id", "speaker_id", "label", "view", "weight", "shard")
    write_index([IndexRow(**{name: row[name] for name in kept}, n_frames=120) for row in rows], train, "views")
    table = scores(workspace, monkeypatch, train={"windows": "whole"}, model={"kind": "logistic_regression"})
    for path, content in before.items():
        path.write_bytes(content)
    assert facts()["n_frames"] == 120
    weights = load_file("data/models/holdout/1/weights.safetensors")
    frames = torch.from_numpy(read_array(Path("data/features/test/noisy-0.npy")).copy())
    row = pl.read_csv("data/features/test/noisy.csv").row(0, named=True)
    starts = [*range(0, row["n_frames"] - 120, 100), row["n_frames"] - 120]
    probabilities = []
    for start in starts:
        x = frames[row["start"] + start : row["start"] + start + 120]
        levels = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
        statistics = torch.cat([x.mean(0), x.std(0, correction=0), x.quantile(levels, dim=0).flatten()])
        z = (statistics - weights["centre"]) / weights["spread"]
        probabilities.append(float(torch.sigmoid(z @ weights["linear.weight"][0] + weights["linear.bias"][0])))
    got = table.filter((pl.col("clip_id") == row["clip_id"]) & (pl.col("condition") == "noisy"))["score"][0]
    assert len(starts) > 1
    assert got == pytest.approx(math.fsum(probabilities) / len(starts), abs=1e-4)


def test_random_windows_are_another_training_of_the_same_length(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window a clip and epoch, drawn anew; validation and scores still hear every window."""
    table = scores(workspace, monkeypatch, train={"windows": "random", "max_epochs": 3})
    random = load_file("data/models/holdout/1/weights.safetensors")
    assert facts()["n_frames"] == 101
    assert len(table) == 2 * 3 * 6
    scores(workspace, monkeypatch, train={"windows": "overlap", "max_epochs": 3})
    overlap = load_file("data/models/holdout/1/weights.safetensors")
    assert not torch.equal(random["fc1.weight"], overlap["fc1.weight"])


def test_training_goes_on_from_a_file_of_weights(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate of next to nothing the model is the file's; the layer named in reinit is not."""
    scores(workspace, monkeypatch, train={"max_epochs": 1})
    (workspace / "data/pretrained").mkdir(exist_ok=True)
    first = load_file("data/models/holdout/1/weights.safetensors")
    start = {name: tensor + 1.0 for name, tensor in first.items()}
    torch.save({"model": start}, "data/pretrained/start.pth")
    model = {"init_from": "start.pth", "reinit": ["fc2"]}
    scores(workspace, monkeypatch, model=model, train={"max_epochs": 1, "lr": 1e-12})
    again = load_file("data/models/holdout/1/weights.safetensors")
    assert facts()["adopted"]["reinit"] == ["fc2.weight", "fc2.bias"]
    for name, tensor in again.items():
        assert torch.allclose(tensor, start[name], atol=1e-6) is not name.startswith("fc2"), name


@pytest.mark.ml_test_score("Monitoring 3")
def test_a_recording_and_its_model_are_enough_for_the_pipelines_score(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever uses the model would have it: the file, model.json and the weights, with torchaudio's own features."""
    table = scores(workspace, monkeypatch).filter(condition="clean", subset="test")
    saved = facts()
    p, windows = saved["features"], saved["windows"]
    stft = {name: p[name] for name in ("n_fft", "win_length", "hop_length", "n_mels", "f_min", "f_max")}
    mfcc = MFCC(saved["sample_rate"], n_mfcc=p["n_mfcc"], melkwargs=stft)
    mfcc.amplitude_to_DB = AmplitudeToDB("power", top_db=None)  # or frames would depend on those beside them
    net = load_model(Path("data/models/holdout/1"), torch.device("cpu"), "torch")
    for name, expected in table.select("clip_id", "score").rows():
        samples, rate = soundfile.read(f"data/raw/tiny/{name}", dtype="float32")
        assert rate == saved["sample_rate"]
        frames = mfcc(torch.from_numpy(samples)).T
        step, last = round(windows["step_seconds"] * rate / p["hop_length"]), len(frames) - saved["n_frames"]
        cut = torch.stack([frames[at : at + saved["n_frames"]] for at in (*range(0, last, step), last)])
        with torch.inference_mode():
            assert float(torch.sigmoid(net(cut)).mean()) == pytest.approx(expected, abs=1e-5)
    assert table.height == 6
