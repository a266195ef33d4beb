"""Several ranks train as one does: the same bytes, whatever their number."""

import multiprocessing
from collections.abc import Callable, Sequence
from functools import reduce
from hashlib import sha256
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from spira.base.errors import DataError, ParamError
from spira.features.windows import Windows
from spira.models.dropout import drawing_from, new_generator
from spira.stages.train import prepare_rank
from spira.training.gradients import branch, tree_sum
from spira.training.loop import train_epochs
from spira.training.optimization import optimizer_for, summed_loss, validation_loss
from spira.training.rank_place import Place
from spira.training.ranks import connected, require_divisible, state_bytes
from spira.training.state import State
from tiny_training import MASKS, N_FEATURES, N_FRAMES, make_net, params

pytestmark = pytest.mark.usefixtures("one_thread")

N_WINDOWS = 22  # batches of 16 and 6: 8 micro-batches of two windows, and 3, of which the first of four ranks has none
NAMES = ["?"] * N_WINDOWS
OPTIONS = {"windows": "random", "mixup_alpha": 0.4, "spec_augment": MASKS, "balance": "sampler", "max_epochs": 3}


def many_windows() -> Windows:
    """One clip a window, of one view."""
    drawn, held = torch.Generator().manual_seed(0), N_FRAMES + 20
    return Windows(
        frames=(torch.randn(N_WINDOWS * held, N_FEATURES, generator=drawn),),
        arrays=torch.zeros(N_WINDOWS, dtype=torch.int64),
        starts=torch.arange(N_WINDOWS) * held,
        remaining=torch.full((N_WINDOWS,), held),
        labels=(torch.arange(N_WINDOWS) % 3 == 0).float(),
        clips=torch.arange(N_WINDOWS),
        views=torch.zeros(N_WINDOWS, dtype=torch.int64),
        weights=torch.full((N_WINDOWS,), 0.3, dtype=torch.float64),
        length=N_FRAMES,
    )


class Learnt(NamedTuple):
    """What a rank has after each epoch: all of it must be every rank's."""

    losses: list[float]
    val_losses: list[float]
    states: list[bytes]  # a digest of weights, moments and generators
    weights: str  # SHA-256


def train_rank(rank: int, n: int, meeting: str, kind: str, resume_from: State | None, said: "SimpleQueue[Any]") -> None:
    """One rank of a training, in a process of its own."""
    torch.set_num_threads(1)
    net, windows, p = make_net(kind), many_windows(), params(batch_size=16, micro_batch_size=2, **OPTIONS)
    losses, val_losses, states = [], [], []
    if resume_from:  # whose tensors lie in memory that all ranks share, and an optimizer goes on in them
        resume_from = State({name: tensor.clone() for name, tensor in resume_from.tensors.items()}, resume_from.facts)
    torch.manual_seed(2)
    with connected(rank, n, meeting, n, torch.device("cpu")) as ranks:
        epochs = train_epochs(net, windows, p, seed=3, names=NAMES, resume_from=resume_from, ranks=ranks)
        for loss, _, state in epochs:
            losses.append(loss)
            val_losses.append(validation_loss(net, [windows], 4, NAMES, ranks))
            states.append(state_bytes(state))
    digest = sha256(b"".join(weight.numpy().tobytes() for weight in net.state_dict().values()))
    said.put((rank, Learnt(losses, val_losses, states, digest.hexdigest())))


