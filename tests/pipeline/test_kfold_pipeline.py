"""Cross-validation through the real command line on the tiny corpus: the graph, no leak, the report."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose

from in_process import spira
from pipeline_clone import Clone
from spira.base.errors import DataError
from spira.base.params import load
from spira.clips.arrays import ArrayWriter
from spira.encoders.params import EmbeddingParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import longest_clip, read_renderings
from spira.models.params import CpuKernels, NetworkParams
from spira.predictions.loading import load_model
from spira.predictions.scoring import score
from spira.stages import train
from spira.training.params import TrainParams

pytestmark = pytest.mark.pipeline
FOLDS = (1, 2, 3)
TRAININGS = [f"train@pooled_cnn-{fold}-1" for fold in FOLDS]


@pytest.fixture(scope="module")
def clone(reproduced: Clone) -> Clone:
    """The committed results are of holdout, the commit after it of three folds; the corpus has no ``split`` column."""
    clone = reproduced.copy("kfold")
    metadata = clone.folder / "data/raw/tiny/metadata.csv"
    lines = [line.rpartition(",")[0] for line in metadata.read_text().splitlines()]
    metadata.unlink()
    metadata.write_text("\n".join(lines) + "\n")
    clone.dvc("add", "-q", "data/raw/tiny")
    settings = ("split.scheme=kfold", "split.folds=[1,2,3]", "train.max_epochs=2")
    clone.stages = tuple(clone.dvc_here("exp", "run", *(word for one in settings for word in ("-S", one))))
    clone.commit("three folds")
    return clone


def test_each_fold_is_trained_and_the_rest_runs_once(clone: Clone) -> None:
    """In the order in which a sweep looks at them; and then there is nothing to do."""
    assert [stage for stage in clone.stages if stage.startswith("train")] == TRAININGS
    assert clone.stages[-6:] == ("predict", "evaluate", "alter", "probe", "report", "package")
    assert [path.name for path in (clone.folder / "data/package").iterdir()] == ["README.md"]  # nothing is deployed
    assert clone.dvc("repro") == []


def test_no_model_is_trained_on_a_speaker_whom_it_tests(clone: Clone) -> None:
    """From what the stages wrote: in each fold nobody of its test is in its training or validation; all test once."""
    predictions = pl.read_csv(clone.folder / "data/predictions.csv")
    tested = predictions.filter(
        (pl.col("subset") == "test") & (pl.col("condition") == "noisy") & (pl.col("model") == "pooled_cnn")
    )
    assert tested["clip_id"].is_unique().all()
    assert tested.height == 24
    for fold in FOLDS:
        learning = pl.read_csv(clone.folder / f"data/folds/{fold}.csv")
        own = tested.filter(pl.col("fold") == fold)["clip_id"]
        assert own.len() == 8
        assert learning.height == 16
        assert not set(own) & set(learning["clip_id"])


def test_a_clip_has_one_clean_rendering_whatever_its_subset(clone: Clone) -> None:
    """Test is validation's copy, byte for byte, but under noise, which is other noise; training has the same clips."""
    features = clone.folder / "data/features"
    names = sorted(path.name for path in (features / "test").iterdir())
    assert len(names) == 2 * 3  # an array and a table of each condition
    same = {
        name: (features / "test" / name).read_bytes() == (features / "validation" / name).read_bytes() for name in names
    }
    assert same["clean-0.npy"]
    assert not same["noisy-0.npy"]
    assert pl.read_csv(features / "train/views.csv")["clip_id"].n_unique() == 24


def test_each_fold_has_its_own_model_and_scores_by_it(clone: Clone) -> None:
    """Other weights in each fold, which they name; what is written of fold 2 is what its model says of its clips."""
    weights = [(clone.folder / f"data/models/pooled_cnn/{fold}/1/weights.safetensors").read_bytes() for fold in FOLDS]
    assert len(set(weights)) == len(FOLDS)
    facts = json.loads((clone.folder / "data/models/pooled_cnn/2/1/model.json").read_text())
    assert (facts["fold"], facts["seed"]) == ("2", 1)
    written = pl.read_csv(clone.folder / "data/predictions.csv").filter(
        (pl.col("model") == "pooled_cnn")
        & (pl.col("fold") == 2)
        & (pl.col("subset") == "test")
        & (pl.col("condition") == "clean")
    )
    clips = written["clip_id"].to_list()
    model = load_model(clone.folder / "data/models/pooled_cnn/2/1", torch.device("cpu"), "compiled")
    frames, table = read_renderings(clone.folder / "data/features/test", "clean", clips)
    assert table["clip_id"].to_list() == clips
    assert_allclose(score(model, frames, step=100, batch_size=8), written["score"].to_numpy(), atol=1e-6)


