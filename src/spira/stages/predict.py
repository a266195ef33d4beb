"""predict: the frames of validation and test clips, every model -> a score a clip, condition and seed."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from spira.base.params import load
from spira.base.section import SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.clips.subsets import read_subsets
from spira.features.conditions import CONDITIONS
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import read_windows
from spira.models.device import prepare
from spira.models.params import CpuKernels
from spira.models.store import frames_in_window, load_model
from spira.predictions.params import PredictParams
from spira.predictions.scoring import clip_scores
from spira.predictions.table import write_predictions


def run(
    seeds: tuple[int, ...],
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    predict: PredictParams,
    cpu_kernels: CpuKernels,
    *,
    subsets: Path = Path("data/subsets.csv"),
    models: Path = Path("data/models"),
    validation: Path = Path("data/features/validation"),
    test: Path = Path("data/features/test"),
    out: Path = Path("data/predictions.csv"),
) -> None:
    device = prepare("auto", seed=0)  # nothing is drawn
    _, step = windows.frames(sample_rate, features.hop_length)
    folds = read_subsets(subsets)
    _warn_of_leftovers(models, [f"{fold}/{seed}" for fold in folds for seed in seeds])
    tables = []
    for fold, clips in folds.items():
        nets = {seed: load_model(models / fold / str(seed), device, cpu_kernels) for seed in seeds}
        lengths = {seed: frames_in_window(models / fold / str(seed)) for seed in seeds}  # that each was trained on
        for subset, folder, members in (("validation", validation, clips.validation), ("test", test, clips.test)):
            for condition in CONDITIONS:
                cut = {
                    n: read_windows(folder, condition, members, length=n, step=step, device=device)
                    for n in set(lengths.values())
                }
                for seed, net in nets.items():
                    own_windows, table = cut[lengths[seed]]
                    scores = clip_scores(net, own_windows, len(table), predict.batch_size).numpy()
                    names = {"fold": pl.lit(fold), "subset": pl.lit(subset), "condition": pl.lit(condition)}
                    tables.append(table.with_columns(**names, seed=seed, score=scores))
    write_predictions(pl.concat(tables), out)


def _warn_of_leftovers(models: Path, used: Sequence[str]) -> None:
    """Prints the folders of seeds or folds that left params.yaml: DVC counts them as part of ``data/models``."""
    for file in sorted(models.rglob("model.json")):
        folder = file.parent
        if folder.relative_to(models).as_posix() not in used:
            print(f"{folder}: not used, params.yaml lists no such fold and seed; remove it, or dvc.lock will count it")


if __name__ == "__main__":
    with as_stage():
        run(
            load("seeds", Seeds),
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("predict", PredictParams),
            load("cpu_kernels", CpuKernels),
        )
