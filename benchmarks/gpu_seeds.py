"""Several trainings of one network at once on one device, their weights stacked: what a GPU would gain by it.

One such network does not fill a card: the host takes longer to launch its kernels than the card to run them. Weights
of n networks are stacked, and ``torch.func.vmap`` runs one step of all of them, each on windows of its own. Dropout is
off on both sides, since its generators cannot be stacked. The pipeline itself trains one network a process
(`make repro JOBS=3`); this measures whether it should do otherwise.
"""

from collections.abc import Callable
from copy import deepcopy
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from spira.training.cuda_graphs import Recorded
from spira.training.optimization import summed_loss

N_WARM = 3
Step = Callable[[Tensor, Tensor], list[Tensor]]  # windows and labels -> the loss and its gradients


def single_step(net: nn.Module) -> Step:
    """(n_windows, n_frames, n_features), (n_windows,) -> the mean loss of one network and its gradients."""
    weights = [weight for weight in net.parameters() if weight.requires_grad]

    def step(frames: Tensor, labels: Tensor) -> list[Tensor]:
        loss = summed_loss(net(frames), labels) / len(labels)
        return [loss.detach(), *torch.autograd.grad(loss, weights)]

    return step


def stacked_step(nets: list[nn.Module]) -> Step:
    """(n, n_windows, n_frames, n_features), (n, n_windows) -> n losses, and the gradients of n networks, stacked."""
    stacked, buffers = stack_module_state(nets)
    trainable = {name for name, weight in nets[0].named_parameters() if weight.requires_grad}
    weights = {name: tensor.detach() for name, tensor in stacked.items() if name in trainable}
    fixed = {name: tensor.detach() for name, tensor in stacked.items() if name not in trainable} | buffers
    like = deepcopy(nets[0]).to("meta")  # its shapes alone

    def loss(weights: dict[str, Tensor], fixed: dict[str, Tensor], frames: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = functional_call(like, weights | fixed, (frames,))
        return summed_loss(logits, labels) / len(labels)

    work = vmap(grad_and_value(loss))

    def step(frames: Tensor, labels: Tensor) -> list[Tensor]:
        gradients, losses = work(weights, fixed, frames, labels)
        return [losses, *(gradients[name] for name in weights)]

    return step


def largest_difference(nets: list[nn.Module], frames: Tensor, labels: Tensor) -> float:
    """Between the gradients of the networks one by one and stacked, as a fraction of each tensor's largest number."""
    together = stacked_step(nets)(frames, labels)
    worst = 0.0
    for i, net in enumerate(nets):
        for a, b in zip(single_step(net)(frames[i], labels[i]), together, strict=True):
            worst = max(worst, float((a - b[i]).abs().max() / a.abs().max().clamp(min=1e-12)))
    return worst


def compared(
    nets: list[nn.Module], frames: Tensor, labels: Tensor, timed: Callable[[Callable[[], object]], float], n_rounds: int
) -> list[dict[str, Any]]:
    """Windows a second of one by one and stacked, launched kernel by kernel and, on a GPU, as one recorded graph.

    Args:
        nets: in evaluation mode, which has no dropout.
        frames: (n_nets, n_windows, n_frames, n_features).
        labels: (n_nets, n_windows).
        timed: seconds of some work.
        n_rounds: sides take turns, and the median counts; some more go before.
    """
    singles, stacked = [single_step(net) for net in nets], stacked_step(nets)
    batches = list(zip(frames, labels, strict=True))
    sides: dict[tuple[str, bool], Callable[[], object]] = {
        ("one by one", False): lambda: [step(*batch) for step, batch in zip(singles, batches, strict=True)],
        ("stacked", False): lambda: stacked(frames, labels),
    }
    if frames.device.type == "cuda":
        graphs = [Recorded(step, batch, [], net) for step, batch, net in zip(singles, batches, nets, strict=True)]
        graph = Recorded(stacked, (frames, labels), [], nn.Module())
        sides["one by one", True] = lambda: [one(*batch) for one, batch in zip(graphs, batches, strict=True)]
        sides["stacked", True] = lambda: graph(frames, labels)
    seconds: dict[tuple[str, bool], list[float]] = {side: [] for side in sides}
    for round_ in range(N_WARM + n_rounds):
        for side, work in sides.items():
            took = timed(work)
            if round_ >= N_WARM:
                seconds[side].append(took)
    return [
        {"way": way, "cuda_graph": recorded, "windows_per_second": labels.numel() / median(took)}
        for (way, recorded), took in seconds.items()
    ]
