"""An encoder's frames and the scores of several folds have the same bytes where workers of a cluster make them."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

import polars as pl
import pytest

from random_encoders import write_resemblyzer
from spira.cluster.address import Local, Scheduler
from spira.cluster.shards import Finished, make
from spira.features.frame_shards import FrameJob
from spira.ingest import waveforms
from spira.stages import featurize
from stage_path import prepare, run_alter, run_featurize, run_predict, run_to_features, run_training
from tiny import ROOT

pytestmark = pytest.mark.long
FOLDS = (1, 2, 3)
CHANGES: dict[str, dict[str, object]] = {
    "split": {"scheme": "kfold", "folds": FOLDS},
    "features": {"kind": "embedding"},
    "embedding": {"file": "e.safetensors"},
    "windows": {"seconds": 2.0, "step_seconds": 1.0},
    "models": {"networks": ["pooled_cnn"], "baselines": ["statistics"]},
    "train": {"max_epochs": 1},
    "alter": {"n_clips": 2},
}


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose stages ran in this process: frames, trainings of each fold, scores."""
    at = tmp_path_factory.mktemp("folds")
    with pytest.MonkeyPatch.context() as patch:
        prepare(at, patch, **CHANGES)
        patch.setattr(featurize, "count_shards", lambda *_: 4)
        patch.setattr(waveforms, "count_shards", lambda *_: 3)
        metadata = Path("data/raw/tiny/metadata.csv")
        pl.read_csv(metadata).drop("split").write_csv(metadata)
        write_resemblyzer(Path("data/pretrained/e.safetensors"))
        run_to_features(n_workers=2)
        for fold in FOLDS:
            run_training(1, str(fold))
        run_predict((1,))
        run_alter((1,), n_workers=2)
    return at


@pytest.fixture
def workspace(folds: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folds)
    monkeypatch.setattr(featurize, "count_shards", lambda *_: 4)
    copy(ROOT / "requirements.txt", folds)  # whose versions a worker is compared by
    return folds


def outputs(*names: str) -> dict[str, bytes]:
    files = [file for name in names for file in (Path(name), *Path(name).rglob("*")) if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def test_every_fold_is_scored_the_same(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own models, fitted without a clip's speaker where that is one of validation; altered clips too.

    A worker has nothing but what it is sent: of models, frames and the encoder no file is forgotten.
    """
    scores = ("data/predictions.csv", "data/altered.csv")
    before = outputs(*scores)
    for name in scores:
        (workspace / name).unlink()
    monkeypatch.setenv("SPIRA_CLUSTER", "local:2")
    monkeypatch.setenv("SPIRA_CLUSTER_STORAGE", f"file://{tmp_path}")
    run_predict((1,))
    run_alter((1,), n_workers=2)
    assert outputs(*scores) == before


def test_an_encoders_frames_are_the_same_and_kept(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run's worker reads what the first run's have kept, but for what is damaged since.

    Where it is, workers are told by a path that also one finds who has the folder elsewhere.
    """
    before, told = outputs("data/features"), []

    def watched(where: Local | Scheduler, job: FrameJob, *rest: Any) -> Iterator[Finished]:
        told.append(job.kept)
        return make(where, job, *rest)

    monkeypatch.setattr("spira.stages.featurize.make", watched)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setenv("SPIRA_CLUSTER", "local:2")
    featurized_anew()
    assert outputs("data/features") == before
    first = kept()
    damaged = min(first)
    damaged.write_bytes(b"cut short")
    rmtree(".ckpt/featurize")  # whole shards
    monkeypatch.setenv("SPIRA_CLUSTER", "local:1")
    featurized_anew()
    assert outputs("data/features") == before
    assert kept().items() - first.items() == {(damaged, damaged.stat().st_ino)}
    assert set(told) == {damaged.parent}


def test_an_encoders_frames_are_kept_on_no_disk_but_the_stages_own(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a stage keeps them outside of its folder, as an experiment in a copy does, a worker would never tidy up."""
    before = outputs("data/features")
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setenv("SPIRA_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("SPIRA_CLUSTER", "local:2")
    monkeypatch.setenv("SPIRA_CLUSTER_STORAGE", f"file://{tmp_path}/storage")
    featurized_anew()
    assert outputs("data/features") == before
    assert not (tmp_path / "checkpoints/encoded").exists()


def featurized_anew() -> None:
    rmtree("data/features")
    run_featurize(n_workers=2)


def kept() -> dict[Path, int]:
    """Which file each rendering's frames are kept in."""
    return {file: file.stat().st_ino for file in Path(".ckpt/encoded").rglob("*") if file.is_file()}
