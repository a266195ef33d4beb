"""Augmentation blends, masks, smooths and balances as asked; what is off neither draws nor changes anything."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spira.training.augmentation import balanced_draw, class_weights, mixup, smooth_labels, spec_augment
from spira.training.params import SpecAugmentParams

N_FRAMES, N_FEATURES = 30, 12


def some(n: int) -> torch.Tensor:
    return torch.randn(n, N_FRAMES, N_FEATURES, generator=torch.Generator().manual_seed(0))


def masks(n_time: int, time_width: int, n_frequency: int, frequency_width: int) -> SpecAugmentParams:
    return SpecAugmentParams(
        n_time_masks=n_time,
        time_width=time_width,
        n_frequency_masks=n_frequency,
        frequency_width=frequency_width,
    )


def test_mixup_blends_windows_and_labels_by_the_same_share() -> None:
    """Windows that hold nothing but their label are, blended, still nothing but their label."""
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    windows = labels[:, None, None].expand(6, N_FRAMES, N_FEATURES).clone()
    blended, mixed = mixup(windows, labels, 1.0, np.random.default_rng(0))
    torch.testing.assert_close(blended, mixed[:, None, None].expand_as(blended))
    assert ((mixed > 0.01) & (mixed < 0.99)).any()
    assert mixed.dtype == torch.float32


def test_mixup_keeps_to_its_batch_and_to_its_beta() -> None:
    """Every blend lies between windows of the batch; shares have Beta(a, a)'s mean 1/2 and variance 1 / (8 a + 4)."""
    n = 4000
    windows = torch.arange(float(n))[:, None, None].expand(n, 1, 1)
    blended, share = mixup(windows, (torch.arange(n) % 2).float(), 0.4, np.random.default_rng(0))
    assert blended.min() >= 0
    assert blended.max() <= n - 1
    different = share[(share > 0) & (share < 1)]  # partners of another class: the label is the share itself
    assert float(different.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(different.var()) == pytest.approx(1 / (8 * 0.4 + 4), abs=0.01)


def test_masks_are_stretches_and_bands_of_each_features_mean() -> None:
    """At most as many and as wide as asked; what is not masked is untouched; each window has its own."""
    windows = some(50)
    masked = spec_augment(windows, masks(2, 5, 1, 3), np.random.default_rng(0))
    changed = masked != windows
    mean = windows.mean(dim=1, keepdim=True).expand_as(windows)
    assert torch.equal(masked[changed], mean[changed])
    whole_frames, whole_bands = changed.all(dim=2), changed.all(dim=1)
    assert torch.equal(changed, whole_frames[:, :, None] | whole_bands[:, None, :])
    assert whole_frames.sum(dim=1).max() in range(6, 11)
    assert whole_bands.sum(dim=1).max() == 3
    assert len({tuple(row.tolist()) for row in whole_frames}) > 40


@given(size=st.integers(1, 9), widest=st.integers(0, 12), n=st.integers(1, 3), seed=st.integers(0, 100))
def test_a_mask_of_any_width_fits_any_window(size: int, widest: int, n: int, seed: int) -> None:
    """A mask wider than the window covers it at most; the result is finite."""
    windows = torch.randn(2, size, 3, generator=torch.Generator().manual_seed(seed))
    masked = spec_augment(windows, masks(n, widest, n, widest), np.random.default_rng(seed))
    assert masked.shape == windows.shape
    assert torch.isfinite(masked).all()


def test_no_masks_draw_nothing_and_change_nothing() -> None:
    """Off is off: the next draw of the generator is the one it would have been."""
    rng, untouched = np.random.default_rng(3), np.random.default_rng(3)
    windows = some(4)
    assert spec_augment(windows, masks(0, 40, 0, 8), rng) is windows
    assert rng.random() == untouched.random()


def test_smoothed_labels_are_pulled_towards_a_half() -> None:
    """0.1 makes 0.05 and 0.95; 0 changes no bit."""
    labels = torch.tensor([0.0, 1.0, 0.3])
    torch.testing.assert_close(smooth_labels(labels, 0.1), torch.tensor([0.05, 0.95, 0.32]))
    assert torch.equal(smooth_labels(labels, 0.0), labels)


@pytest.mark.parametrize(
    ("labels", "weights"), [([1, 0, 0, 0], [4 / 6, 2.0]), ([1, 1], [1.0, 1.0]), ([0], [1.0, 1.0]), ([0, 1], [1.0, 1.0])]
)
def test_class_weights_are_finite_and_even_the_classes(labels: list[int], weights: list[float]) -> None:
    """n / (2 count); a class that is not there is not divided by."""
    torch.testing.assert_close(class_weights(torch.tensor(labels, dtype=torch.float32)), torch.tensor(weights))


def test_the_sampler_draws_both_classes_as_often() -> None:
    """10 patients among 1,000 are about half of an epoch, and each of them about as often as the others."""
    labels = (torch.arange(1000) < 10).float()
    drawn = balanced_draw(labels, np.random.default_rng(0))
    assert drawn.shape == (1000,)
    assert float(labels[drawn].mean()) == pytest.approx(0.5, abs=0.06)
    assert drawn[labels[drawn] == 1].bincount().min() > 25
    assert torch.equal(drawn, balanced_draw(labels, np.random.default_rng(0)))
    assert balanced_draw(torch.zeros(5), np.random.default_rng(0)).shape == (5,)
