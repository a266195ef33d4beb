"""Logistic regression on statistics of the features: the simple model that a complicated one has to beat."""

import numpy as np
import torch
from torch import Tensor, nn

from spira.base.errors import DataError
from spira.models.params import LogisticRegressionParams


class LogisticRegression(nn.Module):
    """One logit a window, linear in the window's statistics: mean, deviation and quantiles of each coefficient.

    ``forward``: (batch, n_frames, n_features) -> (batch,), logits of `patient`. Frames that are
    all zero are padding and do not count, so where a window is the whole clip
    (``train.windows=whole``) the statistics are the clip's.

    There is no gradient descent: ``solve`` sets the weights to the optimum, the same for every seed.

    Source:
        Cox, "The regression analysis of binary sequences", 1958; scikit-learn's solver.
    """

    quantiles: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, p: LogisticRegressionParams, n_features: int) -> None:
        super().__init__()
        self.inverse_penalty = p.inverse_penalty
        n_statistics = n_features * (2 + len(p.quantiles))
        self.register_buffer("quantiles", torch.tensor(p.quantiles), persistent=False)
        self.register_buffer("centre", torch.zeros(n_statistics))
        self.register_buffer("spread", torch.ones(n_statistics))
        self.linear = nn.Linear(n_statistics, 1)

    def forward(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.linear((self.statistics(windows) - self.centre) / self.spread).squeeze(1)
        return logits

    def statistics(self, windows: Tensor) -> Tensor:
        """Shape (batch, n_features * (2 + quantiles)): all means, all deviations, then quantile by quantile."""
        padding = (windows == 0).all(dim=2, keepdim=True) & (windows != 0).any(dim=(1, 2), keepdim=True)
        frames = windows.masked_fill(padding, torch.nan)
        mean = frames.nanmean(dim=1)
        variance = (frames - mean[:, None]).square().nanmean(dim=1)
        # not sqrt, which is MKL's: see base/arithmetic.py
        deviation = torch.where(variance > 0, variance * variance.rsqrt(), variance)
        return torch.cat([mean, deviation, *frames.nanquantile(self.quantiles, dim=1)], dim=1)

    @torch.no_grad()
    def solve(self, statistics: Tensor, labels: Tensor, *, balanced: bool) -> None:
        """Sets every weight to the regularised optimum.

        Args:
            statistics: of every training window, shape (n_windows, n_statistics).
            labels: 1 for patient, shape (n_windows,).
            balanced: whether both classes weigh the same.

        Raises:
            DataError: all windows are of one class.
        """
        from sklearn.linear_model import LogisticRegression as Solver  # slow to import: a second

        if len(labels.unique()) < 2:
            raise DataError(
                "model.kind=logistic_regression: training needs windows of both classes, patient and control, got one"
            )
        x, y = statistics.double().cpu().numpy(), labels.cpu().numpy()
        centre, spread = x.mean(axis=0), x.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)  # a statistic that never differs says nothing
        solver = Solver(C=self.inverse_penalty, class_weight="balanced" if balanced else None, max_iter=10_000)
        solver.fit((x - centre) / spread, y)
        for target, value in (
            (self.centre, centre),
            (self.spread, spread),
            (self.linear.weight, solver.coef_),
            (self.linear.bias, solver.intercept_),
        ):
            target.copy_(torch.from_numpy(value))
