"""featurize: waveforms, noise and subsets -> the frames of every clip, in arrays of a subset and condition."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl

from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import PLACE
from spira.clips.shards import SHARD_BYTES, assign_shards, count_shards
from spira.clips.subsets import read_subsets
from spira.cluster.address import Elsewhere
from spira.cluster.shards import Finished, Shard, elsewhere, make
from spira.encoders.params import EmbeddingParams
from spira.features.cache import Shards, work_folder
from spira.features.conditions import CONDITIONS, TRAINING_VIEWS, Condition
from spira.features.frame_shards import Clip, FrameJob, ShardAsked, ShardMaker, View, cache_key
from spira.features.noise import NoiseBanks, NoiseParams
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.rendering import Renderer
from spira.features.store import IndexRow, remove_index, shard_path, write_index
from spira.split.holdout import SUBSETS, Subset

_CLIPS: dict[str, type[pl.DataType]] = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    **PLACE,
    "digest": pl.String,
}
_FLOAT_BYTES = 4  # of a number in a frame


class Array(NamedTuple):
    """The frames of one subset's clips under one condition, or of its training views."""

    folder: Path
    name: str
    views: tuple[View, ...]
    clips: list[Clip]
    shards: list[int]  # of each clip

    def by_shard(self) -> Iterator["ArrayShard"]:
        numbered = sorted(zip(self.shards, range(len(self.clips)), strict=True))
        for shard, clips in groupby(numbered, lambda one: one[0]):
            asked = ShardAsked(tuple(self.clips[i] for _, i in clips), self.views)
            yield ArrayShard(shard_path(self.folder, self.name, shard), asked)


class ArrayShard(NamedTuple):
    """One file of an array."""

    path: Path
    asked: ShardAsked


def run(
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    windows: WindowParams,
    noise: NoiseParams,
    *,
    clips: Path = Path("data/clips"),
    noises: Path = Path("data/noise"),
    subsets: Path = Path("data/subsets.csv"),
    pretrained: Path = Path("data/pretrained"),
    out: Path = Path("data/features"),
    n_workers: int | None = None,
) -> None:
    where = elsewhere()
    table = read_table(clips / "clips.csv", _CLIPS).sort("clip_id")
    members = _members(subsets)
    job = FrameJob(sample_rate, features, embedding, windows, noise, clips, noises, pretrained)
    banks, renderer = job.banks(), job.renderer()
    print(_banks_line(banks))
    encodes = features.kind == "embedding"
    facts, read = _shared_facts(features, noise, renderer, sample_rate), [one.path for one in job.reads()]
    facts |= {"embedding": embedding.model_dump()} if encodes else {}
    cache = Shards("featurize", facts, read)
    keeps = encodes and not (where and where.storage)  # a spectrum takes milliseconds; no other disk is written to
    job = replace(job, kept=_kept(facts, read) if keeps else None)
    shape = frame_shape(features, embedding, sample_rate)
    arrays = []
    for subset, name, views in _arrays(noise):
        rows = [Clip(*row) for row in table.filter(pl.col("clip_id").is_in(members[subset])).select(*_CLIPS).rows()]
        n_frames = sum(shape.n_frames(max(row.n_samples, renderer.shortest)) for row in rows)
        n_shards = count_shards(_FLOAT_BYTES * shape.n_features * len(views) * n_frames, SHARD_BYTES)
        shards = assign_shards([row.clip_id for row in rows], n_shards)
        arrays.append(Array(out / subset, name, tuple(views), rows, shards))
        remove_index(out / subset, name)
    maker = job.maker(banks, renderer)
    parts = [one for array in arrays for one in array.by_shard()]
    lengths, n_made = _write(parts, cache, maker, lambda to_make: _made(to_make, where, job, maker, n_workers))
    for array in arrays:
        write_index(_index(array, lengths), array.folder, array.name)
    cache.forget_others()
    if kept := maker.render.kept:
        kept.forget_others()
    if n_made < len(lengths):
        print(f"{len(lengths) - n_made} of {len(lengths)} arrays of frames have not changed and were reused")


def _shared_facts(
    features: FeatureParams, noise: NoiseParams, renderer: Renderer, sample_rate: int
) -> dict[str, object]:
    """All that the frames of every clip depend on; numbers of noises and views are each clip's own."""
    facts = {"sample_rate": sample_rate, "shortest": renderer.shortest, "torchaudio": version("torchaudio")}
    per_clip = {"views", "clean_weight", "n_patient", "n_control"}
    return facts | {"features": features.model_dump(), "noise": noise.model_dump(exclude=per_clip)}


