"""alter: the test clips, every model -> their scores in other forms and over other people's background."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from spira.base.array_types import Waveform
from spira.base.params import load
from spira.base.section import SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.clips.noise_bank import NoiseBank
from spira.clips.parallel import ordered_map, progress
from spira.clips.recordings import read_noise, waveforms_of
from spira.clips.subsets import read_subsets
from spira.features.noise import NoiseParams, generator, insert_noise
from spira.features.params import FeatureParams, WindowParams
from spira.features.spectra import Frames
from spira.features.windows import Windows, windows_of
from spira.models.device import prepare
from spira.models.store import frames_in_window, load_model
from spira.predictions.params import PredictParams
from spira.predictions.scoring import clip_scores
from spira.predictions.table import write_predictions
from spira.probes.alterations import ADDED, FORMS, SWAPS, Alteration, AlterParams, in_form, swapped
from spira.probes.background import BackgroundParams
from spira.probes.background import background as background_of
from spira.split.holdout import drawn

_CLIPS = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "label": pl.Int64,
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
class Renderer:
    """A clip and an alteration -> its frames, (n_frames, n_features)."""

    sample_rate: int
    shortest: int  # samples; a shorter clip is padded with silence, as featurize pads it
    quiet: BackgroundParams
    alter: AlterParams
    frames: Frames
    lenders: Mapping[Clip, Waveform]  # each with the background that it lends
    bank: NoiseBank
    noise: NoiseParams

    @torch.inference_mode()
    def __call__(self, clip: Clip, alteration: Alteration) -> Tensor:
        waveform = self._altered(clip, alteration)
        padded = np.pad(waveform, (0, max(0, self.shortest - waveform.size)))
        rendered: Tensor = self.frames(torch.from_numpy(np.ascontiguousarray(padded)))
        return rendered

    def _altered(self, clip: Clip, alteration: Alteration) -> Waveform:
        if alteration in FORMS:
            return in_form(clip.waveform, alteration, self.sample_rate, self.quiet, self.alter)
        if alteration == ADDED:
            rng = generator(self.noise.seed, clip.clip_id, 0)  # the noise of the condition `noisy`
            return insert_noise(clip.waveform, self.bank, self.alter.n_noises, self.noise, rng)
        room = self.lenders[self._lender(clip, alteration)]
        return swapped(clip.waveform, room, self.sample_rate, self.quiet)

    def _lender(self, clip: Clip, alteration: Alteration) -> Clip:
        label = clip.label if alteration == "own_class_noise" else 1 - clip.label
        able = [c for c in self.lenders if c.label == label and c.speaker_id != clip.speaker_id]
        rng = generator(self.alter.seed, clip.clip_id, SWAPS.index(alteration))
        return able[int(rng.integers(len(able)))]


def run(
    seeds: tuple[int, ...],
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    predict: PredictParams,
    background: BackgroundParams,
    noise: NoiseParams,
    alter: AlterParams,
    *,
    clips: Path = Path("data/clips"),
    noises: Path = Path("data/noise"),
    subsets: Path = Path("data/subsets.csv"),
    models: Path = Path("data/models"),
    out: Path = Path("data/altered.csv"),
    n_workers: int | None = None,
) -> None:
    device = prepare("auto", seed=0)  # nothing is drawn
    _, step = windows.frames(sample_rate, features.hop_length)
    folds = {fold: of.test for fold, of in read_subsets(subsets).items()}
    chosen = _chosen(clips, {clip for of in folds.values() for clip in of}, alter)
    lenders = _lenders(chosen, sample_rate, background, alter)
    renderer = Renderer(
        sample_rate,
        windows.samples(sample_rate),
        background,
        alter,
        Frames(features, sample_rate),
        lenders,
        read_noise(noises),
        noise,
    )
    nets = {(fold, seed): load_model(models / fold / str(seed), device) for fold in folds for seed in seeds}
    tables = []
    n_threads = torch.get_num_threads()
    for alteration in _alterations(lenders):
        torch.set_num_threads(1)  # one clip a thread, as in featurize
        rendered = ordered_map(lambda clip: renderer(clip, alteration), chosen, n_workers)  # noqa: B023
        frames = dict(zip(chosen, progress(rendered, len(chosen), alteration), strict=True))
        torch.set_num_threads(n_threads)
        for (fold, seed), net in nets.items():
            own = [clip for clip in chosen if clip.clip_id in set(folds[fold])]
            if own:
                length = frames_in_window(models / fold / str(seed))
                heard = _windows([frames[clip] for clip in own], length, step, device)
                scores = clip_scores(net, heard, len(own), predict.batch_size).numpy()
                tables.append(_table(own, scores, fold=fold, condition=alteration, seed=seed))
    write_predictions(pl.concat(tables), out)
    print(f"{len(chosen)} test clips scored under {len(_alterations(lenders))} alterations by {len(nets)} models")


def _windows(clips: Sequence[Tensor], length: int, step: int, device: torch.device) -> Windows:
    """Every window of every clip in one view; nobody is told the labels."""
    n, lengths = len(clips), torch.tensor([len(clip) for clip in clips])
    firsts = torch.zeros(1, n, dtype=torch.int64)
    return windows_of(clips, torch.arange(n), firsts, lengths, torch.zeros(n), length=length, step=step, device=device)


def _chosen(folder: Path, tested: set[str], p: AlterParams) -> list[Clip]:
    """The test clips, or where they are many those that a hash of their names picks, in the order of their names."""
    picked = set(sorted(tested, key=lambda clip: drawn(clip, p.seed))[: p.n_clips])
    table = read_table(folder / "clips.csv", _CLIPS).sort("clip_id").filter(pl.col("clip_id").is_in(picked))
    columns = (table["clip_id"], table["speaker_id"], table["label"], waveforms_of(table, folder))
    return [Clip(*of) for of in zip(*columns, strict=True)]


def _lenders(clips: Sequence[Clip], sample_rate: int, quiet: BackgroundParams, p: AlterParams) -> dict[Clip, Waveform]:
    """Who has background enough, and that; nobody where some clip would find none to borrow."""
    least = round(p.min_background_seconds * sample_rate)
    rooms = {clip: background_of(clip.waveform, sample_rate, quiet) for clip in clips}
    able = {clip: room for clip, room in rooms.items() if room.size >= least}
    of_class = [{clip.speaker_id for clip in able if clip.label == label} for label in (0, 1)]
    if min(map(len, of_class)) < 2:
        print(f"no background is swapped: fewer than two speakers of a class have {p.min_background_seconds} s of it")
        return {}
    return able


def _alterations(lenders: Mapping[Clip, Waveform]) -> tuple[Alteration, ...]:
    return (*FORMS, ADDED, *SWAPS) if lenders else (*FORMS, ADDED)


def _table(clips: Sequence[Clip], scores: NDArray[np.float64], condition: str, fold: str, seed: int) -> pl.DataFrame:
    whose = pl.DataFrame(
        [(clip.clip_id, clip.speaker_id, clip.label) for clip in clips],
        schema=["clip_id", "speaker_id", "label"],
        orient="row",
    )
    same = {"fold": pl.lit(fold), "subset": pl.lit("test"), "condition": pl.lit(condition)}
    return whose.with_columns(**same, seed=pl.lit(seed, pl.Int64), score=scores)


if __name__ == "__main__":
    with as_stage():
        run(
            load("seeds", Seeds),
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("predict", PredictParams),
            load("background", BackgroundParams),
            load("noise", NoiseParams),
            load("alter", AlterParams),
        )
