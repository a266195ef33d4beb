"""The frames of clips and a trained model -> the score of each clip."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from spira.base.array_types import Floats
from spira.baselines.statistics import Statistics
from spira.features.windows import Windows, make_windows, one_view_each
from spira.models.threads import in_threads
from spira.predictions.trained import Model


def score(model: Model, clips: Sequence[Tensor], *, step: int, batch_size: int) -> Floats:
    """The probability of `patient` of each clip: the one way from frames to scores, for every model.

    A baseline is given each clip whole. A network is given windows of its own length, and the score is their mean.

    Args:
        model: of ``load_model``.
        clips: the frames of each, (n_frames, n_features), on the CPU.
        step: frames from one window's start to the next.
        batch_size: windows in a forward pass; it moves no score but by rounding.

    Returns:
        Shape (n_clips,), in [0, 1].
    """
    if isinstance(model, Statistics):
        return np.array([model.probability(frames.numpy()) for frames in clips])
    n, lengths = len(clips), torch.tensor([len(frames) for frames in clips])
    # labels are 0, for scoring reads none
    where = one_view_each(torch.arange(n), torch.zeros(n, dtype=torch.int64), lengths, torch.zeros(n))
    windows = make_windows(clips, where, length=model.n_frames, step=step, device=model.device)
    scores: Floats = clip_scores(model.net, windows, n, batch_size).numpy()
    return scores


def score_each(models: Sequence[Model], clips: Sequence[Tensor], *, step: int, batch_size: int) -> Floats:
    """``score`` of each clip by its own model; those of one model are scored together.

    A baseline is fitted to validation clips too, and each of them is scored by one that has not met its speaker.
    """
    scores = np.empty(len(clips))
    for model in {id(model): model for model in models}.values():
        own = [i for i, other in enumerate(models) if other is model]
        scores[own] = score(model, [clips[i] for i in own], step=step, batch_size=batch_size)
    return scores


def clip_scores(net: nn.Module, windows: Windows, n_clips: int, batch_size: int) -> Tensor:
    """The mean over its windows of the probability of `patient`, for each clip.

    Args:
        net: (batch, n_frames, n_features) -> (batch,) logits.
        windows: the windows of every clip, in one view.
        n_clips: number of clips; each has at least one window.
        batch_size: windows in a forward pass.

    Returns:
        Shape (n_clips,), float64, in [0, 1], on the CPU.
    """
    net.eval()
    device = windows.device
    batches = torch.arange(len(windows), device=device).split(batch_size)
    # One tensor for all: a small one for each batch would fragment memory, which then grows without end.
    probabilities = torch.empty(len(windows), dtype=torch.float64, device=device)

    @torch.inference_mode()
    def score(batch: Tensor) -> None:
        probabilities[batch] = torch.sigmoid(net(windows.batch(batch)).double())

    in_threads(score, batches, device=device)
    clips = windows.clips
    total = torch.zeros(n_clips, dtype=torch.float64).index_add_(0, clips, probabilities.cpu())
    return total / torch.bincount(clips, minlength=n_clips)
