"""The whole path on an encoder's frames, from recordings to scores of altered clips."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from random_encoders import write_resemblyzer
from stage_path import prepare, run_alter, run_predict, run_to_features, run_training

CHANGES: dict[str, dict[str, object]] = {
    "features": {"kind": "embedding"},
    "embedding": {"file": "e.safetensors"},
    "windows": {"seconds": 2.0, "step_seconds": 1.0},
    "models": {"networks": ["pooled_cnn"], "baselines": ["statistics"]},
    "train": {"max_epochs": 2},
    "alter": {"n_clips": 2},
}


def features_of(root: Path, n_workers: int) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        prepare(root, patch, **CHANGES)
        write_resemblyzer(Path("data/pretrained/e.safetensors"))
        run_to_features(n_workers)
    return {path.name: path.read_bytes() for path in (root / "data/features").rglob("*.*")}


def test_every_sort_of_model_learns_from_an_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames, trainings, scores and altered clips; the same frames by one thread and by two."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert features_of(tmp_path / "one", 1) == features_of(tmp_path / "two", 2)
    monkeypatch.chdir(tmp_path / "two")
    run_training(1)
    run_predict((1,))
    run_alter((1,), n_workers=2)
    for model, n_frames in (("pooled_cnn/holdout/1", 2), ("statistics/holdout/0", None)):
        facts = json.loads(Path(f"data/models/{model}/model.json").read_text())
        assert facts["n_features"] == 256
        assert facts["embedding"]["architecture"] == "resemblyzer"
        assert facts.get("n_frames") == n_frames
    clean, louder = pl.read_csv("data/predictions.csv"), pl.read_csv("data/altered.csv").filter(condition="louder")
    both = louder.join(clean.filter(condition="clean"), on=["model", "clip_id"])
    assert len(both) == 4
    np.testing.assert_allclose(both["score"], both["score_right"], atol=1e-3)
