"""Windows -> the score of each clip."""

import torch
from torch import Tensor, nn

from spira.features.windows import Windows
from spira.models.threads import in_threads


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
