"""alter: the test clips, every model -> their scores in other forms and over other people's background."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from spira.base.array_types import Floats, Waveform
from spira.base.params import load
from spira.base.section import SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import read_noise, read_waveforms
from spira.clips.subsets import read_subsets
from spira.encoders.params import EmbeddingParams
from spira.encoders.store import load_encoder
from spira.features.noise import NoiseParams, clip_generator, divide
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.rendering import NoiseInserter, make_renderer
from spira.models.device import prepare
from spira.models.params import CpuKernels, ModelsParams
from spira.predictions.loading import load_model
from spira.predictions.params import PredictParams
from spira.predictions.scoring import score
from spira.predictions.table import write_predictions
from spira.probes.alterations import ADDED, FORMS, SWAPS, Alteration, AlterParams, in_form, swapped
from spira.probes.background import BackgroundParams
from spira.probes.background import background as find_background
from spira.split.holdout import id_hash

_CLIPS = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
    "shard": pl.Int64,
    "start": pl.Int64,
    "n_samples": pl.Int64,
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
    device = prepare("auto", seed=0)  # nothing is drawn
    _, step = windows.frames(sample_rate, frame_shape(features, embedding, sample_rate))
    folds = {fold: set(members.test) for fold, members in read_subsets(subsets).items()}
    picked = _pick_clips(clips, set().union(*folds.values()), alter)
    lenders = _lenders(picked, sample_rate, background, alter)
    added = NoiseInserter(divide(read_noise(noises), noise).test, noise, sample_rate, features.active_db)
    altered = Alterer(sample_rate, background, alter, lenders, added)
    encoder = load_encoder(embedding, pretrained) if features.kind == "embedding" else None
    render = make_renderer(features, windows, sample_rate, encoder)
    loaded = {
        (name, fold, seed): load_model(trained / name / fold / str(seed), device, cpu_kernels)
        for fold in folds
        for name, seed in models.trainings(seeds)
    }
    tables = []
    n_threads = torch.get_num_threads()
    for alteration in _alterations(lenders):
        torch.set_num_threads(1)  # one clip a thread, as in featurize
        rendered = ordered_map(lambda clip: render(altered(clip, alteration)), picked, n_workers)  # noqa: B023
        frames = dict(zip(picked, progress(rendered, len(picked), alteration), strict=True))
        torch.set_num_threads(n_threads)
        for (name, fold, seed), model in loaded.items():
            tested = [clip for clip in picked if clip.clip_id in folds[fold]]
            if tested:
                scores = score(model, [frames[clip] for clip in tested], step=step, batch_size=predict.batch_size)
                tables.append(_table(tested, scores, model=name, fold=fold, condition=alteration, seed=seed))
    write_predictions(pl.concat(tables), out)
    print(f"{len(picked)} test clips scored under {len(_alterations(lenders))} alterations by {len(loaded)} models")


def _pick_clips(folder: Path, tested: set[str], p: AlterParams) -> list[Clip]:
    """The test clips, or where they are many those that a hash of their names picks, in the order of their names."""
    picked = set(sorted(tested, key=lambda clip: id_hash(clip, p.seed))[: p.n_clips])
    table = read_table(folder / "clips.csv", _CLIPS).sort("clip_id").filter(pl.col("clip_id").is_in(picked))
    columns = (table["clip_id"], table["speaker_id"], table["label"], read_waveforms(table, folder))
    return [Clip(*row) for row in zip(*columns, strict=True)]


def _lenders(clips: Sequence[Clip], sample_rate: int, quiet: BackgroundParams, p: AlterParams) -> dict[Clip, Waveform]:
    """The clips with enough background to lend, and that; empty where some clip would find none to borrow."""
    least = round(p.min_background_seconds * sample_rate)
    backgrounds = {clip: find_background(clip.waveform, sample_rate, quiet) for clip in clips}
    enough = {clip: background for clip, background in backgrounds.items() if background.size >= least}
    speakers = [{clip.speaker_id for clip in enough if clip.label == label} for label in (0, 1)]
    if min(map(len, speakers)) < 2:
        print(
            "alter: backgrounds are not swapped, because patients or controls have fewer than two speakers with "
            f"alter.min_background_seconds={p.min_background_seconds} of background"
        )
        return {}
    return enough


def _alterations(lenders: Mapping[Clip, Waveform]) -> tuple[Alteration, ...]:
    return (*FORMS, ADDED, *SWAPS) if lenders else (*FORMS, ADDED)


def _table(clips: Sequence[Clip], scores: Floats, *, model: str, fold: str, condition: str, seed: int) -> pl.DataFrame:
    facts = pl.DataFrame(
        [(clip.clip_id, clip.speaker_id, clip.label) for clip in clips],
        schema=["clip_id", "speaker_id", "label"],
        orient="row",
    )
    same = {"model": pl.lit(model), "fold": pl.lit(fold), "subset": pl.lit("test"), "condition": pl.lit(condition)}
    return facts.with_columns(**same, seed=pl.lit(seed, pl.Int64), score=scores)


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
