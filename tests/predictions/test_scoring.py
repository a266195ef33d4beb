"""A clip has one score from each model, however clips and windows are batched."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor, nn

from spira.baselines.statistics import FrameLayout, Regression, Statistics, clip_statistics
from spira.features.windows import Windows
from spira.models.build import build
from spira.predictions.scoring import clip_scores, score, score_each
from spira.predictions.trained import Model, Network
from tiny import network_params


class FirstNumber(nn.Module):
    """The logit of a window is its first number, if dropout leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.9)

    def forward(self, windows: Tensor) -> Tensor:
        first: Tensor = self.dropout(windows)[:, 0, 0]
        return first


def windows_with(logits: list[float], clips: list[int]) -> Windows:
    """Windows of one frame and one feature, in one view."""
    return Windows(
        frames=(torch.tensor(logits)[:, None],),
        arrays=torch.zeros(len(logits), dtype=torch.int64),
        starts=torch.arange(len(logits)),
        remaining=torch.ones(len(logits), dtype=torch.int64),
        labels=torch.zeros(len(logits)),
        clips=torch.tensor(clips),
        views=torch.zeros(len(logits), dtype=torch.int64),
        weights=torch.ones(len(logits), dtype=torch.float64),
        length=1,
    )


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_a_score_is_the_mean_of_probabilities_not_of_logits(batch_size: int) -> None:
    """Clip 0 has one sure window and two undecided ones: (1 + 1/2 + 1/2) / 3. The size of a batch changes nothing."""
    scores = clip_scores(FirstNumber().train(), windows_with([100.0, 0.0, -100.0, 0.0], [0, 0, 1, 0]), 2, batch_size)
    assert scores.dtype == torch.float64
    assert scores.tolist() == pytest.approx([2 / 3, 0.0], abs=1e-12)


def test_dropout_is_off_whatever_the_model_was_doing() -> None:
    """A model that comes from training scores the same twice."""
    net = FirstNumber().train()
    windows = windows_with([1.0] * 50, list(range(50)))
    first = clip_scores(net, windows, 50, 8)
    assert torch.equal(first, clip_scores(net, windows, 50, 8))
    assert first.unique().tolist() == pytest.approx([torch.sigmoid(torch.tensor(1.0).double()).item()])


def clips_of(n: int) -> list[Tensor]:
    """Of lengths from half a window to three windows."""
    drawn = torch.Generator().manual_seed(0)
    return [torch.randn(32 + 16 * i, 40, generator=drawn) for i in range(n)]


def network() -> Network:
    torch.manual_seed(0)
    net = build("pooled_cnn", network_params(), 64, 40).eval()
    return Network(net, 64, torch.device("cpu"))


def baseline() -> Statistics:
    rng = np.random.default_rng(0)
    regression = Regression(rng.normal(size=319), np.ones(319), rng.normal(0, 0.1, 319), 0.5)
    return Statistics("large", FrameLayout("mfcc", 40, 100.0), regression)


MODELS: dict[str, Callable[[], Model]] = {"network": network, "baseline": baseline}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", MODELS)
def test_a_clip_has_one_score_alone_and_in_company(kind: str) -> None:
    """From one function for every model; a baseline's in every bit, a network's to rounding, for batches differ."""
    model, clips = MODELS[kind](), clips_of(9)
    together = score(model, clips, step=16, batch_size=8)
    alone = np.concatenate([score(model, [clip], step=16, batch_size=8) for clip in clips])
    assert together.shape == (9,)
    assert ((together > 0) & (together < 1)).all()
    assert len(set(together.tolist())) == 9
    np.testing.assert_allclose(alone, together, atol=0 if kind == "baseline" else 1e-6)
    backwards = score(model, clips[::-1], step=16, batch_size=3)[::-1]
    np.testing.assert_allclose(backwards, together, atol=0 if kind == "baseline" else 1e-6)


@pytest.mark.usefixtures("one_thread")
def test_each_clip_is_scored_by_its_own_model() -> None:
    """Two baselines in turn: as each scores its clips alone, in the order of the clips."""
    clips, first = clips_of(5), baseline()
    second = replace(first, regression=replace(first.regression, bias=-0.5))
    models = [first, second, first, second, second]
    got = score_each(models, clips, step=16, batch_size=8)
    alone = [model.probability(clip.numpy()) for model, clip in zip(models, clips, strict=True)]
    assert got.tolist() == alone
    assert second.probability(clips[0].numpy()) < alone[0]


@pytest.mark.usefixtures("one_thread")
def test_a_network_is_given_windows_and_a_baseline_the_whole_clip() -> None:
    """Of a clip of two and a half windows: four at a step of half a window, the last moved back to its end."""
    model, clip = network(), clips_of(9)[8]
    starts = [0, 32, 64, 96]
    with torch.inference_mode():
        expected = torch.sigmoid(model.net(torch.stack([clip[at : at + 64] for at in starts])).double()).mean()
    assert float(score(model, [clip], step=32, batch_size=8)[0]) == pytest.approx(float(expected), abs=1e-6)
    whole = baseline()
    numbers = clip_statistics(clip.numpy(), "large", whole.layout)
    assert float(score(whole, [clip], step=32, batch_size=8)[0]) == expit(whole.regression.logits(numbers))


SCORE = """
import torch
from pathlib import Path
from torch import nn
from spira.predictions.scoring import clip_scores
from spira.training.optimization import validation_loss
from spira.features.windows import make_windows, one_view_each

class Wide(nn.Module):  # takes a convolution's memory, a megabyte at a time, without its minutes
    def forward(self, windows):
        image = torch.relu(windows[:, None].repeat(1, 32, 1, 1))
        return image[:, ::2].contiguous().mean((1, 2, 3))

def megabytes():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

def score(n):
    every = torch.full((n,), 101)
    renderings = one_view_each(torch.zeros(n, dtype=torch.int64), torch.arange(n), every, torch.zeros(n))
    windows = make_windows([frames], renderings, length=101, step=101, device=torch.device("cpu"))
    clip_scores(net, windows, n, 2)
    validation_loss(net, [windows], 2, [])
    return megabytes()

torch.set_num_threads(2)
net, frames = Wide(), torch.randn(10_000, 40)
before = score(500)
print(score(6000) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells its memory there")
def test_memory_does_not_grow_with_the_windows() -> None:
    """A hundred thousand clips are scored, and validated in training, in the memory of a thousand.

    They were not while each batch had a result of its own, between which glibc found no room: half a GB for these 6000.
    """
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", SCORE], env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 30
