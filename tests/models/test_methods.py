"""Every published method by its name, from frames to scores: the stages that parameters alone must steer."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
import yaml
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torchaudio.transforms import MFCC, AmplitudeToDB

from spira.base.params import load
from spira.clips.arrays import read_array
from spira.encoders.params import EmbeddingParams
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import IndexRow, write_index, write_shard
from spira.predictions.loading import load_model
from spira.predictions.table import models_in, read_predictions, scored_clips
from spira.predictions.trained import Network
from spira.stages import featurize
from stage_path import prepare, run_predict, run_to_features, run_training

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


def set_params(**changes: Any) -> None:
    tree = yaml.safe_load(Path("params.yaml").read_text())
    for section, values in changes.items():
        tree[section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(tree))


def scores(workspace: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> pl.DataFrame:
    """Train with seed 1 and score; the workspace's params.yaml is as it was afterwards. SpiraConvV2 if not said."""
    monkeypatch.chdir(workspace)
    committed = Path("params.yaml").read_text()
    try:
        set_params(**{"models": network("spiraconv_v2"), "train": {"max_epochs": 2}, **changes})
        with other_features() if "features" in changes else nullcontext():
            run_training(1)
            run_predict((1,))
    finally:
        Path("params.yaml").write_text(committed)
    return pl.read_csv("data/predictions.csv")


@contextmanager
def other_features() -> Iterator[None]:
    """Those of params.yaml until the block ends, and then those of the other tests again."""
    Path("data/features").rename("data/kept")
    try:
        sections = load("windows", WindowParams), load("noise", NoiseParams)
        embedding = load("embedding", EmbeddingParams)
        featurize.run(16_000, load("features", FeatureParams), embedding, *sections, n_workers=1)
        yield
    finally:
        shutil.rmtree("data/features")
        Path("data/kept").rename("data/features")


def network(kind: str) -> dict[str, object]:
    """The section `models` with this network, and no baseline."""
    return {"networks": [kind], "baselines": []}


BASELINE: dict[str, object] = {"networks": [], "baselines": ["statistics"]}


def facts(model: str = "spiraconv_v2/holdout/1") -> dict[str, Any]:
    return dict(json.loads(Path(f"data/models/{model}/model.json").read_text()))


def weights(model: str = "spiraconv_v2/holdout/1") -> dict[str, torch.Tensor]:
    return load_file(f"data/models/{model}/weights.safetensors")


