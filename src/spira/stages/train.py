"""train: the frames of training and validation clips -> the weights of one seed, and its learning curves."""

import sys
from pathlib import Path

import torch
from dvclive import Live
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from spira.adapters.engine import prepare
from spira.adapters.frames import read_windows
from spira.adapters.models import save_model
from spira.core.features import FeatureParams
from spira.core.model import ModelParams, build
from spira.core.section import SampleRate
from spira.core.training import (
    BestWeights,
    TrainParams,
    loss_of,
    optimizer_for,
    schedule_for,
    validation_loss,
)
from spira.core.windows import WindowParams
from spira.errors import DataError, told
from spira.params import load


def run(
    sample_rate: int,
    features: FeatureParams,
    windows: WindowParams,
    model: ModelParams,
    train: TrainParams,
    *,
    seed: int,
    training: Path = Path("data/features/train"),
    validation: Path = Path("data/features/validation"),
    models: Path = Path("data/models"),
    curves: Path = Path("data/curves"),
) -> None:
    device = prepare(train.device, seed)
    length, step = windows.frames(sample_rate, features.hop_length)
    to_learn, clips = read_windows(training, "noisy", length=length, step=step, device=device)
    to_choose, _ = read_windows(validation, "noisy", length=length, step=step, device=device)
    net = build(model, length, features.n_features(sample_rate)).to(device)
    optimizer = optimizer_for(net, train)
    schedule = schedule_for(optimizer, train)
    order = torch.Generator().manual_seed(seed)
    best = BestWeights(train.patience)
    n_windows, n_views = len(to_learn), len(to_learn.starts)

    with Live(str(curves / str(seed)), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for epoch in range(1, train.max_epochs + 1):
            net.train()
            epoch_loss = 0.0
            views = torch.randint(n_views, (n_windows,), generator=order).to(device)
            for batch in torch.randperm(n_windows, generator=order).to(device).split(train.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = torch.zeros((), device=device)
                # Small enough for the cache; their gradients add up to the batch's.
                for part in batch.split(train.micro_batch_size):
                    part_loss = loss_of(net(to_learn.batch(part, views[part])), to_learn.labels[part])
                    (part_loss / len(batch)).backward()
                    loss += part_loss.detach()
                if not torch.isfinite(loss):
                    raise DataError(_diverged(epoch, float(loss), to_learn.clips[batch], clips["clip_id"].to_list()))
                clip_grad_norm_(net.parameters(), train.max_grad_norm)
                optimizer.step()
                schedule.step()  # Noam counts optimizer steps, not epochs
                epoch_loss += float(loss)
            chosen_by = validation_loss(net, to_choose, train.micro_batch_size)
            live.log_metric("train/loss", epoch_loss / n_windows)
            live.log_metric("validation/loss", chosen_by)
            live.log_metric("train/lr", schedule.get_last_lr()[0])
            live.next_step()
            print(
                f"seed {seed} epoch {epoch}: loss {epoch_loss / n_windows:.4f}, validation {chosen_by:.4f}",
                flush=True,
            )
            if best.seen(epoch, chosen_by, net.state_dict().items()):
                break

    facts = {
        "seed": seed,
        "sample_rate": sample_rate,
        "features": features.model_dump(),
        "windows": windows.model_dump(),
        "model": model.model_dump(),
        "n_frames": length,
        "n_features": features.n_features(sample_rate),
        "n_parameters": sum(p.numel() for p in net.parameters()),
        "best_epoch": best.epoch,
        "validation_loss": best.loss,
    }
    save_model(best.weights, facts, models / str(seed))


def _diverged(epoch: int, loss: float, clips: Tensor, names: list[str]) -> str:
    batch = ", ".join(sorted({names[clip] for clip in clips.tolist()}))
    return f"the loss became {loss} in epoch {epoch}, in the batch with windows of {batch}; try a lower train.lr"


if __name__ == "__main__":
    with told():
        run(
            load("sample_rate", SampleRate),
            load("features", FeatureParams),
            load("windows", WindowParams),
            load("model", ModelParams),
            load("train", TrainParams),
            seed=int(sys.argv[1]),
        )
