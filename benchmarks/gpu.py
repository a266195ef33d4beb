"""How near to a GPU's limits SpiraConvV2 is trained, by the pipeline's own loop: `make bench-gpu`.

676 windows of 401 frames of 40 coefficients, version 1's 90 clips, drawn at random and resident on the device; batches
as params.yaml has them, in its micro-batches and whole, launched kernel by kernel and as one recorded graph. An epoch
is all that ``learn`` does for one, checks and state included, between two CUDA events; the sides take turns (A B A B
...). What the device can do is measured on the device: a large product in each precision, and a large copy.
benchmarks/spiraconv_work.py counts the work; it knows no cache, and a batch of 16 has activations of 32 MB after its
first convolution, which some GPUs' second-level cache holds.

Needs torch, NumPy, pydantic and ruamel.yaml, and nothing else of the environment.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

from spira.base.params import load
from spira.features.windows import Renderings, Windows, expected_windows, make_windows
from spira.models.device import prepare
from spira.models.params import V2
from spira.models.spiraconv import SpiraConv
from spira.training.gradients import batch_sizes
from spira.training.loop import Epoch, train_epochs
from spira.training.params import TrainParams
from spiraconv_work import Limits, least, spiraconv_work

N_FRAMES, N_FEATURES, N_VIEWS = 401, 40, 4
LENGTHS = [1101] * 46 + [1001] * 44  # frames of the clips: 46 of eight windows, 44 of seven
N_WARM, N_ROUNDS = 3, 9
Timed = Callable[[Callable[[], object]], float]  # seconds of some work


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--out", type=Path, help="write the figures here, as JSON")
    asked = p.parse_args()
    if not torch.cuda.is_available():
        print("torch finds no CUDA device here, so nothing was measured and there are no figures.")
        return
    limits, rows = measured(prepare("cuda", seed=0))
    print(table(limits, rows))
    if asked.out:
        found = facts() | {"limits": limits._asdict(), "found": rows}
        asked.out.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def facts() -> dict[str, Any]:
    """Of the device, and of how torch computes on it."""
    return {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }


def measured(device: torch.device) -> tuple[Limits, list[dict[str, Any]]]:
    """What the device can do, and a row a side."""
    limits = measure_limits(device, seconds_on_gpu, n=8192, n_bytes=2**30)
    windows = drawn(device, LENGTHS)
    return limits, compared(
        windows, load("train", TrainParams), limits, seconds_on_gpu, torch.cuda.max_memory_allocated
    )


def seconds_on_gpu(work: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.reset_peak_memory_stats()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


def measure_limits(device: torch.device, timed: Timed, *, n: int, n_bytes: int) -> Limits:
    """Of products of (n, n) and a copy of so many bytes: the median of nine, after three to warm up."""

    def rate(amount: float, work: Callable[[], object]) -> float:
        return amount / median([timed(work) for _ in range(N_WARM + N_ROUNDS)][N_WARM:])

    def product(kind: torch.dtype) -> float:
        a, b = (torch.randn(n, n, device=device).to(kind) for _ in range(2))
        return rate(2 * n**3, lambda: a @ b)

    source = torch.ones(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Limits(product(torch.float32), product(torch.bfloat16), rate(2 * n_bytes, lambda: target.copy_(source)))


def drawn(device: torch.device, lengths: list[int]) -> Windows:
    """Windows of clips of so many frames, every second of them one, half of them patients'."""
    clips = torch.arange(len(lengths)).repeat_interleave(N_VIEWS)
    held = torch.tensor(lengths)[clips]
    frames = torch.randn(N_VIEWS * sum(lengths), N_FEATURES, generator=torch.Generator().manual_seed(0))
    renderings = Renderings(
        arrays=torch.zeros_like(held),
        firsts=held.cumsum(0) - held,
        lengths=held,
        labels=clips % 2.0,
        clips=clips,
        views=torch.arange(N_VIEWS).repeat(len(lengths)),
        weights=torch.full((len(held),), 1 / N_VIEWS, dtype=torch.float64),
    )
    return make_windows([frames], renderings, length=N_FRAMES, step=100, device=device)


def compared(
    windows: Windows, p: TrainParams, limits: Limits, timed: Timed, peak: Callable[[], int]
) -> list[dict[str, Any]]:
    """One row a side: float32 and bfloat16, in micro-batches and in whole batches; on a GPU recorded too."""
    at_once = sorted({p.micro_batch_size, p.batch_size})
    ways = list(product(("float32", "bfloat16"), at_once, (False, True) if windows.device.type == "cuda" else (False,)))
    sides = [training(windows, p, *way) for way in ways]
    seconds: list[list[float]] = [[] for _ in sides]
    peaks = [0 for _ in sides]
    for _ in range(N_WARM + N_ROUNDS):
        for i, side in enumerate(sides):
            seconds[i].append(timed(side.__next__))
            peaks[i] = max(peaks[i], peak())
    n_windows = round(expected_windows(windows))  # of one view of each clip
    n_steps = len(batch_sizes(n_windows, p.batch_size, 1))
    work = spiraconv_work(V2, n_windows, n_steps, n_frames=N_FRAMES, n_features=N_FEATURES)
    rows = []
    for (kind, size, recorded), took, most in zip(ways, seconds, peaks, strict=True):
        epoch, bound = median(took[N_WARM:]), least(work, limits, "bfloat16" if kind == "bfloat16" else "float32")
        row: dict[str, Any] = {"precision": kind, "micro_batch_size": size, "cuda_graph": recorded}
        row |= {"steps_per_second": n_steps / epoch, "epoch_seconds": epoch}
        row |= {"fastest": min(took[N_WARM:]), "slowest": max(took[N_WARM:]), "peak_mb": most / 2**20}
        rows.append(row | {"limit": bound.limit, "limit_share": bound.seconds / epoch})
    return rows


def training(
    windows: Windows, p: TrainParams, precision: str, micro_batch_size: int, recorded: bool
) -> Iterator[Epoch]:
    changed: dict[str, Any] = {"precision": precision, "micro_batch_size": micro_batch_size, "cuda_graph": recorded}
    changed["max_epochs"] = N_WARM + N_ROUNDS
    net = SpiraConv(V2, N_FRAMES, N_FEATURES).to(windows.device)
    names = [f"clip {i}" for i in range(int(windows.clips.max()) + 1)]
    return train_epochs(net, windows, p.model_copy(update=changed), seed=0, names=names)


def table(limits: Limits, rows: list[dict[str, Any]]) -> str:
    """Markdown; the limits above it."""
    lines = [
        f"measured limits: {limits.float32 / 1e12:.1f} TFLOP/s in float32, {limits.bfloat16 / 1e12:.1f} in bfloat16, "
        f"{limits.copy / 1e9:.0f} GB/s of a copy\n",
        "| precision | windows at once | graph | steps/s | ms an epoch | fastest, slowest | peak MB | limit | of it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ms = [f"{1000 * row[name]:.1f}" for name in ("epoch_seconds", "fastest", "slowest")]
        cells = [row["precision"], f"{row['micro_batch_size']}", "yes" if row["cuda_graph"] else "no"]
        cells += [f"{row['steps_per_second']:.0f}", ms[0]]
        cells += [f"{ms[1]} to {ms[2]}", f"{row['peak_mb']:.0f}", row["limit"], f"{row['limit_share']:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
