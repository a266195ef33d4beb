"""Augmentation, smoothing and balancing of training windows; each is off where its number is 0."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spira.training.params import SpecAugmentParams


def mixup(windows: Tensor, labels: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blends each window with another of its batch, and their labels by the same share.

    Args:
        windows: shape (batch, n_frames, n_features).
        labels: in [0, 1], shape (batch,).
        alpha: > 0; shares are drawn from Beta(alpha, alpha), one a window.
        rng: draws partners and shares.

    Source:
        Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
    """
    partners = torch.from_numpy(rng.permutation(len(labels))).to(labels.device, non_blocking=True)
    share = torch.from_numpy(rng.beta(alpha, alpha, len(labels))).to(labels, non_blocking=True)
    blended = torch.lerp(windows[partners], windows, share[:, None, None])
    return blended, torch.lerp(labels[partners], labels, share)


def spec_augment(windows: Tensor, p: SpecAugmentParams, rng: np.random.Generator) -> Tensor:
    """Replaces stretches of time and bands of features by each feature's mean over its window.

    A mask's width is drawn evenly from 0 to the widest, then its start evenly from where it
    fits; each window has its own. Nothing is drawn where there are no masks.

    Args:
        windows: shape (batch, n_frames, n_features).
        p: how many masks and how wide.
        rng: draws widths and starts.

    Source:
        Park et al., "SpecAugment", Interspeech 2019, without time warping; there features have
        mean 0 and a mask is 0. Ours have means that differ by 100 dB: one number for all would be an outlier.
    """
    n_windows, n_frames, n_features = windows.shape
    masked = torch.zeros(n_windows, n_frames, n_features, dtype=torch.bool)
    for _ in range(p.n_time_masks):
        masked |= torch.from_numpy(_masks(n_windows, n_frames, p.time_width, rng))[:, :, None]
    for _ in range(p.n_frequency_masks):
        masked |= torch.from_numpy(_masks(n_windows, n_features, p.frequency_width, rng))[:, None, :]
    if not masked.any():
        return windows
    return torch.where(masked.to(windows.device, non_blocking=True), windows.mean(dim=1, keepdim=True), windows)


def _masks(n_windows: int, size: int, widest: int, rng: np.random.Generator) -> NDArray[Any]:
    """One mask a window, shape (n_windows, size)."""
    widths = rng.integers(0, min(widest, size) + 1, n_windows)
    starts = rng.integers(0, size - widths + 1)
    positions = np.arange(size)
    inside: NDArray[Any] = (positions >= starts[:, None]) & (positions < (starts + widths)[:, None])
    return inside


def smooth_labels(labels: Tensor, amount: float) -> Tensor:
    """Pulls labels towards 1/2: 0 and 1 become amount / 2 and 1 - amount / 2 (Szegedy et al., 2016)."""
    return labels * (1 - amount) + amount / 2


def class_weights(labels: Tensor) -> Tensor:
    """Weights of (control, patient) that make both classes weigh the same, shape (2,); their mean over windows is 1.

    A class with no window weighs 1: nothing is divided by zero.

    Args:
        labels: of the whole training set, 0.0 or 1.0, shape (n_windows,).
    """
    counts = torch.stack([(labels == 0).sum(), (labels == 1).sum()])
    n_classes = (counts > 0).sum()
    return torch.where(counts > 0, len(labels) / (n_classes * counts.clamp(min=1)), 1.0)


def balanced_draw(labels: Tensor, rng: np.random.Generator) -> Tensor:
    """Draws as many windows as there are, with replacement, both classes as often; shape (n_windows,)."""
    chance = class_weights(labels)[labels.long()].double().cpu().numpy()
    return torch.from_numpy(rng.choice(len(labels), len(labels), p=chance / chance.sum())).to(labels.device)