def in_ranks(n: int, folder: Path, work: Callable[..., None], *arguments: object) -> list[Any]:
    """What each of n ranks has said, by rank."""
    starter = multiprocessing.get_context("forkserver")  # it has torch already, whose start takes seconds
    starter.set_forkserver_preload(["spira.stages.train", "torch._inductor"])
    said: SimpleQueue[Any] = starter.SimpleQueue()
    meeting = str(folder / f"meeting-{n}-{len(list(folder.iterdir()))}")
    children = [starter.Process(target=work, args=[rank, n, meeting, *arguments, said]) for rank in range(n)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    for child in children:
        child.kill()  # one that waits for another that has failed
    assert [child.exitcode for child in children] == [0] * n
    return [answer for _, answer in sorted(said.get() for _ in range(n))]


@pytest.mark.parametrize("kind", ["pooled_cnn", "spiraconv"])
def test_one_two_and_four_ranks_end_in_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """Every epoch's loss, validation loss and state, with every option that draws; on each of the ranks."""
    (alone,) = in_ranks(1, tmp_path, train_rank, kind, None)
    assert len({*alone.losses}) == len({*alone.val_losses}) == 3
    assert in_ranks(2, tmp_path, train_rank, kind, None) == [alone] * 2
    assert in_ranks(4, tmp_path, train_rank, kind, None) == [alone] * 4


def test_another_number_of_ranks_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    """Two ranks end in the bytes of one from the state of one process after the first epoch."""
    net, p = make_net("pooled_cnn"), params(batch_size=16, micro_batch_size=2, **OPTIONS)
    torch.manual_seed(2)
    states = [epoch.state for epoch in train_epochs(net, many_windows(), p, seed=3, names=NAMES)]
    for learnt in in_ranks(2, tmp_path, train_rank, "pooled_cnn", states[0]):
        assert learnt.states == [state_bytes(state) for state in states[1:]]


def talk(rank: int, n: int, meeting: str, said: "SimpleQueue[Any]") -> None:
    """What ranks tell each other, besides gradients; the last of them differs from the others in one thing."""
    with connected(rank, n, meeting, n, torch.device("cpu")) as ranks:
        mine = torch.full((5,), float("nan"), dtype=torch.float64)
        mine[ranks.part(5)] = torch.arange(5.0, dtype=torch.float64)[ranks.part(5)]
        received = [ranks.complete(mine).tolist(), ranks.from_first(b"\0rank 0" if rank == 0 else b"other")]
        received.append(ranks.from_first(b"" if rank == 0 else b"other"))
        ranks.require_same(b"equal", "thing")
        try:
            ranks.require_same(b"other" if rank == n - 1 else b"equal", "thing")
        except DataError as error:
            received.append(str(error))
    said.put((rank, received))


def test_ranks_share_what_each_has_computed_and_what_the_first_has_read(tmp_path: Path) -> None:
    """All numbers in their order, bytes as they are, none too; and a difference stops every rank, by name."""
    expected = [[0.0, 1.0, 2.0, 3.0, 4.0], b"\0rank 0", b"", "rank 3 of 4 has other thing than rank 0"]
    assert in_ranks(4, tmp_path, talk) == [expected] * 4


def meet_nan(rank: int, n: int, meeting: str, said: "SimpleQueue[Any]") -> None:
    """A training of which the last micro-batch, and so the last rank alone, has a window that is not finite."""
    torch.set_num_threads(1)
    windows, p = many_windows(), params(batch_size=N_WINDOWS, micro_batch_size=2, windows="whole")
    order = torch.Generator().manual_seed(3)
    torch.rand(N_WINDOWS, generator=order, dtype=torch.float64)  # views
    last = int(torch.randperm(N_WINDOWS, generator=order)[-1])
    windows.frames[0][int(windows.starts[last])] = float("nan")
    with connected(rank, n, meeting, n, torch.device("cpu")) as ranks:
        try:
            list(train_epochs(make_net(), windows, p, seed=3, names=NAMES, ranks=ranks))
        except DataError as error:
            said.put((rank, str(error)))


def test_all_ranks_stop_at_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    """In the same step and with the same message, though only one of them has computed it."""
    messages = in_ranks(2, tmp_path, meet_nan)
    assert messages[0] == messages[1]
    assert messages[0].startswith(
        "the loss became nan in epoch 1, in the batch with windows of ?; try a lower train.lr"
    )


def leaves(n: int) -> list[list[Tensor]]:
    drawn = torch.Generator().manual_seed(n)
    return [[torch.randn((), generator=drawn), torch.randn(50, generator=drawn)] for _ in range(n)]


BY_HAND: dict[int, Callable[..., Tensor]] = {
    1: lambda a: a,
    2: lambda a, b: a + b,
    3: lambda a, b, c: a + (b + c),
    5: lambda a, b, c, d, e: (a + b) + (c + (d + e)),
    6: lambda a, b, c, d, e, f: (a + (b + c)) + (d + (e + f)),
    8: lambda a, b, c, d, e, f, g, h: ((a + b) + (c + d)) + ((e + f) + (g + h)),
}


@pytest.mark.parametrize("n", BY_HAND)
def test_the_sum_is_the_tree_that_is_written_out(n: int) -> None:
    """Bit for bit, of each tensor; from five leaves on it is not the sum from left to right."""
    expected = [BY_HAND[n](*each) for each in zip(*leaves(n), strict=True)]
    from_left = [reduce(Tensor.add, each) for each in zip(*leaves(n), strict=True)]
    found = tree_sum(leaves(n), n)
    assert found is not None
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(found[1], from_left[1]) == (n < 3)


@pytest.mark.parametrize("n_nodes", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("n", range(1, 20))
def test_branches_cover_all_leaves_and_add_up_to_the_tree(n: int, n_nodes: int) -> None:
    """Each leaf is in one branch, also where there are fewer leaves than branches; pair by pair they are the tree."""
    parts = [branch(n, node, n_nodes) for node in range(n_nodes)]
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    sums = [tree_sum(leaves(n)[part], n, node, n_nodes) for node, part in enumerate(parts)]
    while len(sums) > 1:
        sums = [added(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
    (whole,), expected = sums, tree_sum(leaves(n), n)
    assert whole is not None
    assert expected is not None
    assert all(torch.equal(a, b) for a, b in zip(whole, expected, strict=True))


def added(a: Sequence[Tensor] | None, b: Sequence[Tensor] | None) -> Sequence[Tensor] | None:
    return [x + y for x, y in zip(a, b, strict=True)] if a and b else a or b


def test_a_step_follows_the_tree_of_its_micro_batches() -> None:
    """One batch of five micro-batches, written out: the same weights, bit for bit."""
    windows = many_windows().keep(torch.arange(5))
    p = params(batch_size=5, micro_batch_size=1)
    net, expected = make_net(), make_net()
    torch.manual_seed(2)
    list(train_epochs(net, windows, p, seed=3, names=NAMES))

    order = torch.Generator().manual_seed(3)
    torch.rand(5, generator=order, dtype=torch.float64)  # views
    shuffled = torch.randperm(5, generator=order)
    torch.manual_seed(2)
    gradients = []
    for i, seed in zip(shuffled, torch.randint(2**63 - 1, (5,)).tolist(), strict=True):
        with drawing_from(new_generator(seed, i.device)):
            loss = summed_loss(expected(windows.batch(i[None])), windows.labels[i[None]])
        gradients.append(torch.autograd.grad(loss / 5, list(expected.parameters())))
    for weight, parts in zip(expected.parameters(), zip(*gradients, strict=True), strict=True):
        weight.grad = BY_HAND[5](*parts)
    clip_grad_norm_(expected.parameters(), p.max_grad_norm)
    optimizer_for(expected, p).step()
    assert all(torch.equal(net.state_dict()[name], weight) for name, weight in expected.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("spiraconv_v1", {}, r"^spiraconv_v1: must be trained by one rank, for it has batch normalisation"),
        ("cnn6", {}, r"^cnn6: must be trained by one rank, for it has batch normalisation"),
        ("mfcc_transformer", {}, r"^mfcc_transformer: must be trained by one rank, for it has torch's own dropout"),
        ("pooled_cnn", {"cuda_graph": True}, r"^train\.cuda_graph: must be false on several ranks"),
        ("pooled_cnn", {"precision": "bfloat16"}, r"^train\.precision: must be float32 on several ranks"),
    ],
)
def test_what_several_ranks_cannot_do_is_refused(kind: str, changes: dict[str, object], message: str) -> None:
    """Statistics and draws in the order of micro-batches would be lost; what was never tried is not begun."""
    with pytest.raises(ParamError, match=message):
        require_divisible(make_net(kind, n_features=32, n_frames=64), params(device="cuda", **changes), kind)
    require_divisible(make_net("pooled_cnn"), params(), "pooled_cnn")


@pytest.mark.parametrize(("n", "rank", "said"), [(2, 0, False), (4, 0, True), (4, 1, False)])
def test_ranks_that_do_nothing_are_said(n: int, rank: int, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """More of them than a batch has micro-batches train the same, and take room: the first says so."""
    place = Place(rank, n, local_rank=rank, n_sharing=n, meeting="")
    prepare_rank(place, params(batch_size=6, micro_batch_size=4), torch.device("cpu"))
    sentence = "2 micro-batches a batch (train.batch_size=6 and micro_batch_size=4) are fewer than 4 ranks: "
    assert capsys.readouterr().err == (sentence + "some do nothing\n" if said else "")
