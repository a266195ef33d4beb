"""train: the frames of training and validation clips -> the weights of one fold and seed, and their learning curves."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from dvclive import Live
from torch import nn

from spira.base.errors import DataError
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.clips.subsets import read_fold
from spira.features.conditions import TRAINING_CONDITION
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import condition_files, longest_clip, read_windows
from spira.features.windows import Windows, first_of_each_clip
from spira.models.build import build, with_cpu_kernels
from spira.models.device import prepare
from spira.models.params import CpuKernels, ModelParams
from spira.models.store import read_weights, save_model
from spira.training.checkpoint import Checkpoint
from spira.training.early_stopping import BestWeights
from spira.training.loop import train_epochs
from spira.training.optimization import validation_loss
from spira.training.params import TrainParams
from spira.training.pretrained import Adopted, adopt
from spira.training.state import State


def run(
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    model: ModelParams,
    train: TrainParams,
    cpu_kernels: CpuKernels,
    *,
    fold: str,
    seed: int,
    folds: Path = Path("data/folds"),
    training: Path = Path("data/features/train"),
    validation: Path = Path("data/features/validation"),
    pretrained: Path = Path("data/pretrained"),
    models: Path = Path("data/models"),
    curves: Path = Path("data/curves"),
) -> None:
    device = prepare(train.device, seed)
    members = read_fold(folds, fold)
    length, step = windows.frames(sample_rate, features.hop_length)
    length = longest_clip(training, TRAINING_CONDITION, members.train) if train.windows == "whole" else length
    train_windows, train_clips = read_windows(
        training, TRAINING_CONDITION, members.train, length=length, step=step, device=device
    )
    train_windows = first_of_each_clip(train_windows) if train.windows == "random" else train_windows
    val_windows, val_clips = read_windows(
        validation, TRAINING_CONDITION, members.validation, length=length, step=step, device=device
    )
    examples = Examples(train_windows, train_clips["clip_id"].to_list(), val_windows, val_clips["clip_id"].to_list())
    net = with_cpu_kernels(build(model, length, features.n_features(sample_rate)), cpu_kernels)
    adopted = adopt_pretrained(net, model, pretrained)
    net.to(device)
    facts: dict[str, Any] = {
        "fold": fold,
        "seed": seed,
        "sample_rate": sample_rate,
        "features": features.model_dump(),
        "windows": windows.model_dump(),
        "model": model.model_dump(),
        "n_frames": length,
        "n_features": features.n_features(sample_rate),
        "adopted": None if adopted is None else adopted._asdict(),
        "n_parameters": sum(p.numel() for p in net.parameters()),
    }
    inputs = [file for folder in (training, validation) for file in condition_files(folder, TRAINING_CONDITION)]
    inputs.append(folds / f"{fold}.csv")
    inputs += [pretrained / model.init_from] if adopted else []
    settings = facts | {"train": train.model_dump(), "cpu_kernels": cpu_kernels}
    checkpoint = Checkpoint(f"{fold}-{seed}", settings, inputs)
    best = BestWeights(train.patience)

    with Live(str(curves / fold / str(seed)), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        fit(net, examples, train, best, checkpoint, live, fold=fold, seed=seed)
    facts |= {"best_epoch": best.epoch, "validation_loss": best.loss}
    save_model(best.weights, facts, models / fold / str(seed))
    checkpoint.remove()


class Examples(NamedTuple):
    """The windows that a network is trained and validated on, and the names of their clips."""

    train_windows: Windows
    train_names: list[str]
    val_windows: Windows
    val_names: list[str]


class CurvePoint(NamedTuple):
    """One epoch of the learning curves."""

    loss: float
    val_loss: float
    lr: float


def fit(
    net: nn.Module,
    examples: Examples,
    p: TrainParams,
    best: BestWeights,
    checkpoint: Checkpoint,
    live: Live,
    *,
    fold: str,
    seed: int,
) -> None:
    """Trains until the last epoch or until validation stops it, from the checkpoint on; ``best`` has the weights."""
    since, curve = resume(checkpoint, best)
    for point in curve:
        log(live, point)
    epochs = train_epochs(net, examples.train_windows, p, seed=seed, names=examples.train_names, since=since)
    for epoch, (loss, lr, state) in enumerate(epochs, start=len(curve) + 1):
        val_loss = validation_loss(net, examples.val_windows, p.micro_batch_size, examples.val_names)
        curve.append(CurvePoint(loss, val_loss, lr))
        log(live, curve[-1])
        print(f"fold {fold} seed {seed} epoch {epoch}: loss {loss:.4f}, validation {val_loss:.4f}", flush=True)
        if best.update(epoch, val_loss, net.state_dict().items()):
            break
        if state:
            points = State({"points": torch.tensor(curve, dtype=torch.float64)}, {})
            checkpoint.write({"run": state, "best": best.state(), "curve": points})


def log(live: Live, point: CurvePoint) -> None:
    """Appends one epoch to the learning curves on disk."""
    live.log_metric("train/loss", point.loss)
    live.log_metric("validation/loss", point.val_loss)
    live.log_metric("train/lr", point.lr)
    live.next_step()


def resume(checkpoint: Checkpoint, best: BestWeights) -> tuple[State | None, list[CurvePoint]]:
    """The state and the curve to go on from, with ``best`` as it was then; (None, []) where there is no checkpoint."""
    if not (parts := checkpoint.read()):
        return None, []
    best.resume(parts["best"])
    curve = [CurvePoint(*numbers) for numbers in parts["curve"].tensors["points"].tolist()]
    print(f"{checkpoint.path}: training goes on after epoch {len(curve)}", flush=True)
    return parts["run"], curve


def adopt_pretrained(net: nn.Module, model: ModelParams, pretrained: Path) -> Adopted | None:
    """Puts the weights of ``model.init_from`` into the network and prints which fit; None where it is none."""
    if model.init_from == "none":
        return None
    file = pretrained / model.init_from
    try:
        adopted = adopt(net, read_weights(file), model.reinit)
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from error
    print(f"{file}:\n{adopted}", flush=True)
    return adopted


if __name__ == "__main__":
    with as_stage():
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("model", ModelParams),
            load("train", TrainParams),
            load("cpu_kernels", CpuKernels),
            fold=sys.argv[1],
            seed=int(sys.argv[2]),
        )
