"""featurize: waveforms, noise and subsets -> the frames of every clip, one array a subset and condition."""

from spira.adapters.life import as_stage

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from spira.adapters.arrays import WAVEFORMS, read_array
from spira.adapters.frames import FrameWriter, copy_frames
from spira.adapters.ingested import read_noise
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
}


class Rendering(NamedTuple):
    """One clip under one condition; in training, one of several views of it."""

    clip_id: str
    speaker_id: str
    label: int
    start: int
    n_samples: int
    view: int


@dataclass(frozen=True)
class Renderer:
    """A rendering -> its frames, (n_frames, n_features). The same whatever is rendered before or beside it."""

    waveforms: Waveform
    bank: NoiseBank
    noise: NoiseParams
    frames: Frames
    shortest: int  # samples; a shorter clip is padded with silence before noise goes in

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
    made: dict[tuple[Condition, tuple[Rendering, ...]], Path] = {}
    for subset, condition, n_views in _arrays(noise.views):
        rows = table.filter(pl.col("clip_id").is_in(members[subset])).rows(named=True)
        renderings = tuple(Rendering(**row, view=view) for view in range(n_views) for row in rows)
        name = f"{subset} {condition}"
        if whose := made.get((condition, renderings)):  # under kfold everybody is in every subset
            copy_frames(whose, out / subset, condition)
            continue
        made[condition, renderings] = out / subset
        with FrameWriter(out / subset, condition, features.n_features(sample_rate)) as writer:
            rendered = ordered_map(lambda clip: renderer(clip, condition), renderings, n_workers)  # noqa: B023
            for clip, frames in zip(renderings, progress(rendered, len(renderings), name), strict=True):
                writer.append(clip.clip_id, clip.speaker_id, clip.label, clip.view, frames)


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
