"""Scores the test clips under one alteration by every model, here or in another process, from parameters and paths."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from spira.base.array_types import Waveform
from spira.base.tables import read_table
from spira.clips.parallel import ordered_map
from spira.clips.recordings import PLACE, noise_files, read_noise, read_waveforms, waveforms_path
from spira.encoders.params import EmbeddingParams
from spira.encoders.store import load_encoder
from spira.features.noise import NoiseParams, clip_generator, divide
from spira.features.params import FeatureParams, WindowParams
from spira.features.rendering import NoiseInserter, Renderer, make_renderer
from spira.models.device import prepare
from spira.models.params import CpuKernels
from spira.predictions.loading import load_model, model_files
from spira.predictions.scoring import score
from spira.predictions.trained import Model
from spira.probes.alterations import ADDED, FORMS, SWAPS, Alteration, AlterParams, in_form, swapped
from spira.probes.background import BackgroundParams
from spira.probes.background import background as find_background
from spira.split.holdout import id_hash
from spira.storage.reads import Read

_CLIPS: dict[str, type[pl.DataType]] = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    **PLACE,
}


@dataclass(frozen=True, eq=False)
class Clip:
    """One test clip, and whose background it may be given."""

    clip_id: str
    speaker_id: str
    label: int
    waveform: Waveform  # a view into the array of all


@dataclass(frozen=True)
class Alterer:
    """A clip and an alteration -> the altered waveform, (time,)."""

    sample_rate: int
    quiet: BackgroundParams
    alter: AlterParams
    lenders: Mapping[Clip, Waveform]  # each with the background that it lends
    noise: NoiseInserter

    def __call__(self, clip: Clip, alteration: Alteration) -> Waveform:
        if alteration in FORMS:
            return in_form(clip.waveform, alteration, self.sample_rate, self.quiet, self.alter)
        if alteration == ADDED:  # the noise of the condition `noisy`
            return self.noise(clip.waveform, clip.clip_id, view=0, n_noises=self.alter.n_noises)
        background = self.lenders[self._lender(clip, alteration)]
        return swapped(clip.waveform, background, self.sample_rate, self.quiet)

    def _lender(self, clip: Clip, alteration: Alteration) -> Clip:
        label = clip.label if alteration == "own_class_noise" else 1 - clip.label
        others = [c for c in self.lenders if c.label == label and c.speaker_id != clip.speaker_id]
        rng = clip_generator(self.alter.seed, clip.clip_id, SWAPS.index(alteration))
        return others[int(rng.integers(len(others)))]


@dataclass(frozen=True)
class AlterJob:
    """What the scores of all alterations depend on, as parameters and paths: it is small, and is opened where they are.

    ``job()(alteration)``: the scores of each model, in the order of ``models``, by the fold's test clips.
    """

    models: tuple[tuple[str, str, int], ...]  # name, fold, seed
    sample_rate: int
    features: FeatureParams
    embedding: EmbeddingParams
    windows: WindowParams
    step: int  # frames from one window's start to the next
    batch_size: int
    background: BackgroundParams
    noise: NoiseParams
    alter: AlterParams
    cpu_kernels: CpuKernels
    tested: Mapping[str, frozenset[str]]  # names of the test clips of each fold
    clips: Path
    noises: Path
    trained: Path
    pretrained: Path
    n_workers: int | None  # threads that render

    def reads(self) -> list[Read]:
        shards = self._picked()["shard"].unique(maintain_order=True)
        files = [self.clips / "clips.csv", *(waveforms_path(self.clips, shard) for shard in shards)]
        files += noise_files(self.noises)
        files += [self.pretrained / self.embedding.file] if self.features.kind == "embedding" else []
        for name, fold, seed in self.models:
            files += model_files(self.trained / name / fold / str(seed))
        return [Read(file) for file in files]

    def reads_for(self, _: Alteration, /) -> tuple[Read, ...]:
        return ()

    def __call__(self) -> "AlteredScores":
        device = prepare("auto", seed=0)  # nothing is drawn
        rows = self._picked()
        columns = (rows["clip_id"], rows["speaker_id"], rows["label"], read_waveforms(rows, self.clips))
        picked = [Clip(*row) for row in zip(*columns, strict=True)]
        lenders = _lenders(picked, self.sample_rate, self.background, self.alter)
        bank = divide(read_noise(self.noises), self.noise).test
        added = NoiseInserter(bank, self.noise, self.sample_rate, self.features.active_db)
        encoder = load_encoder(self.embedding, self.pretrained) if self.features.kind == "embedding" else None
        return AlteredScores(
            self,
            picked,
            Alterer(self.sample_rate, self.background, self.alter, lenders, added),
            make_renderer(self.features, self.windows, self.sample_rate, encoder),
            [
                load_model(self.trained / name / fold / str(seed), device, self.cpu_kernels)
                for name, fold, seed in self.models
            ],
        )

    def _picked(self) -> pl.DataFrame:
        """The test clips, or where they are many those that a hash of their names picks, by name."""
        tested = frozenset().union(*self.tested.values())
        picked = set(sorted(tested, key=lambda clip: id_hash(clip, self.alter.seed))[: self.alter.n_clips])
        table = read_table(self.clips / "clips.csv", _CLIPS).sort("clip_id")
        return table.filter(pl.col("clip_id").is_in(picked))


@dataclass(frozen=True)
class AlteredScores:
    """``scores(alteration)``: see ``AlterJob``."""

    job: AlterJob
    picked: Sequence[Clip]
    altered: Alterer
    render: Renderer
    models: Sequence[Model]

    def __call__(self, alteration: Alteration) -> list[list[float]]:
        return self.scores(self.frames(alteration))

    def frames(self, alteration: Alteration) -> Iterator[Tensor]:
        """Those of each clip, rendered as they are asked for, by threads."""
        return ordered_map(lambda clip: self.render(self.altered(clip, alteration)), self.picked, self.job.n_workers)

    def scores(self, frames: Iterable[Tensor]) -> list[list[float]]:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)  # one clip a thread, as in featurize
        rendered = dict(zip(self.picked, frames, strict=True))
        torch.set_num_threads(n_threads)
        size = {"step": self.job.step, "batch_size": self.job.batch_size}
        return [
            score(model, [rendered[clip] for clip in clips], **size).tolist() if (clips := self.tested(fold)) else []
            for (_, fold, _), model in zip(self.job.models, self.models, strict=True)
        ]

    def tested(self, fold: str) -> list[Clip]:
        """Those of the clips that are test clips of the fold."""
        return [clip for clip in self.picked if clip.clip_id in self.job.tested[fold]]

    @property
    def alterations(self) -> tuple[Alteration, ...]:
        return (*FORMS, ADDED, *SWAPS) if self.altered.lenders else (*FORMS, ADDED)


def _lenders(clips: Sequence[Clip], sample_rate: int, quiet: BackgroundParams, p: AlterParams) -> dict[Clip, Waveform]:
    """The clips with enough background to lend, and that; empty where some clip would find none to borrow."""
    least = round(p.min_background_seconds * sample_rate)
    backgrounds = {clip: find_background(clip.waveform, sample_rate, quiet) for clip in clips}
    enough = {clip: background for clip, background in backgrounds.items() if background.size >= least}
    speakers = [{clip.speaker_id for clip in enough if clip.label == label} for label in (0, 1)]
    return enough if min(map(len, speakers)) >= 2 else {}
