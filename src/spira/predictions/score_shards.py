"""Scores the clips of a shard of frames by every model, here or in another process, from parameters and paths alone."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from spira.features.store import index_path, read_renderings, shard_path
from spira.models.device import prepare
from spira.models.params import CpuKernels
from spira.predictions.loading import load_held_out, load_model, model_files
from spira.predictions.scoring import score_each
from spira.predictions.trained import Model
from spira.storage.reads import Read

Training = tuple[str, int]  # the model's name, and the seed


class ScoresAsked(NamedTuple):
    """Clips whose frames lie in one shard, and the fold whose models score them."""

    fold: str
    folder: Path  # of the subset's frames
    condition: str
    shard: int
    clips: tuple[str, ...]


@dataclass(frozen=True)
class ScoreJob:
    """What all scores depend on, as parameters and paths: it is small, and is opened where clips are scored."""

    trainings: tuple[Training, ...]
    step: int  # frames from one window's start to the next
    batch_size: int
    cpu_kernels: CpuKernels
    trained: Path

    def __call__(self) -> "ShardScorer":
        return ShardScorer(self, prepare("auto", seed=0))  # nothing is drawn

    def reads(self) -> list[Read]:
        folders = [folder for name, seed in self.trainings for folder in (self.trained / name).glob(f"*/{seed}")]
        return [Read(file) for folder in folders for file in model_files(folder)]

    def reads_for(self, asked: ScoresAsked) -> list[Read]:
        place = asked.folder, asked.condition
        return [Read(index_path(*place)), Read(shard_path(*place, asked.shard))]


class ShardScorer:
    """``scorer(asked)``: the scores of each training, in the order of the job's, clip by clip."""

    def __init__(self, job: ScoreJob, device: torch.device) -> None:
        self._job, self._device = job, device
        self._models = lru_cache(maxsize=1)(self._load)  # one fold comes after the other

    def __call__(self, asked: ScoresAsked) -> list[list[float]]:
        frames, table = read_renderings(asked.folder, asked.condition, asked.clips)
        size = {"step": self._job.step, "batch_size": self._job.batch_size}
        scores = [
            score_each([unmet.get(clip, model) for clip in table["clip_id"]], frames, **size)
            for model, unmet in self._models(asked.fold)
        ]
        return [one.tolist() for one in scores]

    def _load(self, fold: str) -> list[tuple[Model, dict[str, Model]]]:
        """Each training's model, and by validation clip the one that was fitted without its speaker."""
        rest = self._device, self._job.cpu_kernels
        folders = [self._job.trained / name / fold / str(seed) for name, seed in self._job.trainings]
        return [(load_model(folder, *rest), load_held_out(folder, *rest)) for folder in folders]
