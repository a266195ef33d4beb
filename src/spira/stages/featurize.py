"""featurize: waveforms, noise and subsets -> the frames of every clip, in arrays of a subset and condition."""

from spira.adapters.life import as_stage

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

from spira.adapters.arrays import WAVEFORMS, read_array
from spira.adapters.frames import n_shards, shard_of, shard_path, write_index, write_shard
from spira.adapters.ingested import read_noise
from spira.adapters.kept import Shards
from spira.adapters.subsets import read_subsets
from spira.adapters.tables import read_table
from spira.adapters.workers import ordered_map, progress
from spira.core.features import Frames
from spira.core.frame_params import FeatureParams, WindowParams
from spira.core.noise import CONDITIONS, Condition, NoiseBank, NoiseParams, Waveform, generator, insert_noise
from spira.core.section import SampleRate
from spira.core.splitting import SUBSETS
from spira.params import load

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


_SHARD = attrgetter("shard")


@dataclass(frozen=True)
class Renderer:
    """A rendering -> its frames, (n_frames, n_features). The same whatever is rendered before or beside it."""

    waveforms: Waveform
    bank: NoiseBank
    noise: NoiseParams
    frames: Frames
    shortest: int  # samples; a shorter clip is padded with silence before noise goes in

    def n_frames(self, clip: Rendering) -> int:
        return 1 + max(clip.n_samples, self.shortest) // self.frames.p.hop_length

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
    )
    torch.set_num_threads(1)  # one clip a thread: an STFT of one clip is too small to share
    facts = {"sample_rate": sample_rate, "shortest": renderer.shortest, "torchaudio": version("torchaudio")}
    facts |= {"features": features.model_dump(), "noise": noise.model_dump()}
    kept = Shards("featurize", facts, [noises / "recordings.csv", noises / WAVEFORMS])
    for subset, condition, n_views in _arrays(noise.views):
        rows = table.filter(pl.col("clip_id").is_in(members[subset])).rows(named=True)
        n = n_shards(len(rows))
        renderings = [
            Rendering(**row, view=view, shard=shard_of(row["clip_id"], n)) for view in range(n_views) for row in rows
        ]
        for shard, of_shard in groupby(sorted(renderings, key=_SHARD), _SHARD):
            path, own = shard_path(out / subset, condition, shard), list(of_shard)
            decides = [(r.clip_id, r.digest, r.view, noise.n_noises(r.label, condition)) for r in own]
            if not kept.restored(path, decides):
                rendered = ordered_map(lambda clip: renderer(clip, condition), own, n_workers)  # noqa: B023
                shown = progress(rendered, len(own), f"{subset} {path.stem}")
                names = (r.clip_id for r in own)
                write_shard(path, features.n_features(sample_rate), zip(names, shown, strict=True))
                kept.keep(path, decides)
        index = ((r.clip_id, r.speaker_id, r.label, r.view, r.shard, renderer.n_frames(r)) for r in renderings)
        write_index(index, out / subset, condition)
    kept.forget_others()


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
