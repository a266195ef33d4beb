"""predict: the frames of validation and test clips, every model -> a score a clip, condition, model and seed."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from spira.base.params import load
from spira.base.section import SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.clips.subsets import read_subsets
from spira.cluster.address import Elsewhere
from spira.cluster.shards import Shard, elsewhere, make
from spira.encoders.params import EmbeddingParams
from spira.features.conditions import CONDITIONS
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.store import read_index
from spira.models.params import CpuKernels, ModelsParams
from spira.models.store import HELD_OUT
from spira.predictions.params import PredictParams
from spira.predictions.score_shards import ScoreJob, ScoresAsked, Training
from spira.predictions.table import write_predictions


class Part:
    """The clips of one subset under one condition, as the models of one fold score them."""

    def __init__(self, fold: str, subset: str, condition: str, index: pl.DataFrame) -> None:
        self.fold, self.subset, self.condition = fold, subset, condition
        self.shards = index.partition_by("shard", maintain_order=True)  # rows of ``read_index``

    def tables(self, trainings: Iterable[Training], scores: Sequence[list[list[float]]]) -> Iterator[pl.DataFrame]:
        """A table of predictions a training, clip by clip, given the scores of each shard."""
        rows = pl.concat(self.shards).with_row_index("row")
        rows = rows.sort("clip", "view").select("clip_id", "speaker_id", "label", "row")
        names = {"fold": pl.lit(self.fold), "subset": pl.lit(self.subset), "condition": pl.lit(self.condition)}
        for number, (model, seed) in enumerate(trainings):
            found = pl.Series([score for shard in scores for score in shard[number]], dtype=pl.Float64)
            score = found.gather(rows["row"])
            yield rows.drop("row").with_columns(**names, model=pl.lit(model), seed=seed, score=score)


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
    where = elsewhere()
    _, step = windows.frames(sample_rate, frame_shape(features, embedding, sample_rate))
    folds, trainings = read_subsets(subsets), models.trainings(seeds)
    _warn_of_leftovers(trained, [f"{name}/{fold}/{seed}" for name, seed in trainings for fold in folds])
    folders = {"validation": validation, "test": test}
    parts = [
        Part(fold, subset, condition, read_index(folder, condition, getattr(clips, subset)))
        for fold, clips in folds.items()
        for subset, folder in folders.items()
        for condition in CONDITIONS
    ]
    job = ScoreJob(trainings, step, predict.batch_size, cpu_kernels, trained)
    asked = [
        ScoresAsked(part.fold, folders[part.subset], part.condition, rows["shard"][0], tuple(rows["clip_id"]))
        for part in parts
        for rows in part.shards
    ]
    scores = iter(_scored(where, job, asked))
    tables = [table for part in parts for table in part.tables(trainings, [next(scores) for _ in part.shards])]
    write_predictions(pl.concat(tables), out)


def _scored(where: Elsewhere | None, job: ScoreJob, asked: Sequence[ScoresAsked]) -> list[list[list[float]]]:
    """Of each shard, the scores of each training, here or elsewhere: in both cases a shard's clips are one batch."""
    if where:
        made = make(where, job, [Shard(one, one.clips) for one in asked], "predict")
        return [one.result for one in sorted(made)]
    score = job()
    return [score(one) for one in asked]


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
