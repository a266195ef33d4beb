"""A package of a model that nobody trained: its scores mean nothing, but differ from recording to recording."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from populations import draw, reference
from spira.base.params import load
from spira.base.section import SampleRate
from spira.baselines.statistics import FrameLayout, clip_statistics
from spira.encoders.params import EmbeddingParams
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.ingest.acceptance import IngestParams
from spira.models.store import save_model
from spira.package.build import Sources, build
from spira.predictions.params import PredictParams
from tiny import ROOT

PARAMS = ROOT / "params.yaml"
TASKS = ("rhyme", "sentence")


def write_package(folder: Path, ingest: Mapping[str, object] | None = None, encoder: Path | None = None) -> Path:
    """``folder/package``, with the features of params.yaml, or of an encoder.

    Args:
        folder: where its sources are written too.
        ingest: the limits on recordings; None for those of params.yaml.
        encoder: a file of Resemblyzer's weights, whose frames the model is given.
    """
    features = load("features", FeatureParams, path=PARAMS)
    embedding = load("embedding", EmbeddingParams, path=PARAMS)
    if encoder:
        features = features.model_copy(update={"kind": "embedding"})
        embedding = embedding.model_copy(update={"architecture": "resemblyzer", "file": encoder.name})
    sample_rate = load("sample_rate", SampleRate, path=PARAMS)
    _write_model(features, frame_shape(features, embedding, sample_rate).n_features, sample_rate, folder / "model")
    for name in ("clips.csv", "card.md"):
        (folder / name).write_text("nothing\n", encoding="utf-8")
    settings = {
        "corpus": "nobody's",
        "model": "statistics",
        "deployed_because": "A test needs one.",
        "tasks": TASKS,
        "sample_rate": sample_rate,
        "ingest": IngestParams.model_validate(ingest) if ingest else load("ingest", IngestParams, path=PARAMS),
        "features": features,
        "embedding": embedding,
        "windows": load("windows", WindowParams, path=PARAMS),
        "predict": load("predict", PredictParams, path=PARAMS),
        "threshold_condition": "noisy",
        "threshold": 0.6,
        "inconclusive_width": 0.2,
    }
    sources = Sources(
        {"0": folder / "model"}, (folder / "card.md",), ROOT / "requirements.txt", folder / "clips.csv", encoder
    )
    build(settings, {}, sources, reference(draw(0, 40)), "3.11.0", folder / "package")
    return folder / "package"


def _write_model(features: FeatureParams, n_features: int, sample_rate: int, folder: Path) -> None:
    layout = FrameLayout(features.kind, features.n_mels, sample_rate / features.hop_length)
    n = clip_statistics(np.ones((50, n_features), np.float32), "small", layout).size
    rng = np.random.default_rng(0)
    numbers = {"centre": np.zeros(n), "spread": np.full(n, 20.0), "weight": rng.normal(size=n)}
    weights = {name: torch.from_numpy(values) for name, values in numbers.items()} | {"bias": torch.tensor(-2.0)}
    facts = {
        "model": "statistics",
        "features": features.model_dump(mode="json"),
        "sample_rate": sample_rate,
        "block": "small",
        "n_statistics": n,
    }
    save_model(weights, facts, folder)
