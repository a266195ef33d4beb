"""A network and clips small enough that one epoch takes milliseconds."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from spira.features.windows import Windows
from spira.models.build import build
from spira.training.gradients import has_batch_norm
from spira.training.loop import train_epochs
from spira.training.params import TrainParams
from tiny import network_params, train_params

N_FRAMES, N_FEATURES, N_CLIPS = 64, 6, 6

MASKS = {"n_time_masks": 1, "time_width": 20, "n_frequency_masks": 1, "frequency_width": 3}


SMALL_CNN = {"channels": (8, 8), "kernels": (3, 3), "strides": (2, 1), "dilations": (1, 2), "dropout": 0.2}


def params(**changes: object) -> TrainParams:
    fast = {"batch_size": N_CLIPS, "micro_batch_size": 4, "max_epochs": 1, "warmup_steps": 3, "lr": 0.01}
    plain = {"optimizer": "adam", "schedule": "constant", "windows": "overlap", "weight_decay": 0.0, "device": "cpu"}
    return train_params(**{**fast, **plain, **changes})


def make_net(
    kind: str = "spiraconv", norm: str = "group", n_features: int = N_FEATURES, n_frames: int = N_FRAMES
) -> nn.Module:
    torch.manual_seed(1)
    shape = network_params().spiraconv.model_dump() | {"norm": norm, "hidden": 12, "dropout": 0.2}
    return build(kind, network_params(spiraconv=shape, pooled_cnn=SMALL_CNN), n_frames, n_features)


def clips(mode: str, n_features: int = N_FEATURES, n_frames: int = N_FRAMES) -> Windows:
    """Six clips, two of them patients, in two views; longer than a window where one is drawn, shorter where padded."""
    held = {"overlap": n_frames, "random": n_frames + 20, "whole": n_frames - 10}[mode]
    drawn = torch.Generator().manual_seed(0)
    n = 2 * N_CLIPS
    return Windows(
        frames=(torch.randn(n * held, n_features, generator=drawn),),
        arrays=torch.zeros(n, dtype=torch.int64),
        starts=torch.arange(n) * held,
        remaining=torch.full((n,), held),
        labels=torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat_interleave(2),
        clips=torch.arange(N_CLIPS).repeat_interleave(2),
        views=torch.arange(2).repeat(N_CLIPS),
        weights=torch.full((n,), 0.5, dtype=torch.float64),
        length=n_frames,
    )


class Normalised(nn.Module):
    """A batch normalisation that raises where it is given a single window."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(N_FEATURES)
        self.line = nn.Linear(N_FEATURES, 1)

    def forward(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.line(self.norm(windows.mean(dim=1))).squeeze(1)
        return logits


def stuck(net: nn.Module, fresh: nn.Module) -> list[str]:
    """Parameters that did not move, but for biases that the batch normalisation behind them takes out again."""
    before = dict(fresh.named_parameters())
    still = [name for name, p in net.named_parameters() if torch.equal(p, before[name])]
    return [n for n in still if not (has_batch_norm(net) and n.startswith("conv.") and n.endswith("bias"))]


def moved(windows: Windows, device: str) -> Windows:
    tensors = ("arrays", "starts", "remaining", "labels")  # the others stay where the host can read them
    there: dict[str, Any] = {name: getattr(windows, name).to(device) for name in tensors}
    return replace(windows, frames=tuple(array.to(device) for array in windows.frames), **there)


def recorded_and_not(kind: str, device: str, batch_size: int) -> list[tuple[list[float], dict[str, Tensor]]]:
    """Losses and weights of three epochs, in micro-batches."""
    found = []
    for recorded in (False, True):
        net, p = make_net(kind).to(device), params(batch_size=batch_size, micro_batch_size=2, max_epochs=3)
        torch.manual_seed(5)
        p = p.model_copy(update={"cuda_graph": recorded})
        learnt = train_epochs(net, moved(clips("overlap"), device), p, seed=1, names=["?"] * N_CLIPS)
        found.append(([epoch.loss for epoch in learnt], net.state_dict()))
    return found
