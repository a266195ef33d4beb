"""train: the frames of training and validation clips -> a network of one fold and seed, and its learning curves."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()
    from spira.training.rank_processes import begin_rank

    begin_rank()

import sys
from contextlib import nullcontext
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from dvclive import Live
from torch import nn

from spira.base.errors import DataError, ParamError
from spira.base.params import load
from spira.base.section import SampleRate
from spira.clips.subsets import FoldClips, read_fold
from spira.encoders.params import EmbeddingParams
from spira.features.conditions import TRAINING_VIEWS, VALIDATION_CONDITIONS
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.features.store import condition_files, longest_clip, read_renderings, read_windows
from spira.features.windows import Windows, first_of_each_rendering
from spira.models.build import build, with_cpu_kernels
from spira.models.device import prepare
from spira.models.params import CpuKernels, NetworkParams
from spira.models.store import read_weights, save_model
from spira.training.checkpoint import Checkpoint, parts_in
from spira.training.early_stopping import BestWeights
from spira.training.gradients import is_separable
from spira.training.loop import train_epochs
from spira.training.optimization import validation_loss
from spira.training.params import TrainParams
from spira.training.pretrained import Adopted, adopt
from spira.training.rank_place import ALONE, Place
from spira.training.rank_processes import as_rank
from spira.training.ranks import Ranks, connected, require_divisible
from spira.training.standardization import centre_and_spread, set_standardize
from spira.training.state import State


class Examples(NamedTuple):
    """The windows that a network is trained and validated on, and the names of their clips."""

    train_windows: Windows
    train_names: list[str]
    val_windows: list[Windows]  # under each condition that has a weight
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
    live: Live | None,
    ranks: Ranks,
    *,
    seed: int,
    name: str,
) -> None:
    """Trains until the last epoch or until validation stops it, from the checkpoint on; ``best`` has the weights.

    ``name`` of the training is printed with every epoch. The checkpoint is that of the first of the ``ranks``, and
    learning curves are written where ``live`` is.
    """
    resume_from, curve = _resume(checkpoint, best, ranks)
    for point in curve:
        _log(live, point)
    names = examples.train_names
    epochs = train_epochs(net, examples.train_windows, p, seed=seed, names=names, resume_from=resume_from, ranks=ranks)
    for epoch, (loss, lr, state) in enumerate(epochs, start=len(curve) + 1):
        val_loss = validation_loss(net, examples.val_windows, p.micro_batch_size, examples.val_names, ranks)
        curve.append(CurvePoint(loss, val_loss, lr))
        _log(live, curve[-1])
        print(f"{name} epoch {epoch}: loss {loss:.4f}, validation {val_loss:.4f}", flush=True)
        if best.update(epoch, val_loss, net.state_dict().items()):
            break
        points = State({"points": torch.tensor(curve, dtype=torch.float64)}, {})
        if ranks.rank == 0:
            checkpoint.write({"run": state, "best": best.state(), "curve": points})


def run(
    sample_rate: int,
    features: FeatureParams,
    embedding: EmbeddingParams,
    windows: WindowParams,
    network: NetworkParams,
    train: TrainParams,
    cpu_kernels: CpuKernels,
    *,
    model: str,
    fold: str,
    seed: int,
    folds: Path = Path("data/folds"),
    training: Path = Path("data/features/train"),
    validation: Path = Path("data/features/validation"),
    pretrained: Path = Path("data/pretrained"),
    models: Path = Path("data/models"),
    curves: Path = Path("data/curves"),
    place: Place = ALONE,
) -> None:
    device = prepare(train.device, seed)
    shape = frame_shape(features, embedding, sample_rate)
    n_frames, step = windows.frames(sample_rate, shape)
    members = read_fold(folds, fold)
    n_frames = longest_clip(training, TRAINING_VIEWS, members.train) if train.windows == "whole" else n_frames
    examples = _read_examples(members, training, validation, train, n_frames, step, device)
    net = with_cpu_kernels(build(model, network, n_frames, shape.n_features), cpu_kernels)
    adopted = adopt_pretrained(net, network, pretrained)
    if network.standardize:
        _standardize(net, training, members)
    if place.n > 1:
        require_divisible(net, train, model)
        prepare_rank(place, train, device)
    net.to(device)
    facts: dict[str, Any] = {"fold": fold, "seed": seed, "sample_rate": sample_rate}
    facts |= {"features": features.model_dump(), "embedding": embedding.model_dump(), "windows": windows.model_dump()}
    facts |= {"model": model, "network": network.model_dump()}
    facts |= {"n_frames": n_frames, "n_features": shape.n_features, "adopted": adopted._asdict() if adopted else None}
    facts["n_parameters"] = sum(weight.numel() for weight in net.parameters())
    inputs = [
        *condition_files(training, TRAINING_VIEWS),
        *(file for condition in VALIDATION_CONDITIONS for file in condition_files(validation, condition)),
        folds / f"{fold}.csv",
    ]
    inputs += [pretrained / network.init_from] if adopted else []
    settings = facts | {"train": train.model_dump(), "cpu_kernels": cpu_kernels}
    checkpoint = _checkpoint(net, f"{model}-{fold}-{seed}", settings, inputs)
    best, out = BestWeights(train.keep, train.patience), Path(model, fold, str(seed))
    with connected(place.rank, place.n, place.meeting, place.n_sharing, device) as ranks:
        with _curves(curves / out) if place.rank == 0 else nullcontext() as live:
            fit(net, examples, train, best, checkpoint, live, ranks, seed=seed, name=f"{model} fold {fold} seed {seed}")
        if place.rank == 0:
            facts |= {"best_epoch": best.epoch, "validation_loss": best.loss}
            save_model(best.weights, facts, models / out)
            checkpoint.remove()


def prepare_rank(place: Place, p: TrainParams, device: torch.device) -> None:
    """Gives each rank of a machine its own GPU, and says what is worth knowing before it takes hours."""
    n_micro_batches = ceil(p.batch_size / p.micro_batch_size)
    if place.rank == 0 and n_micro_batches < place.n:
        where = f"train.batch_size={p.batch_size} and micro_batch_size={p.micro_batch_size}"
        said = f"{n_micro_batches} micro-batches a batch ({where}) are fewer than {place.n} ranks: some do nothing"
        print(said, file=sys.stderr, flush=True)
    if device.type != "cuda":
        return
    if place.local_rank >= torch.cuda.device_count():
        n = torch.cuda.device_count()
        raise ParamError(f"SPIRA_RANKS: must be at most the number of GPUs of a machine, got more than {n}")
    torch.cuda.set_device(place.local_rank)
    if place.rank == 0:
        said = "several ranks have not been tried on GPUs: compare the weights of one training with those of one rank"
        print(said, file=sys.stderr, flush=True)


def _checkpoint(net: nn.Module, name: str, settings: dict[str, Any], inputs: list[Path]) -> Checkpoint:
    """The training's checkpoint, the same for any number of threads where no number in it depends on them."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1 if is_separable(net) else n_threads)
    checkpoint = Checkpoint(name, settings, inputs)
    torch.set_num_threads(n_threads)
    return checkpoint


