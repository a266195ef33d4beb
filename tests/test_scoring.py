"""A clip's score is the mean probability of its windows, however they are batched."""

import pytest
import torch
from torch import Tensor, nn

from spira.core.scoring import clip_scores
from spira.core.windows import Windows


class FirstNumber(nn.Module):
    """The logit of a window is its first number, if dropout leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.9)

    def forward(self, windows: Tensor) -> Tensor:
        first: Tensor = self.dropout(windows)[:, 0, 0]
        return first


def heard(logits: list[float], clips: list[int]) -> Windows:
    """Windows of one frame and one feature, in one view."""
    return Windows(
        frames=torch.tensor(logits)[:, None],
        starts=torch.arange(len(logits))[None],
        remaining=torch.ones(len(logits), dtype=torch.int64),
        labels=torch.zeros(len(logits)),
        clips=torch.tensor(clips),
        length=1,
    )


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_a_score_is_the_mean_of_probabilities_not_of_logits(batch_size: int) -> None:
    """Clip 0 has one sure window and two undecided ones: (1 + 1/2 + 1/2) / 3. The size of a batch changes nothing."""
    scores = clip_scores(FirstNumber().train(), heard([100.0, 0.0, -100.0, 0.0], [0, 0, 1, 0]), 2, batch_size)
    assert scores.dtype == torch.float64
    assert scores.tolist() == pytest.approx([2 / 3, 0.0], abs=1e-12)


def test_dropout_is_off_whatever_the_model_was_doing() -> None:
    """A model that comes from training scores the same twice."""
    net = FirstNumber().train()
    windows = heard([1.0] * 50, list(range(50)))
    first = clip_scores(net, windows, 50, 8)
    assert torch.equal(first, clip_scores(net, windows, 50, 8))
    assert first.unique().tolist() == pytest.approx([torch.sigmoid(torch.tensor(1.0).double()).item()])
