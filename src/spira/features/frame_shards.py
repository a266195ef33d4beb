"""Renders clips as frames, alone or a shard at once, here or in another process, from parameters and paths alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.clips.arrays import read_array
from spira.clips.recordings import noise_files, read_noise, waveforms_path
from spira.encoders.params import EmbeddingParams
from spira.encoders.store import load_encoder
from spira.features.cache import Kept
from spira.features.noise import NoiseBanks, NoiseParams, divide
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.rendering import NoiseInserter, Renderer, make_renderer
from spira.features.store import write_shard
from spira.storage.reads import Read


class View(NamedTuple):
    """How clips are rendered once."""

    number: int
    weight: float  # among the views of a clip
    n_noises: tuple[int, int]  # inserted into a control's clip, and a patient's
    bank: Literal["training", "test"]  # of ``NoiseBanks``, that they are drawn from


class Clip(NamedTuple):
    """One clip, and where its samples are."""

    clip_id: str
    speaker_id: str
    label: int
    waveforms: int  # the shard of waveforms that it is read from
    start: int
    n_samples: int
    digest: str  # of the waveform


class Rendering(NamedTuple):
    """One clip in one view."""

    clip: Clip
    view: View

    @property
    def n_noises(self) -> int:
        return self.view.n_noises[self.clip.label]


@dataclass(frozen=True)
class NoisyRenderer:
    """Renders a clip: noise first, then frames of shape (n_frames, n_features)."""

    waveforms: Callable[[int], Waveform]  # by shard, of its clips end to end
    noise: Mapping[str, NoiseInserter]  # by the name of the bank
    renderer: Renderer
    kept: Kept | None  # frames of earlier runs, where rendering takes long

    def __call__(self, rendering: Rendering) -> Tensor:
        if self.kept is None:
            return self._rendered(rendering)
        return torch.from_numpy(self.kept.frames(cache_key(rendering), lambda: self._rendered(rendering).numpy()))

    def _rendered(self, rendering: Rendering) -> Tensor:
        clip, view = rendering
        waveform = self.renderer.padded(self.waveforms(clip.waveforms)[clip.start : clip.start + clip.n_samples])
        insert = self.noise[view.bank]
        return self.renderer(insert(waveform, clip.clip_id, view=view.number, n_noises=rendering.n_noises))


def cache_key(rendering: Rendering) -> tuple[object, ...]:
    """All that one clip's frames depend on, beside what all clips share: parameters, noise and code."""
    clip, view = rendering
    noises = (view.number, view.bank, rendering.n_noises) if rendering.n_noises else None
    return clip.clip_id, clip.digest, noises


class ShardAsked(NamedTuple):
    """The clips of one shard, each in every one of the views."""

    clips: tuple[Clip, ...]
    views: tuple[View, ...]

    def renderings(self) -> list[Rendering]:
        return [Rendering(clip, view) for clip in self.clips for view in self.views]


@dataclass(frozen=True)
class FrameJob:
    """What all frames depend on, as parameters and paths: it is small, and is opened where frames are rendered."""

    sample_rate: int
    features: FeatureParams
    embedding: EmbeddingParams
    windows: WindowParams
    noise: NoiseParams
    clips: Path
    noises: Path
    pretrained: Path
    kept: Path | None = None  # the folder of frames of earlier runs, where an encoder makes them

    def banks(self) -> NoiseBanks:
        return divide(read_noise(self.noises), self.noise)

    def renderer(self) -> Renderer:
        encoder = load_encoder(self.embedding, self.pretrained) if self.features.kind == "embedding" else None
        return make_renderer(self.features, self.windows, self.sample_rate, encoder)

    def maker(self, banks: NoiseBanks, renderer: Renderer) -> "ShardMaker":
        torch.set_num_threads(1)  # one clip a thread: an STFT of one clip is too small to share
        inserters = {
            name: NoiseInserter(bank, self.noise, self.sample_rate, self.features.active_db)
            for name, bank in banks._asdict().items()
        }
        n_features = frame_shape(self.features, self.embedding, self.sample_rate).n_features
        waveforms = cache(lambda shard: read_array(waveforms_path(self.clips, shard)))  # those that are asked for
        kept = Kept(self.kept) if self.kept else None
        return ShardMaker(NoisyRenderer(waveforms, inserters, renderer, kept), n_features)

    def __call__(self) -> "ShardMaker":
        return self.maker(self.banks(), self.renderer())

    def reads(self) -> list[Read]:
        weights = [self.pretrained / self.embedding.file] if self.features.kind == "embedding" else []
        return [Read(path) for path in (*noise_files(self.noises), *weights)]

    def reads_for(self, asked: ShardAsked) -> list[Read]:
        return [Read(waveforms_path(self.clips, shard)) for shard in sorted({clip.waveforms for clip in asked.clips})]


@dataclass(frozen=True)
class ShardMaker:
    """``maker(asked, path)`` writes a shard, and returns the number of frames of each of its renderings."""

    render: NoisyRenderer
    n_features: int

    def __call__(self, asked: ShardAsked, path: Path) -> list[int]:
        return self.write(path, asked.renderings(), map(self.render, asked.renderings()))

    def write(self, path: Path, renderings: Sequence[Rendering], frames: Iterable[Tensor]) -> list[int]:
        return write_shard(path, self.n_features, [one.clip.clip_id for one in renderings], frames)