def test_a_models_weights_know_nothing_of_whom_it_tests(clone: Clone, tmp_path: Path) -> None:
    """With noise in place of every frame of fold 2's test clips, it trains to the same bytes; of its own clips, not."""
    learning = pl.read_csv(clone.folder / "data/folds/2.csv")
    own = learning.filter(pl.col("subset") == "train")["clip_id"].to_list()
    kept = (clone.folder / "data/models/pooled_cnn/2/1/weights.safetensors").read_bytes()
    tested = set(pl.read_csv(clone.folder / "data/features/train/views.csv")["clip_id"]) - set(learning["clip_id"])
    assert trained_with_noise_for(tested, clone, tmp_path / "tested") == kept
    assert trained_with_noise_for({own[0]}, clone, tmp_path / "own") != kept


def trained_with_noise_for(clips: set[str], clone: Clone, folder: Path) -> bytes:
    """The weights of fold 2 and seed 1 where the frames of some clips are noise."""
    for subset in ("train", "validation"):
        shutil.copytree(clone.folder / "data/features" / subset, folder / subset)
    for name in ("train/views", "validation/clean", "validation/noisy"):
        array = np.load(folder / f"{name}-0.npy")
        for row in pl.read_csv(folder / f"{name}.csv").filter(pl.col("clip_id").is_in(clips)).rows(named=True):
            array[row["start"] : row["start"] + row["n_frames"]] = 100.0
        with ArrayWriter(folder / f"{name}-0.npy", array.shape[1]) as writer:
            writer.append(array)
    params = clone.folder / "params.yaml"
    train.run(
        16_000,
        load("features", FeatureParams, path=params),
        load("embedding", EmbeddingParams, path=params),
        load("windows", WindowParams, path=params),
        load("network", NetworkParams, path=params),
        load("train", TrainParams, path=params),
        load("cpu_kernels", CpuKernels, path=params),
        model="pooled_cnn",
        fold="2",
        seed=1,
        folds=clone.folder / "data/folds",
        training=folder / "train",
        validation=folder / "validation",
        models=folder / "models",
        curves=folder / "curves",
    )
    return (folder / "models/pooled_cnn/2/1/weights.safetensors").read_bytes()


def test_another_table_of_a_fold_retrains_that_fold_alone(clone: Clone) -> None:
    """Which clips a training may hear is a dependency of its own."""
    table = clone.folder / "data/folds/2.csv"
    kept = table.read_text()
    table.unlink()  # a link into the cache
    table.write_text(kept.replace("train", "validation", 1))
    changed = clone.run("dvc", "status", "train@pooled_cnn-1-1", "train@pooled_cnn-2-1", "--json").stdout
    table.write_text(kept)
    assert "train@pooled_cnn-2-1" in changed
    assert "train@pooled_cnn-1-1" not in changed


def test_clips_without_features_are_named(clone: Clone) -> None:
    """A fold's table that is newer than the features: the file, the clip and the command."""
    with pytest.raises(
        DataError, match=r"views\.csv: 1 clips of this fold are missing, such as gone\.wav; run: dvc repro feat"
    ):
        longest_clip(clone.folder / "data/features/train", "views", ["gone.wav", "clip_01.wav"])


def test_the_report_does_not_pair_folds_with_a_held_out_test(clone: Clone) -> None:
    """Point estimates, the reason, the subsets of every fold; against itself it says what a training is."""
    environment = clone.environment()
    against_holdout = spira(clone.folder, "review", "HEAD~1", "HEAD", environment=environment).stdout
    assert "No verdict: split.scheme differs, holdout against kfold" in against_holdout
    assert "| split.scheme | holdout | kfold |" in against_holdout
    assert re.search(r"^\| test of fold 3 \| speakers \| – \| 8 \|$", against_holdout, re.MULTILINE)
    itself = spira(clone.folder, "review", "HEAD", "HEAD", environment=environment).stdout
    words = "a training is 3 models, and each scores the speakers on whom it was not trained."
    assert f"3-fold cross-validation: {words}" in itself
    assert "24 test speakers (12 patients), 24 clips, 1 and 1 trainings." in itself
    assert "| 3-1 | " in itself