def _curves(folder: Path) -> Live:
    return Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None)


def _standardize(net: nn.Module, training: Path, members: FoldClips) -> None:
    """Sets the scale of the network's inputs by every frame of the training clips, in every view by its weight."""
    frames, table = read_renderings(training, TRAINING_VIEWS, members.train)
    set_standardize(net, *centre_and_spread(zip(frames, table["weight"], strict=True)))


def _read_examples(
    members: FoldClips, training: Path, validation: Path, p: TrainParams, length: int, step: int, device: torch.device
) -> Examples:
    """Every window of the training and validation clips; with ``p.windows=random``, the first of each training view."""
    train, train_clips = read_windows(training, TRAINING_VIEWS, members.train, length=length, step=step, device=device)
    train = first_of_each_rendering(train) if p.windows == "random" else train
    read = [
        read_windows(validation, condition, members.validation, length=length, step=step, device=device)
        for condition in VALIDATION_CONDITIONS
    ]
    val_windows = [windows for windows, _ in read if windows.weights.any()]
    return Examples(train, train_clips["clip_id"].to_list(), val_windows, read[0][1]["clip_id"].to_list())


def _log(live: Live | None, point: CurvePoint) -> None:
    """Appends one epoch to the learning curves on disk."""
    if live is None:
        return
    live.log_metric("train/loss", point.loss)
    live.log_metric("validation/loss", point.val_loss)
    live.log_metric("train/lr", point.lr)
    live.next_step()


def _resume(checkpoint: Checkpoint, best: BestWeights, ranks: Ranks) -> tuple[State | None, list[CurvePoint]]:
    """The state and the curve to go on from, with ``best`` as it was then; (None, []) where there is no checkpoint."""
    ranks.require_same(checkpoint.path.name.encode(), "data, parameters, code, versions or processor")
    if not (content := ranks.from_first(checkpoint.read() if ranks.rank == 0 else b"")):
        return None, []
    parts = parts_in(content)
    best.resume(parts["best"])
    curve = [CurvePoint(*numbers) for numbers in parts["curve"].tensors["points"].tolist()]
    print(f"{checkpoint.path}: training goes on after epoch {len(curve)}", flush=True)
    return parts["run"], curve


def adopt_pretrained(net: nn.Module, network: NetworkParams, pretrained: Path) -> Adopted | None:
    """Puts the weights of ``network.init_from`` into the network and prints which fit; None where it is none."""
    if network.init_from == "none":
        return None
    file = pretrained / network.init_from
    try:
        adopted = adopt(net, read_weights(file), network.reinit)
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from error
    print(f"{file}:\n{adopted}", flush=True)
    return adopted


if __name__ == "__main__":
    with as_rank() as place:
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("embedding", EmbeddingParams),
            load("windows", WindowParams),
            load("network", NetworkParams),
            load("train", TrainParams),
            load("cpu_kernels", CpuKernels),
            model=sys.argv[1],
            fold=sys.argv[2],
            seed=int(sys.argv[3]),
            place=place,
        )
