"""featurize: waveforms, noise and subsets -> the frames of every clip, in arrays of a subset and condition."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import NOISE, open_waveforms, read_noise
from spira.clips.shards import SHARD_BYTES, assign_shards, count_shards
from spira.clips.subsets import read_subsets
from spira.encoders.params import EmbeddingParams
from spira.encoders.store import load_encoder
from spira.features.cache import Kept, Shards
from spira.features.conditions import CONDITIONS, TRAINING_VIEWS, Condition
from spira.features.noise import NoiseBanks, NoiseParams, divide
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.rendering import NoiseInserter, Renderer, make_renderer
from spira.features.store import IndexRow, remove_index, shard_path, write_index, write_shard
from spira.split.holdout import SUBSETS, Subset

_CLIPS = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "shard": pl.Int64,
    "start": pl.Int64,
    "n_samples": pl.Int64,
    "digest": pl.String,
}
_FLOAT_BYTES = 4  # of a number in a frame


class View(NamedTuple):
    """How clips are rendered once."""

    number: int
    weight: float  # among the views of a clip
    n_noises: tuple[int, int]  # inserted into a control's clip, and a patient's
    bank: Literal["training", "test"]  # of ``NoiseBanks``, that they are drawn from


class Rendering(NamedTuple):
    """One clip in one view."""

    clip_id: str
    speaker_id: str
    label: int
    waveforms: int  # the shard of waveforms that it is read from
    start: int
    n_samples: int
    digest: str  # of the waveform
    shard: int  # that its frames are written to
    view: View

    @property
    def n_noises(self) -> int:
        return self.view.n_noises[self.label]


@dataclass(frozen=True)
class NoisyRenderer:
    """Renders a clip: noise first, then frames of shape (n_frames, n_features)."""

    waveforms: Mapping[int, Waveform]  # by shard, of its clips end to end
    noise: Mapping[str, NoiseInserter]  # by the name of the bank
    renderer: Renderer
    kept: Kept | None  # frames of earlier runs, where rendering takes long

    def __call__(self, clip: Rendering) -> Tensor:
        if self.kept is None:
            return self._rendered(clip)
        return torch.from_numpy(self.kept.frames(self.cache_key(clip), lambda: self._rendered(clip).numpy()))

    def _rendered(self, clip: Rendering) -> Tensor:
        waveform = self.renderer.padded(self.waveforms[clip.waveforms][clip.start : clip.start + clip.n_samples])
        insert = self.noise[clip.view.bank]
        return self.renderer(insert(waveform, clip.clip_id, view=clip.view.number, n_noises=clip.n_noises))

    def cache_key(self, clip: Rendering) -> tuple[object, ...]:
        """All that one clip's frames depend on, beside what all clips share: parameters, noise and code."""
        noises = (clip.view.number, clip.view.bank, clip.n_noises) if clip.n_noises else None
        return clip.clip_id, clip.digest, noises


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
    table = read_table(clips / "clips.csv", _CLIPS).sort("clip_id").rename({"shard": "waveforms"})
    members = _members(subsets)
    weights = [pretrained / embedding.file] if features.kind == "embedding" else []
    encoder = load_encoder(embedding, pretrained) if weights else None
    renderer = make_renderer(features, windows, sample_rate, encoder)
    banks = divide(read_noise(noises), noise)
    print(_banks_line(banks))
    inserters = {
        name: NoiseInserter(bank, noise, sample_rate, features.active_db) for name, bank in banks._asdict().items()
    }
    torch.set_num_threads(1)  # one clip a thread: an STFT of one clip is too small to share
    facts, read = _shared_facts(features, noise, renderer, sample_rate), [*_noise_files(noises), *weights]
    facts |= {"embedding": embedding.model_dump()} if weights else {}
    cache = Shards("featurize", facts, read)
    kept = Kept("encoded", facts, read) if weights else None  # of a spectrum, a clip takes milliseconds
    noisy = NoisyRenderer(open_waveforms(clips, table["waveforms"]), inserters, renderer, kept)
    shape = frame_shape(features, embedding, sample_rate)
    n_shards = n_made = 0
    for subset, array, views in _arrays(noise):
        rows = table.filter(pl.col("clip_id").is_in(members[subset])).rows(named=True)
        lengths = [max(row["n_samples"], renderer.shortest) for row in rows]
        n_bytes = _FLOAT_BYTES * shape.n_features * len(views) * sum(map(shape.n_frames, lengths))
        shards = assign_shards([row["clip_id"] for row in rows], count_shards(n_bytes, SHARD_BYTES))
        renderings = [
            Rendering(**row, shard=shard, view=view) for row, shard in zip(rows, shards, strict=True) for view in views
        ]
        n_made += _write(renderings, out / subset, array, noisy, shape.n_features, cache, n_workers)
        n_shards += len(set(shards))
    cache.forget_others()
    if kept:
        kept.forget_others()
    if n_made < n_shards:
        print(f"{n_shards - n_made} of {n_shards} arrays of frames have not changed and were reused")


def _shared_facts(
    features: FeatureParams, noise: NoiseParams, renderer: Renderer, sample_rate: int
) -> dict[str, object]:
    """All that the frames of every clip depend on; numbers of noises and views are each clip's own."""
    facts = {"sample_rate": sample_rate, "shortest": renderer.shortest, "torchaudio": version("torchaudio")}
    per_clip = {"views", "clean_weight", "n_patient", "n_control"}
    return facts | {"features": features.model_dump(), "noise": noise.model_dump(exclude=per_clip)}


def _banks_line(banks: NoiseBanks) -> str:
    if banks.training is banks.test:
        return f"noise: all {len(banks.test)} recordings, for training, validation and test alike"
    return f"noise: {len(banks.training)} recordings for training and validation, {len(banks.test)} others for test"


def _noise_files(noises: Path) -> list[Path]:
    return [noises / "recordings.csv", noises / NOISE]


def _write(
    renderings: list[Rendering],
    folder: Path,
    array: str,
    render: NoisyRenderer,
    n_features: int,
    cache: Shards,
    n_workers: int | None,
) -> int:
    """Writes the shards of one array and their index; returns how many had to be made."""
    remove_index(folder, array)
    by_shard = {
        shard: list(clips) for shard, clips in groupby(sorted(renderings, key=attrgetter("shard")), attrgetter("shard"))
    }
    n_frames: dict[int, list[int]] = {}
    to_make = {}
    for shard, clips in by_shard.items():
        path, key = shard_path(folder, array, shard), [render.cache_key(clip) for clip in clips]
        if render.kept:
            render.kept.use(key)
        if (known := cache.restored(path, key)) is None:
            to_make[shard] = path, key
        else:
            n_frames[shard] = known
    to_render = [clip for shard in to_make for clip in by_shard[shard]]
    frames = progress(ordered_map(render, to_render, n_workers), len(to_render), f"{folder.name} {array}")
    for shard, (path, key) in to_make.items():
        n_frames[shard] = write_shard(path, n_features, [clip.clip_id for clip in by_shard[shard]], frames)
        cache.keep(path, key, n_frames[shard])
    write_index(_index(renderings, n_frames), folder, array)
    return len(to_make)


def _index(renderings: Sequence[Rendering], n_frames: Mapping[int, Sequence[int]]) -> Iterator[IndexRow]:
    """The rows of an array's table, given the numbers of frames in each shard, whose renderings are in this order."""
    lengths = {shard: iter(numbers) for shard, numbers in n_frames.items()}
    for r in renderings:
        yield IndexRow(r.clip_id, r.speaker_id, r.label, r.view.number, r.view.weight, r.shard, next(lengths[r.shard]))


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
