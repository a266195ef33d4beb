"""Every stage after the other in this process, on the tiny corpus."""

from pathlib import Path

import pytest
import yaml

from spira.base.params import load
from spira.encoders.params import EmbeddingParams
from spira.evaluation.params import EvaluateParams
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.ingest.acceptance import IngestParams
from spira.models.params import BaselineParams, CpuKernels, ModelsParams, NetworkParams
from spira.predictions.params import PredictParams
from spira.probes.alterations import AlterParams
from spira.probes.background import BackgroundParams
from spira.probes.study import ProbeParams
from spira.split.holdout import SplitParams
from spira.stages import alter, evaluate, featurize, fit, ingest, ingest_noise, predict, probe, split, train
from spira.training.params import TrainParams
from tiny import tiny_params, write_tiny_corpus

SEEDS = (1, 2)


def prepare(root: Path, monkeypatch: pytest.MonkeyPatch, **changes: dict[str, object]) -> None:
    """An empty workspace with the tiny corpus and params.yaml, which becomes the working folder."""
    monkeypatch.chdir(root)
    write_tiny_corpus(root / "data/raw/tiny", root / "data/raw/tiny_noise")
    params = tiny_params()
    for section, values in changes.items():
        params[section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params))


def run_to_features(n_workers: int) -> None:
    ingested = load("ingest", IngestParams)
    ingest.run(16_000, ingested, corpus=Path("data/raw/tiny"), n_workers=n_workers)
    ingest_noise.run(16_000, ingested, noise_corpus=Path("data/raw/tiny_noise"), n_workers=n_workers)
    split.run(16_000, load("split", SplitParams))
    run_featurize(n_workers)


def run_featurize(n_workers: int) -> None:
    featurize.run(
        16_000,
        load("features", FeatureParams),
        load("embedding", EmbeddingParams),
        load("windows", WindowParams),
        load("noise", NoiseParams),
        n_workers=n_workers,
    )


def run_training(seed: int, fold: str = "holdout") -> None:
    """Trains every network of params.yaml with a seed, and fits every baseline."""
    models = load("models", ModelsParams)
    for model in models.networks:
        train.run(
            16_000,
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("windows", WindowParams),
            load("network", NetworkParams),
            load("train", TrainParams),
            load("cpu_kernels", CpuKernels),
            model=model,
            fold=fold,
            seed=seed,
        )
    for model in models.baselines:
        sections = load("features", FeatureParams), load("embedding", EmbeddingParams), load("baseline", BaselineParams)
        fit.run(16_000, *sections, model=model, fold=fold)


def run_predict(seeds: tuple[int, ...] = SEEDS) -> None:
    features, windows = load("features", FeatureParams), load("windows", WindowParams)
    embedding = load("embedding", EmbeddingParams)
    sections = load("predict", PredictParams), load("cpu_kernels", CpuKernels)
    predict.run(load("models", ModelsParams), seeds, 16_000, features, embedding, windows, *sections)


def run_to_metrics() -> None:
    run_predict()
    evaluate.run("tiny", load("evaluate", EvaluateParams))


def run_alter(seeds: tuple[int, ...], n_workers: int) -> None:
    alter.run(
        load("models", ModelsParams),
        seeds,
        16_000,
        load("features", FeatureParams),
        load("embedding", EmbeddingParams),
        load("windows", WindowParams),
        load("predict", PredictParams),
        load("background", BackgroundParams),
        load("noise", NoiseParams),
        load("alter", AlterParams),
        load("cpu_kernels", CpuKernels),
        n_workers=n_workers,
    )


def run_to_probes(n_workers: int) -> None:
    run_alter(SEEDS, n_workers)
    sections = load("features", FeatureParams), load("embedding", EmbeddingParams), load("background", BackgroundParams)
    probe.run("tiny", 16_000, *sections, load("probe", ProbeParams), n_workers=n_workers)
