"""train: the frames of training and validation clips -> the weights of one fold and seed, and their learning curves."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

import sys
from pathlib import Path
from typing import Any

import torch
from dvclive import Live
from torch import nn

from spira.base.errors import DataError
from spira.base.params import load
from spira.base.section import SampleRate
from spira.base.stage_process import as_stage
from spira.clips.subsets import read_learning
from spira.features.params import FeatureParams, WindowParams
from spira.features.store import files_of, longest_clip, read_windows
from spira.features.windows import first_of_each_clip
from spira.models.build import build
from spira.models.device import prepare
from spira.models.params import ModelParams
from spira.models.store import read_weights, save_model
from spira.training.checkpoint import Checkpoint
from spira.training.early_stopping import BestWeights
from spira.training.loop import learn
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
    clips = read_learning(folds, fold)
    length, step = windows.frames(sample_rate, features.hop_length)
    length = longest_clip(training, "noisy", clips.train) if train.windows == "whole" else length
    to_learn, heard = read_windows(training, "noisy", clips.train, length=length, step=step, device=device)
    to_learn = first_of_each_clip(to_learn) if train.windows == "random" else to_learn
    to_choose, judged = read_windows(validation, "noisy", clips.validation, length=length, step=step, device=device)
    net = build(model, length, features.n_features(sample_rate))
    adopted = start(net, model, pretrained)
    net.to(device)
    best = BestWeights(train.patience)
    read = [*files_of(training, "noisy"), *files_of(validation, "noisy")]
    read += [folds / f"{fold}.csv", *([pretrained / model.init_from] if adopted else [])]
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
    checkpoint = Checkpoint(f"{fold}-{seed}", facts | {"train": train.model_dump()}, read)

    with Live(str(curves / fold / str(seed)), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        since, done = resumed(checkpoint, best)
        for row in done:
            log(live, *row)
        learnt = learn(net, to_learn, train, seed=seed, names=heard["clip_id"].to_list(), since=since)
        for epoch, (loss, lr, state) in enumerate(learnt, start=len(done) + 1):
            chosen_by = validation_loss(net, to_choose, train.micro_batch_size, judged["clip_id"].to_list())
            done.append((loss, chosen_by, lr))
            log(live, *done[-1])
            print(f"fold {fold} seed {seed} epoch {epoch}: loss {loss:.4f}, validation {chosen_by:.4f}", flush=True)
            if best.seen(epoch, chosen_by, net.state_dict().items()):
                break
            if state:
                checkpoint.write(
                    {
                        "learning": state,
                        "best": best.state(),
                        "curves": State({"done": torch.tensor(done, dtype=torch.float64)}, {}),
                    }
                )

    facts |= {"best_epoch": best.epoch, "validation_loss": best.loss}
    save_model(best.weights, facts, models / fold / str(seed))
    checkpoint.remove()


def log(live: Live, loss: float, chosen_by: float, lr: float) -> None:
    """One epoch's numbers, as the learning curves have them."""
    live.log_metric("train/loss", loss)
    live.log_metric("validation/loss", chosen_by)
    live.log_metric("train/lr", lr)
    live.next_step()


def resumed(checkpoint: Checkpoint, best: BestWeights) -> tuple[State | None, list[tuple[float, float, float]]]:
    """The state to go on from, and what was logged until then; ``best`` is as it was then. Or the start."""
    if not (parts := checkpoint.read()):
        return None, []
    best.resume(parts["best"])
    done = [(loss, chosen_by, lr) for loss, chosen_by, lr in parts["curves"].tensors["done"].tolist()]
    print(f"{checkpoint.path}: training goes on after epoch {len(done)}", flush=True)
    return parts["learning"], done


def start(net: nn.Module, model: ModelParams, pretrained: Path) -> Adopted | None:
    """Puts the weights of ``model.init_from`` into the network and says what became of each; None where it is none."""
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
            fold=sys.argv[1],
            seed=int(sys.argv[2]),
        )
