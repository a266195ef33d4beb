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

import numpy as np
import polars as pl
import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.arrays import WAVEFORMS, read_array
from spira.clips.noise_bank import NoiseBank
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import read_noise
from spira.clips.subsets import read_subsets
from spira.features.cache import Shards
from spira.features.noise import CONDITIONS, Condition, NoiseParams, generator, insert_noise
from spira.features.params import FeatureParams, WindowParams
from spira.features.spectra import Frames
from spira.features.store import remove_index, shard_path, shards_of, write_index, write_shard
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
    """One clip under one condition; in training, one of several views of it."""

    clip_id: str
    speaker_id: str
    label: int
    start: int
    n_samples: int
    digest: str  # of the waveform
    view: int
    shard: int


@dataclass(frozen=True)
class Renderer:
    """A rendering -> its frames, (n_frames, n_features). The same whatever is rendered before or beside it."""

    waveforms: Waveform
    bank: NoiseBank
    noise: NoiseParams
    frames: Frames
    shortest: int  # samples; a shorter clip is padded with silence before noise goes in
    n_features: int

    def n_frames(self, clip: Rendering) -> int:
        return self.frames.n_frames(max(clip.n_samples, self.shortest))

    def decides(self, clip: Rendering, condition: Condition) -> tuple[object, ...]:
        """What its frames depend on, beside what those of all clips do: parameters, noise and code."""
        return clip.clip_id, clip.view, clip.digest, self.noise.n_noises(clip.label, condition)

    @torch.inference_mode()
    def __call__(self, clip: Rendering, condition: Condition) -> Tensor:
        waveform = self.waveforms[clip.start : clip.start + clip.n_samples]
        waveform = np.pad(waveform, (0, max(0, self.shortest - waveform.size)))
        n_noises = self.noise.n_noises(clip.label, condition)
        rng = generator(self.noise.seed, clip.clip_id, clip.view)
        noisy = insert_noise(waveform, self.bank, n_noises, self.noise, rng)
        rendered: Tensor = self.frames(torch.from_numpy(noisy))
        return rendered


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
    renderer = Renderer(
        read_array(clips / WAVEFORMS),
        read_noise(noises),
        noise,
        Frames(features, sample_rate),
        windows.samples(sample_rate),
        features.n_features(sample_rate),
    )
    torch.set_num_threads(1)  # one clip a thread: an STFT of one clip is too small to share
    facts = {"sample_rate": sample_rate, "shortest": renderer.shortest, "torchaudio": version("torchaudio")}
    per_clip = {"views", "n_patient", "n_control"}
    facts |= {"features": features.model_dump(), "noise": noise.model_dump(exclude=per_clip)}
    kept = Shards("featurize", facts, [noises / "recordings.csv", noises / WAVEFORMS])
    n_shards = n_made = 0
    for subset, condition, n_views in _arrays(noise.views):
        rows = table.filter(pl.col("clip_id").is_in(members[subset])).rows(named=True)
        shards = shards_of([row["clip_id"] for row in rows])
        renderings = [
            Rendering(**row, view=view, shard=shard)
            for view in range(n_views)
            for row, shard in zip(rows, shards, strict=True)
        ]
        n_made += _write(renderings, out / subset, condition, renderer, kept, n_workers)
        n_shards += len(set(shards))
    kept.forget_others()
    if n_made < n_shards:
        print(f"{n_shards - n_made} of {n_shards} arrays of frames are as they were")


def _write(
    renderings: list[Rendering],
    folder: Path,
    condition: Condition,
    renderer: Renderer,
    kept: Shards,
    n_workers: int | None,
) -> int:
    """The shards of one array and their index; returns how many had to be made."""
    remove_index(folder, condition)
    in_shards = groupby(sorted(renderings, key=attrgetter("shard")), attrgetter("shard"))
    shards = {shard_path(folder, condition, shard): list(clips) for shard, clips in in_shards}
    decides = {path: [renderer.decides(clip, condition) for clip in clips] for path, clips in shards.items()}
    to_make = {path: clips for path, clips in shards.items() if not kept.restored(path, decides[path])}
    to_render = [clip for clips in to_make.values() for clip in clips]
    rendered = ordered_map(lambda clip: renderer(clip, condition), to_render, n_workers)
    frames = progress(rendered, len(to_render), f"{folder.name} {condition}")
    for path, clips in to_make.items():
        sizes = [(clip.clip_id, renderer.n_frames(clip)) for clip in clips]
        write_shard(path, renderer.n_features, sizes, frames)
        kept.keep(path, decides[path])
    index = ((r.clip_id, r.speaker_id, r.label, r.view, r.shard, renderer.n_frames(r)) for r in renderings)
    write_index(index, folder, condition)
    return len(to_make)


def _members(subsets: Path) -> dict[str, set[str]]:
    """By subset, the clips that are in it in any fold."""
    folds = read_subsets(subsets).values()
    return {subset: {clip for fold in folds for clip in getattr(fold, subset)} for subset in SUBSETS}


def _arrays(views: int) -> Iterator[tuple[str, Condition, int]]:
    """Training hears noise, in several views; validation and test are heard under every condition, once."""
    for subset in SUBSETS:
        if subset == "train":
            yield subset, "noisy", views
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
