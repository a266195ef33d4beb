"""predict: the frames of validation and test clips, the weights of every seed -> a score a clip, condition and seed."""

from pathlib import Path

import polars as pl

from spira.adapters.engine import prepare
from spira.adapters.frames import read_windows
from spira.adapters.models import frames_in_window, load_model
from spira.adapters.predictions import write_predictions
from spira.core.features import FeatureParams
from spira.core.noise import CONDITIONS
from spira.core.scoring import PredictParams, clip_scores
from spira.core.section import SampleRate, Seeds
from spira.core.windows import WindowParams
from spira.errors import told
from spira.params import load


def run(
    seeds: tuple[int, ...],
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    predict: PredictParams,
    *,
    models: Path = Path("data/models"),
    validation: Path = Path("data/features/validation"),
    test: Path = Path("data/features/test"),
    out: Path = Path("data/predictions.csv"),
) -> None:
    device = prepare("auto", seed=0)  # nothing is drawn
    _, step = windows.frames(sample_rate, features.hop_length)
    nets = {seed: load_model(models / str(seed), device) for seed in seeds}
    lengths = {seed: frames_in_window(models / str(seed)) for seed in seeds}  # that each was trained on
    _name_leftovers(models, seeds)
    tables = []
    for subset, folder in (("validation", validation), ("test", test)):
        for condition in CONDITIONS:
            heard = {
                n: read_windows(folder, condition, length=n, step=step, device=device) for n in set(lengths.values())
            }
            for seed, net in nets.items():
                to_score, clips = heard[lengths[seed]]
                scores = clip_scores(net, to_score, len(clips), predict.batch_size).numpy()
                tables.append(
                    clips.with_columns(subset=pl.lit(subset), condition=pl.lit(condition), seed=seed, score=scores)
                )
    write_predictions(pl.concat(tables), out)


def _name_leftovers(models: Path, seeds: tuple[int, ...]) -> None:
    """A seed taken off the list leaves its folder, which DVC counts as part of ``data/models``."""
    for folder in sorted(models.iterdir()):
        if folder.name not in map(str, seeds):
            print(f"{folder}: not in seeds={list(seeds)}, so not used; remove it to keep dvc.lock free of it")


if __name__ == "__main__":
    with told():
        run(
            load("seeds", Seeds),
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("predict", PredictParams),
        )
