"""Packages of the tiny corpus: one of a network's ensemble, one of a baseline."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from spira.base.params import load
from spira.evaluation.params import EvaluateParams
from spira.stages import evaluate, package
from stage_path import prepare, run_predict, run_to_features, run_training

MODELS = ("pooled_cnn", "statistics")
SEEDS = (1, 2)


class Packaged(NamedTuple):
    """A workspace whose models are packed, each by its name under ``packages``."""

    root: Path

    def package(self, model: str) -> Path:
        return self.root / "packages" / model

    @property
    def recordings(self) -> Path:
        return self.root / "data/raw/tiny"


def made(root: Path) -> None:
    """Every stage that a package needs, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        prepare(root, patch, train={"max_epochs": 2})
        run_to_features(n_workers=1)
        for seed in SEEDS:
            run_training(seed)
        run_predict(SEEDS)
        for name in ("probes.json", "report/model_card.md", "report/data_card.md"):
            Path("data", name).parent.mkdir(exist_ok=True)
            Path("data", name).write_text(json.dumps({"of": name}))
        Path("requirements.txt").write_bytes((Path(__file__).parents[2] / "requirements.txt").read_bytes())
        p = load("evaluate", EvaluateParams)
        for model in MODELS:
            evaluate.run("tiny", p.model_copy(update={"deploy": model}))
            package.run(out=Path("packages", model))
