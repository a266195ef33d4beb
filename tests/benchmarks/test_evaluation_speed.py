"""The evaluation benchmark's table is one that `evaluate` takes as it is."""

import json
from pathlib import Path

import pytest

import evaluation_speed as benchmark
from spira.features.conditions import CONDITIONS
from spira.stages import evaluate
from tiny import evaluate_params


@pytest.mark.ml_test_score("Monitoring 6", manual=True)
def test_its_table_is_evaluated_under_every_condition(tmp_path: Path) -> None:
    """400 clips, two seeds and a baseline: random detectors of AUC 0.75 (two unit normals 1.3 * 0.707 apart), and every
    subgroup."""
    (tmp_path / "clips").mkdir()
    benchmark.write_tables(tmp_path, 400, 2)
    names = {"metrics": "metrics.json", "evaluation": "evaluation.json", "worst": "worst.csv"}
    outs = {name: tmp_path / file for name, file in names.items()}
    evaluate.run(
        "demo",
        evaluate_params(n_resamples=50),
        predictions=tmp_path / "predictions.csv",
        clips=tmp_path / "clips/clips.csv",
        plots=tmp_path / "plots",
        **outs,
    )
    found = json.loads(outs["evaluation"].read_text())
    assert list(found["models"]) == ["network", "baseline"]
    for model in found["models"].values():
        assert set(CONDITIONS) == set(model["conditions"])
        assert all(0.65 < model["conditions"][name]["metrics"]["auc"]["mean"] < 0.95 for name in CONDITIONS)
        assert set(model["subgroups"]) == {"sex", "age", "site", "device", "task"}