@pytest.mark.parametrize("kind", ["pooled_cnn", "spiraconv_v1", "spiraconv", "mfcc_transformer"])
def test_a_method_by_its_name_gives_scores(kind: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-S models.networks=[...]`` alone: a score in [0, 1] a clip and condition, from weights without pickle."""
    table = scores(workspace, monkeypatch, models=network(kind), network={"mfcc_transformer": SMALL})
    assert len(table) == 2 * 3 * 6
    assert table["score"].is_between(0, 1).all()
    assert table["score"].n_unique() > 6
    assert facts(f"{kind}/holdout/1")["n_frames"] == 101


def test_panns_learn_from_log_mel(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-S models.networks=[cnn6] -S features.kind=mel``; batch normalisation's running statistics are saved too."""
    table = scores(workspace, monkeypatch, models=network("cnn6"), features={"kind": "mel"}, train={"max_epochs": 1})
    assert table["score"].is_between(0, 1).all()
    saved = weights("cnn6/holdout/1")
    assert saved["bn0.running_mean"].shape == (40,)
    assert saved["bn0.running_mean"].all()
    assert saved["bn0.num_batches_tracked"] > 0


def test_the_baseline_is_fitted_without_a_seed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Low hum with pauses against high hum: statistics separate them; its rows are there once, and have seed 0."""
    table = scores(workspace, monkeypatch, models=BASELINE)
    assert table.select("model", "seed").unique().rows() == [("statistics", 0)]
    assert len(table) == 2 * 3 * 6
    noisy = table.filter((pl.col("subset") == "test") & (pl.col("condition") == "noisy"))
    assert noisy.filter(pl.col("label") == 1)["score"].min() > noisy.filter(pl.col("label") == 0)["score"].max()  # type: ignore[operator]
    saved = facts("statistics/holdout/0")
    assert (saved["model"], saved["seed"], saved["fold"]) == ("statistics", 0, "holdout")
    losses = {(choice["block"], choice["inverse_penalty"]): choice["loss"] for choice in saved["inner_losses"]}
    assert len(losses) == 2 * 3
    assert losses[saved["block"], saved["inverse_penalty"]] == min(losses.values())
    assert weights("statistics/holdout/0")["weight"].shape == (saved["n_statistics"],)
    assert 0 < saved["validation_loss"] < 0.69


def test_a_network_and_a_baseline_stand_side_by_side(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table, each with its own seeds: the first named comes first, and neither moves the other's scores."""
    both = scores(workspace, monkeypatch, models={"networks": ["pooled_cnn"], "baselines": ["statistics"]})
    read = read_predictions(Path("data/predictions.csv"))
    assert models_in(read) == ("pooled_cnn", "statistics")
    for name, alone, seed in (("pooled_cnn", network("pooled_cnn"), 1), ("statistics", BASELINE, 0)):
        rows = both.filter(pl.col("model") == name)
        assert rows["seed"].unique().to_list() == [seed]
        assert rows.equals(scores(workspace, monkeypatch, models=alone))
        shape = scored_clips(read, "test", name)["noisy"].scores.shape
        assert shape == (1, 6)


def test_what_left_the_parameters_is_named(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC counts the folder of a model, fold or seed that is no longer listed."""
    (workspace / "data/models/cnn10/holdout/7").mkdir(parents=True)
    (workspace / "data/models/cnn10/holdout/7/model.json").touch()
    scores(workspace, monkeypatch, models=BASELINE)
    assert "data/models/cnn10/holdout/7: not used, params.yaml lists no such model" in capsys.readouterr().out


def test_the_inputs_scale_is_that_of_the_training_frames(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all views by their weights, saved with the weights; with ``standardize: false`` it changes nothing."""
    scores(workspace, monkeypatch)
    saved = weights()
    array, rows = read_array(workspace / "data/features/train/views-0.npy"), index("train/views")
    frames = np.concatenate([array[row["start"] : row["start"] + row["n_frames"]] for row in rows]).astype(np.float64)
    weight = np.concatenate([np.full(row["n_frames"], row["weight"]) for row in rows])
    centre = np.average(frames, axis=0, weights=weight)
    assert_allclose(saved["standardize.centre"], centre, rtol=1e-5, atol=1e-5)
    assert_allclose(
        saved["standardize.spread"], np.average((frames - centre) ** 2, axis=0, weights=weight) ** 0.5, rtol=1e-5
    )
    assert not np.allclose(centre, frames.mean(axis=0), atol=1e-3)  # the weights matter
    scores(workspace, monkeypatch, network={"standardize": False})
    assert not weights()["standardize.centre"].any()
    assert (weights()["standardize.spread"] == 1).all()


def index(array: str) -> list[dict[str, Any]]:
    return pl.read_csv(f"data/features/{array}.csv").rows(named=True)


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
    table = scores(workspace, monkeypatch, train={"windows": "whole", "max_epochs": 1}, models=network("pooled_cnn"))
    for path, content in before.items():
        path.write_bytes(content)
    model = load_model(Path("data/models/pooled_cnn/holdout/1"), torch.device("cpu"), "torch")
    assert isinstance(model, Network)
    assert model.n_frames == facts("pooled_cnn/holdout/1")["n_frames"] == 120
    frames = torch.from_numpy(read_array(Path("data/features/test/noisy-0.npy")).copy())
    row = pl.read_csv("data/features/test/noisy.csv").row(0, named=True)
    starts = [*range(0, row["n_frames"] - 120, 100), row["n_frames"] - 120]
    cut_out = torch.stack([frames[row["start"] + at : row["start"] + at + 120] for at in starts])
    got = table.filter((pl.col("clip_id") == row["clip_id"]) & (pl.col("condition") == "noisy"))["score"][0]
    assert len(starts) > 1
    with torch.inference_mode():
        assert got == pytest.approx(float(torch.sigmoid(model.net(cut_out)).mean()), abs=1e-5)


def test_random_windows_are_another_training_of_the_same_length(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window a clip and epoch, drawn anew; validation and scores still hear every window."""
    table = scores(workspace, monkeypatch, train={"windows": "random", "max_epochs": 3})
    random = weights()
    assert facts()["n_frames"] == 101
    assert len(table) == 2 * 3 * 6
    scores(workspace, monkeypatch, train={"windows": "overlap", "max_epochs": 3})
    overlap = weights()
    assert not torch.equal(random["fc1.weight"], overlap["fc1.weight"])


def test_training_goes_on_from_a_file_of_weights(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate of next to nothing the model is the file's; the layer named in reinit is not."""
    scores(workspace, monkeypatch, train={"max_epochs": 1})
    (workspace / "data/pretrained").mkdir(exist_ok=True)
    first = weights()
    start = {name: tensor + 1.0 for name, tensor in first.items()}
    torch.save({"model": start}, "data/pretrained/start.pth")
    start_there = {"init_from": "start.pth", "reinit": ["fc2"], "standardize": False}
    scores(workspace, monkeypatch, network=start_there, train={"max_epochs": 1, "lr": 1e-12})
    again = weights()
    assert facts()["adopted"]["reinit"] == ["fc2.weight", "fc2.bias"]
    for name, tensor in again.items():
        assert torch.allclose(tensor, start[name], atol=1e-6) is not name.startswith("fc2"), name


@pytest.mark.ml_test_score("Monitoring 3")
def test_a_recording_and_its_model_are_enough_for_the_pipelines_score(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever uses the model would have it: the file, model.json and the weights, with torchaudio's own features.

    (Which normalise nothing; test_spectra.py holds our normalisation to another implementation.)
    """
    table = scores(workspace, monkeypatch, features={"normalize": "none"}).filter(condition="clean", subset="test")
    saved = facts()
    p, windows = saved["features"], saved["windows"]
    stft = {name: p[name] for name in ("n_fft", "win_length", "hop_length", "n_mels", "f_min", "f_max")}
    mfcc = MFCC(saved["sample_rate"], n_mfcc=p["n_mfcc"], melkwargs=stft)
    mfcc.amplitude_to_DB = AmplitudeToDB("power", top_db=None)  # or frames would depend on those beside them
    model = load_model(Path("data/models/spiraconv_v2/holdout/1"), torch.device("cpu"), "torch")
    assert isinstance(model, Network)
    for name, expected in table.select("clip_id", "score").rows():
        samples, rate = soundfile.read(f"data/raw/tiny/{name}", dtype="float32")
        assert rate == saved["sample_rate"]
        frames = mfcc(torch.from_numpy(samples)).T
        step, last = round(windows["step_seconds"] * rate / p["hop_length"]), len(frames) - saved["n_frames"]
        cut = torch.stack([frames[at : at + saved["n_frames"]] for at in (*range(0, last, step), last)])
        with torch.inference_mode():
            # an MFCC differs by 1e-4 dB; standardised, a coefficient with a small spread by more
            assert float(torch.sigmoid(model.net(cut)).mean()) == pytest.approx(expected, abs=1e-4)
    assert table.height == 6
