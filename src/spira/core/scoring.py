"""Windows -> the score of each clip."""

import torch
from torch import Tensor, nn

from spira.core.threads import in_threads
from spira.core.windows import Windows


def clip_scores(net: nn.Module, windows: Windows, n_clips: int, batch_size: int) -> Tensor:
    """The mean over its windows of the probability of `patient`, for each clip.

    Args:
        net: (batch, n_frames, n_features) -> (batch,) logits.
        windows: of every clip, in one view.
        n_clips: clips; each has at least one window.
        batch_size: windows a forward pass.

    Returns:
        Shape (n_clips,), float64, in [0, 1], on the CPU.
    """
    net.eval()
    total = torch.zeros(n_clips, dtype=torch.float64)
    count = torch.zeros(n_clips, dtype=torch.float64)
    batches = torch.arange(len(windows), device=windows.starts.device).split(batch_size)

    @torch.inference_mode()
    def probability(batch: Tensor) -> Tensor:
        return torch.sigmoid(net(windows.batch(batch, torch.zeros_like(batch))).double()).cpu()

    scored = in_threads(probability, batches, device=windows.frames.device)
    for batch, of_each in zip(batches, scored, strict=True):
        clips = windows.clips[batch].cpu()
        total.index_add_(0, clips, of_each)
        count.index_add_(0, clips, torch.ones_like(of_each))
    return total / count
