"""featurize: waveforms, noise and subsets -> the frames of every clip, in arrays of a subset and condition."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.arrays import WAVEFORMS, read_array
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import read_noise
from spira.clips.subsets import read_subsets
from spira.features.cache import Shards
from spira.features.conditions import CONDITIONS, TRAINING_CONDITION, Condition
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams
from spira.features.rendering import NoiseInserter, Renderer, make_renderer
from spira.features.store import assign_shards, remove_index, shard_path, write_index, write_shard
from spira.split.holdout import SUBSETS

_CLIPS = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "start": pl.Int64,
    "n_samples": pl.Int64,
    "digest": pl.String,
}


class Rendering(NamedTuple):
    """One clip to be rendered; a training clip has several views."""

    clip_id: str
    speaker_id: str
    label: int
    start: int
    n_samples: int
    digest: str  # of the waveform
    view: int
    shard: int


@dataclass(frozen=True)
class NoisyRenderer:
    """Renders a clip under one condition: noise first, then frames of shape (n_frames, n_features)."""

    waveforms: Waveform  # of all clips, end to end
    noise: NoiseInserter
    renderer: Renderer

    def __call__(self, clip: Rendering, condition: Condition) -> Tensor:
        waveform = self.renderer.padded(self.waveforms[clip.start : clip.start + clip.n_samples])
        n_noises = self.noise.p.n_noises(clip.label, condition)
        return self.renderer(self.noise(waveform, clip.clip_id, view=clip.view, n_noises=n_noises))

    def cache_key(self, clip: Rendering, condition: Condition) -> tuple[object, ...]:
        """All that one clip's frames depend on, beside what all clips share: parameters, noise and code."""
        return clip.clip_id, clip.view, clip.digest, self.noise.p.n_noises(clip.label, condition)


def run(
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    noise: NoiseParams,
    *,
    clips: Path = Path("data/clips"),
    noises: Path = Path("data/noise"),
    subsets: Path = Path("data/subsets.csv"),
    out: Path = Path("data/features"),
    n_workers: int | None = None,
) -> None:
    table = read_table(clips / "clips.csv", _CLIPS).sort("clip_id")
    members = _members(subsets)
    renderer = make_renderer(features, windows, sample_rate)
    noisy = NoisyRenderer(read_array(clips / WAVEFORMS), NoiseInserter(read_noise(noises), noise), renderer)
    torch.set_num_threads(1)  # one clip a thread: an STFT of one clip is too small to share
    cache = Shards("featurize", _shared_facts(features, noise, renderer, sample_rate), _noise_files(noises))
    n_shards = n_made = 0
    for subset, condition, n_views in _arrays(noise.views):
        rows = table.filter(pl.col("clip_id").is_in(members[subset])).rows(named=True)
        shards = assign_shards([row["clip_id"] for row in rows])
        renderings = [
            Rendering(**row, view=view, shard=shard)
            for view in range(n_views)
            for row, shard in zip(rows, shards, strict=True)
        ]
        n_made += _write(renderings, out / subset, condition, noisy, features.n_features(sample_rate), cache, n_workers)
        n_shards += len(set(shards))
    cache.forget_others()
    if n_made < n_shards:
        print(f"{n_shards - n_made} of {n_shards} arrays of frames have not changed and were reused")


def _shared_facts(
    features: FeatureParams, noise: NoiseParams, renderer: Renderer, sample_rate: int
) -> dict[str, object]:
    """All that the frames of every clip depend on; numbers of noises and views are each clip's own."""
    facts = {"sample_rate": sample_rate, "shortest": renderer.shortest, "torchaudio": version("torchaudio")}
    per_clip = {"views", "n_patient", "n_control"}
    return facts | {"features": features.model_dump(), "noise": noise.model_dump(exclude=per_clip)}


def _noise_files(noises: Path) -> list[Path]:
    return [noises / "recordings.csv", noises / WAVEFORMS]


def _write(
    renderings: list[Rendering],
    folder: Path,
    condition: Condition,
    render: NoisyRenderer,
    n_features: int,
    cache: Shards,
    n_workers: int | None,
) -> int:
    """Writes the shards of one array and their index; returns how many had to be made."""
    remove_index(folder, condition)
    by_shard = groupby(sorted(renderings, key=attrgetter("shard")), attrgetter("shard"))
    shards = {shard_path(folder, condition, shard): list(clips) for shard, clips in by_shard}
    keys = {path: [render.cache_key(clip, condition) for clip in clips] for path, clips in shards.items()}
    to_make = {path: clips for path, clips in shards.items() if not cache.restored(path, keys[path])}
    to_render = [clip for clips in to_make.values() for clip in clips]
    rendered = ordered_map(lambda clip: render(clip, condition), to_render, n_workers)
    frames = progress(rendered, len(to_render), f"{folder.name} {condition}")
    n_frames = render.renderer.n_frames
    for path, clips in to_make.items():
        write_shard(path, n_features, [(clip.clip_id, n_frames(clip.n_samples)) for clip in clips], frames)
        cache.keep(path, keys[path])
    index = ((r.clip_id, r.speaker_id, r.label, r.view, r.shard, n_frames(r.n_samples)) for r in renderings)
    write_index(index, folder, condition)
    return len(to_make)


def _members(subsets: Path) -> dict[str, set[str]]:
    """Clip names by subset, of all folds together."""
    folds = read_subsets(subsets).values()
    return {subset: {clip for fold in folds for clip in getattr(fold, subset)} for subset in SUBSETS}


def _arrays(views: int) -> Iterator[tuple[str, Condition, int]]:
    """(subset, condition, views): training under noise in several views, the others under every condition once."""
    for subset in SUBSETS:
        if subset == "train":
            yield subset, TRAINING_CONDITION, views
        else:
            yield from ((subset, condition, 1) for condition in CONDITIONS)


if __name__ == "__main__":
    with as_stage():
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("noise", NoiseParams),
        )
