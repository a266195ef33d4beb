"""alter: the test clips, every model -> their scores in other forms and over other people's background."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from spira.base.params import load
from spira.base.section import SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.clips.parallel import progress
from spira.clips.subsets import read_subsets
from spira.cluster.address import Elsewhere
from spira.cluster.shards import Shard, elsewhere, make
from spira.encoders.params import EmbeddingParams
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.models.params import CpuKernels, ModelsParams
from spira.predictions.params import PredictParams
from spira.predictions.table import write_predictions
from spira.probes.alterations import AlterParams
from spira.probes.altered_scores import AlteredScores, AlterJob, Clip
from spira.probes.background import BackgroundParams


def run(
    models: ModelsParams,
    seeds: tuple[int, ...],
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    windows: WindowParams,
    predict: PredictParams,
    background: BackgroundParams,
    noise: NoiseParams,
    alter: AlterParams,
    cpu_kernels: CpuKernels,
    *,
    clips: Path = Path("data/clips"),
    noises: Path = Path("data/noise"),
    subsets: Path = Path("data/subsets.csv"),
    trained: Path = Path("data/models"),
    pretrained: Path = Path("data/pretrained"),
    out: Path = Path("data/altered.csv"),
    n_workers: int | None = None,
) -> None:
    where = elsewhere()
    _, step = windows.frames(sample_rate, frame_shape(features, embedding, sample_rate))
    tested = {fold: frozenset(members.test) for fold, members in read_subsets(subsets).items()}
    job = AlterJob(
        models=tuple((name, fold, seed) for fold in tested for name, seed in models.trainings(seeds)),
        sample_rate=sample_rate,
        features=features,
        embedding=embedding,
        windows=windows,
        step=step,
        batch_size=predict.batch_size,
        background=background,
        noise=noise,
        alter=alter,
        cpu_kernels=cpu_kernels,
        tested=tested,
        clips=clips,
        noises=noises,
        trained=trained,
        pretrained=pretrained,
        n_workers=n_workers,
    )
    altered = job()
    if not altered.altered.lenders:
        print(
            "alter: backgrounds are not swapped, because patients or controls have fewer than two speakers with "
            f"alter.min_background_seconds={alter.min_background_seconds} of background"
        )
    tables = [
        _table(altered.tested(fold), scores, model=name, fold=fold, condition=alteration, seed=seed)
        for alteration, by_model in zip(altered.alterations, _scored(where, job, altered), strict=True)
        for (name, fold, seed), scores in zip(job.models, by_model, strict=True)
        if scores
    ]
    write_predictions(pl.concat(tables), out)
    n_models = len(job.models)
    print(f"{len(altered.picked)} test clips scored under {len(altered.alterations)} alterations by {n_models} models")


def _scored(where: Elsewhere | None, job: AlterJob, altered: AlteredScores) -> list[list[list[float]]]:
    """Of each alteration, the scores of each model, here or elsewhere."""
    names = [clip.clip_id for clip in altered.picked]
    if where:
        shards = [Shard(alteration, names) for alteration in altered.alterations]
        return [one.result for one in sorted(make(where, replace(job, n_workers=1), shards, "alter"))]
    return [
        altered.scores(progress(altered.frames(alteration), len(names), alteration))
        for alteration in altered.alterations
    ]


def _table(
    clips: Sequence[Clip], scores: Sequence[float], *, model: str, fold: str, condition: str, seed: int
) -> pl.DataFrame:
    facts = pl.DataFrame(
        [(clip.clip_id, clip.speaker_id, clip.label) for clip in clips],
        schema=["clip_id", "speaker_id", "label"],
        orient="row",
    )
    same = {"model": pl.lit(model), "fold": pl.lit(fold), "subset": pl.lit("test"), "condition": pl.lit(condition)}
    return facts.with_columns(**same, seed=pl.lit(seed, pl.Int64), score=pl.Series(scores, dtype=pl.Float64))


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
            load("background", BackgroundParams),
            load("noise", NoiseParams),
            load("alter", AlterParams),
            load("cpu_kernels", CpuKernels),
        )
