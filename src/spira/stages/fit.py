"""fit: the frames of training and validation clips -> a baseline of one fold."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

import sys
from collections.abc import Collection, Sequence
from operator import attrgetter
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import polars as pl
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.baselines.regression import ClipStatistics, fit, held_out_fits, log_loss, select
from spira.baselines.statistics import FrameLayout, Regression, clip_statistics
from spira.clips.parallel import ordered_map
from spira.clips.subsets import read_fold
from spira.encoders.params import EmbeddingParams
from spira.features.conditions import TRAINING_VIEWS, VALIDATION_CONDITIONS
from spira.features.params import FeatureParams, frame_shape
from spira.features.store import read_renderings
from spira.models.params import BaselineParams, Block
from spira.models.store import HELD_OUT, save_model


def run(
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    baseline: BaselineParams,
    *,
    model: str,
    fold: str,
    folds: Path = Path("data/folds"),
    training: Path = Path("data/features/train"),
    validation: Path = Path("data/features/validation"),
    models: Path = Path("data/models"),
    n_workers: int | None = None,
) -> None:
    p, members = baseline.statistics, read_fold(folds, fold)
    layout = FrameLayout(features.kind, features.n_mels, sample_rate / features.hop_length)
    clips = _statistics(*read_renderings(training, TRAINING_VIEWS, members.train), p.blocks, layout, n_workers)
    choices = select(clips, p)
    chosen = min(choices, key=attrgetter("loss"))
    frames, table = _read_validation(validation, members.validation)
    held_out = _statistics(frames, table, (chosen.block,), layout, n_workers)
    regression = fit(clips.joined(held_out), chosen.block, chosen.inverse_penalty)
    fits = held_out_fits(clips, held_out, chosen, p.n_inner_folds)
    facts: dict[str, Any] = {"fold": fold, "seed": 0, "sample_rate": sample_rate}
    facts |= {"features": features.model_dump(), "embedding": embedding.model_dump()}
    n_features = frame_shape(features, embedding, sample_rate).n_features
    facts |= {"model": model, "baseline": baseline.model_dump(), "n_features": n_features}
    facts |= {"block": chosen.block, "inverse_penalty": chosen.inverse_penalty}
    facts |= {"inner_losses": [choice._asdict() for choice in choices], "n_statistics": len(regression.weight)}
    losses = [log_loss(other, held_out.subset(group), chosen.block) for group, other in fits]
    weights = [held_out.weights[group].sum() for group, _ in fits]
    facts["validation_loss"] = float(np.average(losses, weights=weights))
    folder = models / model / fold / "0"
    rmtree(folder / HELD_OUT, ignore_errors=True)  # of a run with more groups, where DVC was not asked
    save_model(_weights(regression), facts, folder)
    for number, (group, other) in enumerate(fits):
        names = sorted(set(table["clip_id"].filter(pl.Series(group))))
        save_model(_weights(other), facts | {"clips": names}, folder / HELD_OUT / str(number))
    print(
        f"{model} fold {fold}: block {chosen.block}, penalty {chosen.inverse_penalty:g}, inner loss {chosen.loss:.4f}, "
        f"validation {facts['validation_loss']:.4f}"
    )


def _read_validation(folder: Path, clips: Collection[str]) -> tuple[list[Tensor], pl.DataFrame]:
    """The renderings of validation clips under the conditions of the validation loss; the weight of one may be 0."""
    read = [read_renderings(folder, condition, clips) for condition in VALIDATION_CONDITIONS]
    return [clip for frames, _ in read for clip in frames], pl.concat([table for _, table in read])


def _statistics(
    frames: Sequence[Tensor],
    table: pl.DataFrame,
    blocks: Sequence[Block],
    layout: FrameLayout,
    n_workers: int | None,
) -> ClipStatistics:
    """The numbers of every rendering, in the order of the table."""

    def numbers(block: Block) -> Any:
        return np.stack(list(ordered_map(lambda clip: clip_statistics(clip.numpy(), block, layout), frames, n_workers)))

    weights = table["weight"].to_numpy()
    by_block = {block: numbers(block) for block in blocks}
    return ClipStatistics(by_block, table["label"].to_numpy(), table["speaker_id"].to_list(), weights)


def _weights(regression: Regression) -> dict[str, Tensor]:
    weights = {name: torch.from_numpy(getattr(regression, name)) for name in ("centre", "spread", "weight")}
    return weights | {"bias": torch.tensor(regression.bias, dtype=torch.float64)}


if __name__ == "__main__":
    with as_stage(), threadpool_limits(1):  # the matrices are thin: BLAS's threads would only wait for each other
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("baseline", BaselineParams),
            model=sys.argv[1],
            fold=sys.argv[2],
        )
