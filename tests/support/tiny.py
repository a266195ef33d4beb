"""A corpus that can be learnt in seconds: patients hum low and pause, controls hum high and do not."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spira.base.params import load
from spira.evaluation.params import EvaluateParams
from spira.models.params import BaselineParams, NetworkParams, StatisticsParams
from spira.training.params import TrainParams

RATE = 16_000
ROOT = Path(__file__).parents[2]
GIT_IDENTITY = {f"GIT_{a}_{b}": "test@example.org" for a in ("AUTHOR", "COMMITTER") for b in ("NAME", "EMAIL")}


def write_tiny_corpus(speech: Path, noise: Path, n_speakers: int = 24) -> None:
    """``n_speakers`` clips of 2.0 to 2.5 s, half of them patients; and three recordings of noise."""
    import soundfile  # what needs a GPU and no corpus is tested without it

    rows = ["file_path,label,speaker_id,sex,age,split"]
    speech.mkdir(parents=True)
    for i in range(n_speakers):
        rng = np.random.default_rng(i)
        patient = i % 2 == 1
        t = np.arange(int(RATE * rng.uniform(2.0, 2.5))) / RATE
        hum = np.sin(2 * np.pi * rng.normal(250 if patient else 1200, 30) * t) * rng.uniform(0.3, 0.6)
        pauses = np.sin(2 * np.pi * 1.5 * t) > 0 if patient else np.ones(t.size)
        samples = hum * pauses + 0.001 * rng.standard_normal(t.size)
        soundfile.write(speech / f"clip_{i:02}.wav", samples, RATE, subtype="PCM_16")
        split = ("train", "train", "validation", "test")[i // 2 % 4]
        rows.append(
            f"clip_{i:02}.wav,{'patient' if patient else 'control'},s{i:02},{'FM'[i // 2 % 2]},{20 + i},{split}"
        )
    (speech / "metadata.csv").write_text("\n".join(rows) + "\n")
    noise.mkdir(parents=True)
    for i in range(3):
        hiss = 0.2 * np.random.default_rng(100 + i).standard_normal(3 * RATE).clip(-4, 4) / 4
        soundfile.write(noise / f"noise_{i}.wav", hiss, RATE, subtype="PCM_16")
    (noise / "metadata.csv").write_text("file_path\n" + "".join(f"noise_{i}.wav\n" for i in range(3)))


TINY_PARAMS = {
    "corpus": "tiny",
    "noise_corpus": "tiny_noise",
    "seeds": [1],
    "synthesize": {"n_speakers": 4, "n_noises": 1, "noise_seconds": {"low": 1.0, "high": 1.1}},
    "split": {"min_speakers": 1},
    "noise": {"views": 1},
    "windows": {"seconds": 1.0, "step_seconds": 1.0},
    "train": {"max_epochs": 6, "batch_size": 4, "schedule": "constant", "lr": 0.003, "device": "cpu"},
    "evaluate": {"n_resamples": 200},
    "alter": {"min_background_seconds": 0.005},
    "probe": {"min_speakers": 2, "min_pairs": 1, "n_resamples": 100, "n_shuffles": 3},
}


def tiny_params() -> dict[str, Any]:
    """The committed params.yaml with the few numbers changed that make it fast."""
    committed = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in TINY_PARAMS.items():
        committed[name] = {**committed[name], **value} if isinstance(value, dict) else value
    return dict(committed)


def network_params(**changes: object) -> NetworkParams:
    """The committed section ``network`` with some keys changed; a nested section is given as a dict."""
    committed = load("network", NetworkParams, path=ROOT / "params.yaml").model_dump()
    return NetworkParams.model_validate({**committed, **changes})


def statistics_params(**changes: object) -> StatisticsParams:
    """The committed section ``baseline.statistics`` with some keys changed."""
    committed = load("baseline", BaselineParams, path=ROOT / "params.yaml").statistics.model_dump()
    return StatisticsParams.model_validate({**committed, **changes})


def train_params(**changes: object) -> TrainParams:
    """The committed section ``train`` with some keys changed."""
    committed = load("train", TrainParams, path=ROOT / "params.yaml").model_dump()
    return TrainParams.model_validate({**committed, **changes})


def evaluate_params(**changes: object) -> EvaluateParams:
    """The committed section ``evaluate`` with some keys changed; a nested section is given as a dict."""
    committed = load("evaluate", EvaluateParams, path=ROOT / "params.yaml").model_dump()
    return EvaluateParams.model_validate({**committed, **changes})
