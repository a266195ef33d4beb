"""A resumed training has the epochs that the uninterrupted one would have had, bit for bit."""

import pytest
import torch
from torch import nn

from spira.training.early_stopping import BestWeights
from spira.training.loop import Epoch, train_epochs
from spira.training.params import TrainParams
from spira.training.state import State
from tiny_training import MASKS, N_CLIPS, clips, make_net, params

pytestmark = pytest.mark.usefixtures("one_thread")
N_EPOCHS, SIZE = 2, (32, 64)  # features and frames of a window that every kind can take
DRAWN: dict[str, object] = {"mixup_alpha": 0.4, "spec_augment": MASKS, "balance": "sampler", "windows": "random"}


def fresh(kind: str, norm: str, process: int) -> nn.Module:
    """A network as a stage makes it that starts, and torch's own generator as some process has it."""
    net = make_net(kind, norm, *SIZE)
    torch.manual_seed(process)
    return net


def trained(net: nn.Module, p: TrainParams, resume_from: State | None = None) -> list[Epoch]:
    return list(train_epochs(net, clips(p.windows, *SIZE), p, seed=3, names=["?"] * N_CLIPS, resume_from=resume_from))


@pytest.mark.parametrize(
    ("kind", "norm", "options"),
    [
        ("spiraconv", "group", {"optimizer": "adam", "schedule": "noam", **DRAWN}),
        ("spiraconv", "group", {"optimizer": "radam", "schedule": "constant", "label_smoothing": 0.1}),
        ("spiraconv", "batch", {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 0.1, "windows": "random"}),
        ("pooled_cnn", "group", {"optimizer": "adamw", "schedule": "cosine", **DRAWN}),
        ("cnn6", "batch", {"optimizer": "adam", "schedule": "noam", **DRAWN}),
        ("cnn10", "batch", {"balance": "loss"}),
        ("mfcc_transformer", "group", {"optimizer": "adamw", "schedule": "cosine", **DRAWN}),
    ],
)
def test_resumed_training_is_the_uninterrupted_one(kind: str, norm: str, options: dict[str, object]) -> None:
    """Every draw, moment, rate and running mean comes back: the second epoch after a kill has the loss, the rate and
    the weights of the one that was not killed. (cnn14 is cnn10 with more channels.)"""
    p = params(max_epochs=N_EPOCHS, batch_size=3, micro_batch_size=2, **options)
    net = fresh(kind, norm, process=2)
    straight, expected = trained(net, p), net.state_dict()
    resumed = fresh(kind, norm, process=99)
    after = trained(resumed, p, straight[0].state)
    assert [one[:2] for one in after] == [one[:2] for one in straight[1:]]
    assert all(torch.equal(resumed.state_dict()[name], tensor) for name, tensor in expected.items())


def test_a_state_does_not_change_with_the_training_that_it_copies() -> None:
    """Epoch 1's state, taken before epoch 2, is not epoch 2's; nor are the best weights those that go on."""
    net, best = fresh("spiraconv", "group", process=2), BestWeights("lowest", patience=9)
    p = params(max_epochs=2)
    states: list[State] = []
    for epoch in train_epochs(net, clips("overlap", *SIZE), p, seed=3, names=["?"] * N_CLIPS):
        best.update(len(states) + 1, float(len(states)), net.state_dict().items())
        states.append(epoch.state)
    first, last = (state.tensors["net.fc1.weight"] for state in states)
    assert not torch.equal(first, last)
    assert torch.equal(first, best.weights["fc1.weight"])
    assert trained(fresh("spiraconv", "group", process=2), p, states[-1]) == []  # nothing is left to learn


def test_early_stopping_goes_on_counting() -> None:
    """One epoch without a lower loss before the kill and one after it are two; what was best stays so, to the bit."""
    before, after = BestWeights("lowest", patience=2), BestWeights("lowest", patience=2)
    weights = [("loss", torch.tensor([0.1]))]  # a weight may have any name
    assert [before.update(1, 1 / 3, weights), before.update(2, 0.5, [])] == [False, False]
    after.resume(before.state())
    assert (after.loss, after.epoch, after.weights) == (1 / 3, 1, {"loss": torch.tensor([0.1])})
    assert after.update(3, 1 / 3, [])