def _kept(facts: dict[str, object], read: list[Path]) -> Path | None:
    """Seen from the current folder where it is in that: a worker may have both at another path, and DVC_ROOT is one."""
    folder, here = work_folder("encoded", facts, read), Path.cwd()
    return folder.relative_to(here) if folder and folder.is_relative_to(here) else folder


def _banks_line(banks: NoiseBanks) -> str:
    if banks.training is banks.test:
        return f"noise: all {len(banks.test)} recordings, for training, validation and test alike"
    return f"noise: {len(banks.training)} recordings for training and validation, {len(banks.test)} others for test"


def _write(
    shards: list[ArrayShard],
    cache: Shards,
    maker: ShardMaker,
    made: Callable[[list[ArrayShard]], Iterator[Finished]],
) -> tuple[dict[Path, list[int]], int]:
    """Makes or restores all shards: the numbers of frames in each, by its path, and how many had to be made."""
    n_frames: dict[Path, list[int]] = {}
    n_made = 0
    while left := [shard for shard in shards if shard.path not in n_frames]:
        to_make: dict[tuple[object, ...], ArrayShard] = {}  # one of each: an array may hold the clips of another
        for shard in left:
            key = _key(shard, maker)
            if key in to_make:
                continue
            if (known := cache.restored(shard.path, key)) is None:
                to_make[key] = shard
            else:
                n_frames[shard.path] = known
        missing = list(to_make.items())
        for number, lengths, digest in made([shard for _, shard in missing]):
            key, shard = missing[number]
            n_frames[shard.path] = lengths
            cache.keep(shard.path, key, lengths, digest)
        n_made += len(missing)
    return n_frames, n_made


def _key(shard: ArrayShard, maker: ShardMaker) -> tuple[object, ...]:
    key = tuple(cache_key(rendering) for rendering in shard.asked.renderings())
    if maker.render.kept:
        maker.render.kept.use(key)
    return key


def _made(
    shards: list[ArrayShard], where: Elsewhere | None, job: FrameJob, maker: ShardMaker, n_workers: int | None
) -> Iterator[Finished]:
    """Each shard once it is made: here, by threads that know no end of a shard, or elsewhere, a shard at once."""
    if where:
        named = [Shard(asked, [one.clip.clip_id for one in asked.renderings()], path) for path, asked in shards]
        yield from make(where, job, named, "featurize")
        return
    renderings = (rendering for shard in shards for rendering in shard.asked.renderings())
    n_renderings = sum(len(shard.asked.clips) * len(shard.asked.views) for shard in shards)
    frames = progress(ordered_map(maker.render, renderings, n_workers), n_renderings, "featurize")
    for number, (path, asked) in enumerate(shards):
        yield Finished(number, maker.write(path, asked.renderings(), frames), "")


def _index(array: Array, n_frames: dict[Path, list[int]]) -> Iterator[IndexRow]:
    """The rows of an array's table, in the order of its clips; in a shard the frames lie in that order."""
    paths = {shard: shard_path(array.folder, array.name, shard) for shard in set(array.shards)}
    lengths = {shard: iter(n_frames[path]) for shard, path in paths.items()}
    for clip, shard in zip(array.clips, array.shards, strict=True):
        for view in array.views:
            name, speaker, label, *_ = clip
            yield IndexRow(name, speaker, label, view.number, view.weight, shard, next(lengths[shard]))


def _members(subsets: Path) -> dict[str, set[str]]:
    """Clip names by subset, of all folds together."""
    folds = read_subsets(subsets).values()
    return {subset: {clip for fold in folds for clip in getattr(fold, subset)} for subset in SUBSETS}


def _arrays(p: NoiseParams) -> Iterator[tuple[Subset, str, list[View]]]:
    """(subset, array, views): training clips in several views, the others under every condition once."""
    weights = p.training_views().items()
    noises = {condition: _n_noises(p, condition) for condition in CONDITIONS}
    views = [View(number, weight, noises["noisy" if number else "clean"], "training") for number, weight in weights]
    yield "train", TRAINING_VIEWS, views
    for condition in CONDITIONS:
        yield "validation", condition, [View(0, p.validation_weight(condition), noises[condition], "training")]
        yield "test", condition, [View(0, 1.0, noises[condition], "test")]


def _n_noises(p: NoiseParams, condition: Condition) -> tuple[int, int]:
    return p.n_noises(0, condition), p.n_noises(1, condition)


if __name__ == "__main__":
    with as_stage():
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("windows", WindowParams),
            load("noise", NoiseParams),
        )
