"""Do the same inputs give the same bytes? The whole path on a tiny corpus, each time in a process of its own.

``python benchmarks/determinism.py kinds`` prints the table of docs/reliability.md: how far apart the weights and scores
of each kind of model are with one thread and two, and with an older processor's instructions. About ten minutes.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from spira.core.model_params import FEATURES
from test_whole_path import SEEDS, prepare, run_to_features, run_to_metrics, run_to_probes, run_training

WORKERS, THREADS, REPEATS = (0, 1, 2, 8), (1, 2), 3  # 0 is a worker a core
OLDER = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NUMBA_CPU_NAME": "nehalem",
    "NUMBA_CPU_FEATURES": "+sse4.2",
}


def path_of(folder: Path, kind: str, workers: int) -> None:
    """From recordings to probes in the folder; of a kind that is not the committed one, two epochs and the metrics."""
    changes: dict[str, dict[str, object]] = {}
    if kind:
        changes = {"model": {"kind": kind}, "features": {"kind": FEATURES[kind][0]}, "train": {"max_epochs": 2}}
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch, **changes)
        run_to_features(workers)
        for seed in SEEDS:
            run_training(seed)
        run_to_metrics()
        if not kind:
            run_to_probes(workers)


def ran(folder: Path, environment: Mapping[str, str], kind: str = "", workers: int = 1) -> Path:
    """The folder, with the whole path in it, made by a fresh process under these variables."""
    folder.mkdir(parents=True)
    command = [sys.executable, __file__, "path", str(folder), kind, str(workers)]
    source = str(Path(__file__).parents[1] / "src")
    subprocess.run(
        command, env={**os.environ, "PYTHONPATH": source, **environment}, check=True, stdout=subprocess.DEVNULL
    )
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Of every file that a stage wrote."""
    files = sorted(file for file in (folder / "data").rglob("*") if file.is_file() and "raw" not in file.parts)
    return {file.relative_to(folder).as_posix(): sha256(file.read_bytes()).hexdigest() for file in files}


def determinism(folder: Path) -> tuple[str, str, bool]:
    """A row of benchmarks/reliability.py: runs that differ from the first, file by file."""
    ways = [(1, 1)] * REPEATS + [way for way in product(WORKERS, THREADS) if way != (1, 1)]
    first: dict[str, str] = {}
    differ: set[str] = set()
    for i, (workers, threads) in enumerate(ways):
        found = digests(ran(folder / str(i), {"OMP_NUM_THREADS": str(threads)}, workers=workers))
        first = first or found
        differ |= {name for name in first | found if first.get(name) != found.get(name)}
    figure = (
        f"{len(ways)} runs from recordings to probes, {REPEATS} of them alike, the others with {WORKERS} workers and "
        f"{THREADS} threads: {len(differ)} of {len(first)} files differ in any byte {sorted(differ)[:3] or ''}"
    )
    return "determinism on a CPU", figure.strip(), not differ


def apart(one: Path, other: Path) -> tuple[float, float]:
    """The greatest differences of a weight, and of a score."""
    weights = [
        float((a - load_file(other / file.relative_to(one))[name]).abs().max())
        for file in sorted(one.rglob("weights.safetensors"))
        for name, a in load_file(file).items()
        if a.is_floating_point()
    ]
    scores = [pl.read_csv(folder / "data/predictions.csv")["score"].to_numpy() for folder in (one, other)]
    return max(weights), float(np.abs(scores[0] - scores[1]).max())


def kinds(folder: Path) -> None:
    print("| `model.kind` | 1 and 2 threads | another processor's instructions |\n| --- | --- | --- |")
    for kind in FEATURES:
        base = ran(folder / kind / "1", {"OMP_NUM_THREADS": "1"}, kind)
        two = ran(folder / kind / "2", {"OMP_NUM_THREADS": "2"}, kind)
        older = ran(folder / kind / "older", {"OMP_NUM_THREADS": "1"} | OLDER, kind)
        cells = []
        for other in (two, older):
            same = digests(base) == digests(other)
            by_weights, by_scores = apart(base, other)
            cells.append("the same bytes" if same else f"weights to {by_weights:.0e}, scores to {by_scores:.0e}")
        print(f"| `{kind}` | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if sys.argv[1:2] == ["path"]:
        path_of(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory() as name:
        kinds(Path(name)) if sys.argv[1:] == ["kinds"] else print(" | ".join(map(str, determinism(Path(name)))))


if __name__ == "__main__":
    main()
