"""predict: the frames of validation and test clips, every model -> a score a clip, condition, model and seed."""

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
from spira.encoders.params import EmbeddingParams
from spira.features.conditions import CONDITIONS
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.store import read_renderings
from spira.models.device import prepare
from spira.models.params import CpuKernels, ModelsParams
from spira.models.store import HELD_OUT
from spira.predictions.loading import load_held_out, load_model
from spira.predictions.params import PredictParams
from spira.predictions.scoring import score_each
from spira.predictions.table import write_predictions


def run(
    models: ModelsParams,
    seeds: tuple[int, ...],
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    windows: WindowParams,
    predict: PredictParams,
    cpu_kernels: CpuKernels,
    *,
    subsets: Path = Path("data/subsets.csv"),
    trained: Path = Path("data/models"),
    validation: Path = Path("data/features/validation"),
    test: Path = Path("data/features/test"),
    out: Path = Path("data/predictions.csv"),
) -> None:
    device = prepare("auto", seed=0)  # nothing is drawn
    _, step = windows.frames(sample_rate, frame_shape(features, embedding, sample_rate))
    folds, trainings = read_subsets(subsets), models.trainings(seeds)
    _warn_of_leftovers(trained, [f"{name}/{fold}/{seed}" for name, seed in trainings for fold in folds])
    tables = []
    for fold, clips in folds.items():
        folders = {(name, seed): trained / name / fold / str(seed) for name, seed in trainings}
        loaded = {training: load_model(folder, device, cpu_kernels) for training, folder in folders.items()}
        unmet = {training: load_held_out(folder, device, cpu_kernels) for training, folder in folders.items()}
        for subset, folder, members in (("validation", validation, clips.validation), ("test", test, clips.test)):
            for condition in CONDITIONS:
                frames, table = read_renderings(folder, condition, members)
                names = {"fold": pl.lit(fold), "subset": pl.lit(subset), "condition": pl.lit(condition)}
                for (name, seed), model in loaded.items():
                    models_of_clips = [unmet[name, seed].get(clip, model) for clip in table["clip_id"]]
                    scores = score_each(models_of_clips, frames, step=step, batch_size=predict.batch_size)
                    tables.append(table.with_columns(**names, model=pl.lit(name), seed=seed, score=scores))
    write_predictions(pl.concat(tables), out)


def _warn_of_leftovers(trained: Path, used: Sequence[str]) -> None:
    """Prints the folders of what left params.yaml: DVC counts them as part of ``data/models``."""
    for file in sorted(trained.rglob("model.json")):
        folder = file.parent
        if folder.parent.name != HELD_OUT and folder.relative_to(trained).as_posix() not in used:
            print(
                f"{folder}: not used, params.yaml lists no such model, fold and seed; remove it, or dvc.lock will "
                "count it"
            )


if __name__ == "__main__":
    with as_stage():
        run(
            load("models", ModelsParams),
            load("seeds", Seeds),
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("windows", WindowParams),
            load("predict", PredictParams),
            load("cpu_kernels", CpuKernels),
        )
