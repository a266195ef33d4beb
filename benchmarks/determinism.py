"""Do the same inputs give the same bytes? The whole path on a tiny corpus, each time in a process of its own.

``python benchmarks/determinism.py`` varies workers, threads and whether compiled kernels are at hand; ``processors``
emulates others (qemu-x86_64, in Debian's package qemu-user); ``kinds`` does so for each kind of model, and prints the
table of docs/explanation/reliability.md, in an hour; ``operations`` lists what of torch, NumPy and SciPy is another
number on another processor all the same.
"""

import os
import shutil
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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from measuring import unsettled
from spira.base.arithmetic import Arithmetic, variables
from spira.models.params import NETWORKS
from stage_path import SEEDS, prepare, run_to_features, run_to_metrics, run_to_probes, run_training

WORKERS, THREADS, REPEATS = (0, 1, 2, 8), (1, 2), 3  # 0 is a worker a core
PROCESSORS = {
    "Intel's Haswell": "Haswell",
    "AMD's EPYC": "EPYC-v3",
}  # with AVX2 and without AVX-512, as QEMU calls them


def run_path(folder: Path, kind: str, workers: int) -> None:
    """From recordings to probes in the folder; of a kind that is not the committed one, two epochs and the metrics."""
    changes: dict[str, dict[str, object]] = {}
    if kind:
        changes = {"models": {"networks": [kind]}, "features": {"kind": NETWORKS[kind][0]}, "train": {"max_epochs": 2}}
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch, **changes)
        run_to_features(workers)
        for seed in SEEDS:
            run_training(seed)
        run_to_metrics()
        if not kind:
            run_to_probes(workers)


def ran(
    folder: Path,
    environment: Mapping[str, str],
    kind: str = "",
    workers: int = 1,
    arithmetic: Arithmetic = "portable",
    processor: str = "",
) -> Path:
    """The folder, with the whole path in it, made by a fresh process under these variables."""
    folder.mkdir(parents=True)
    emulated = ["qemu-x86_64", "-cpu", processor] if processor else []
    command = [*emulated, sys.executable, __file__, "path", str(folder), kind, str(workers)]
    settled = (
        unsettled() | variables(arithmetic) | {"PYTHONPATH": str(Path(__file__).parents[1] / "src"), **environment}
    )
    said = subprocess.PIPE if processor else None  # QEMU's, of instructions that it does not know
    done = subprocess.run(command, env=settled, check=False, stdout=subprocess.DEVNULL, stderr=said, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{(done.stderr or '')[-2000:]}")
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Of every file that a stage wrote."""
    files = sorted(file for file in (folder / "data").rglob("*") if file.is_file() and "raw" not in file.parts)
    return {file.relative_to(folder).as_posix(): sha256(file.read_bytes()).hexdigest() for file in files}


def determinism(folder: Path) -> tuple[str, str, bool]:
    """A row of benchmarks/reliability.py: runs that differ from the first, file by file."""
    alike = [(1, 1, "cache")] * REPEATS  # the first compiles the kernels, and the others find them
    others = [(*way, "cache") for way in product(WORKERS, THREADS) if way != (1, 1)] + [(2, 2, "empty")]
    first: dict[str, str] = {}
    differ: set[str] = set()
    for i, (workers, threads, cache) in enumerate([*alike, *others]):
        environment = {"OMP_NUM_THREADS": str(threads), "NUMBA_CACHE_DIR": str(folder / cache)}
        found = digests(ran(folder / str(i), environment, workers=workers))
        first = first or found
        differ |= {name for name in first | found if first.get(name) != found.get(name)}
    n_runs, ways = len(alike) + len(others), f"{WORKERS} workers and {THREADS} threads"
    figure = (
        f"{n_runs} runs from recordings to probes, {REPEATS} of them alike, the others with {ways}, 2 of them without "
        f"compiled kernels at hand: {len(differ)} of {len(first)} files differ in any byte {sorted(differ)[:3] or ''}"
    )
    return "determinism on a CPU", figure.strip(), not differ


def processors(folder: Path) -> None:
    """The same path here and on other processors, emulated, for half an hour each; exit status 1 where files differ."""
    if shutil.which("qemu-x86_64") is None:
        sys.exit("qemu-x86_64 emulates the other processors: apt-get install qemu-user")
    environment = {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(folder / "cache")}
    first = digests(ran(folder / "here", environment))
    n_different = 0
    for name, processor in PROCESSORS.items():
        found = digests(ran(folder / processor, environment, processor=processor))
        differ = {file for file in first | found if first.get(file) != found.get(file)}
        print(f"as {name}: {len(differ)} of {len(first)} files differ {sorted(differ)[:3] or ''}".strip(), flush=True)
        n_different += len(differ)
    sys.exit(n_different > 0)


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
    names = ["1 and 2 threads", *(f"as {name}" for name in PROCESSORS), "`native`"]
    print(f"| network | {' | '.join(names)} |\n|{' --- |' * (1 + len(names))}")
    for kind in NETWORKS:
        one = {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(folder / "cache")}
        base = ran(folder / kind / "1", one, kind)
        others = [ran(folder / kind / "2", one | {"OMP_NUM_THREADS": "2"}, kind)]
        others += [ran(folder / kind / cpu, one, kind, processor=cpu) for cpu in PROCESSORS.values()]
        others.append(ran(folder / kind / "native", one, kind, arithmetic="native"))
        cells = []
        for other in others:
            by_weights, by_scores = apart(base, other)
            same = digests(base) == digests(other)
            cells.append("the same bytes" if same else f"weights to {by_weights:.0e}, scores to {by_scores:.0e}")
        print(f"| `{kind}` | {' | '.join(cells)} |", flush=True)
        shutil.rmtree(folder / kind)


def operations() -> None:
    """Each that is another number on another processor, with where."""
    command = [sys.executable, str(Path(__file__).with_name("operations.py"))]

    def results(*emulated: str) -> dict[str, str]:
        settled = os.environ | variables("portable")
        done = subprocess.run([*emulated, *command], check=True, capture_output=True, text=True, env=settled)
        return dict(line.split(": ") for line in done.stdout.splitlines())

    here = results()
    for name, processor in PROCESSORS.items():
        there = results("qemu-x86_64", "-cpu", processor)
        print(f"as {name}: {', '.join(what for what in here if here[what] != there[what]) or 'all the same'}")


def main() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    asked = sys.argv[1] if len(sys.argv) > 1 else "determinism"
    if asked == "path":
        run_path(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    elif asked == "operations":
        operations()
    else:
        with tempfile.TemporaryDirectory() as name:
            work = {"determinism": determinism, "processors": processors, "kinds": kinds}[asked]
            if row := work(Path(name)):
                print(" | ".join(map(str, row)))


if __name__ == "__main__":
    main()
