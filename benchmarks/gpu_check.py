"""All that a GPU must show, in one run of at most eight minutes: `make gpu-check`.

Needs a CUDA device and Python with torch, NumPy, numba, pydantic, ruamel.yaml and pytest with its xdist; not DVC,
librosa or soundfile. It runs the CUDA tests, trains three times and compares bytes, measures (benchmarks/gpu.py,
benchmarks/gpu_seeds.py), and writes docs/explanation/gpu.json and the table of speed.md. Any step that fails is named,
the others run all the same, and the exit status is 1.
"""

import sys
from importlib.util import find_spec

NEEDED = {  # module: what pip calls it
    "torch": "torch",
    "numpy": "numpy",
    "numba": "numba",
    "pydantic": "pydantic",
    "ruamel": "ruamel.yaml",
    "yaml": "pyyaml",
    "pytest": "pytest",
    "xdist": "pytest-xdist",
    "filelock": "filelock",
}


def missing() -> list[str]:
    """What pip calls the packages that are not here."""
    return [name for module, name in NEEDED.items() if find_spec(module) is None]


if __name__ == "__main__" and (lacking := missing()):  # before what imports them
    sys.exit(f"gpu-check: this Python lacks packages; python3 -m pip install {' '.join(lacking)}")

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import torch

import gpu_seeds
from gpu import (
    LENGTHS,
    N_FEATURES,
    N_FRAMES,
    N_ROUNDS,
    Timed,
    drawn,
    facts,
    measured,
    seconds_on_gpu,
    table,
    training,
)
from marks import renew
from spira.base.params import load
from spira.models.build import build
from spira.models.device import prepare
from spira.models.params import ModelsParams, NetworkParams
from spira.training.params import TrainParams
from spira.training.ranks import state_bytes
from spiraconv_work import Limits

ROOT = Path(__file__).parents[1]
FILE, PAGE = ROOT / "docs/explanation/gpu.json", ROOT / "docs/explanation/speed.md"
TESTS = "tests/training/test_cuda.py"
N_REPEATS = 3
AIM_SECONDS = 0.05  # of an epoch
Way = tuple[str, bool]  # precision, and whether a step is recorded and replayed
WAYS: dict[str, Way] = {
    "step by step": ("float32", False),
    "recorded": ("float32", True),
    "bfloat16": ("bfloat16", False),
}


def main() -> int:
    if not torch.cuda.is_available():
        print("torch finds no CUDA device here, so nothing was checked and there are no figures.")
        return 2
    begin, device = monotonic(), prepare("cuda", seed=0)
    steps: dict[str, Callable[[], Any]] = {
        "tests": run_tests,
        "repeats": lambda: repeats(device),
        "speed": lambda: speed(device),
        "networks_at_once": lambda: networks_at_once(device),
    }
    found: dict[str, Any] = facts() | {"commit": commit(), "failed": []}
    for name, step in steps.items():
        try:
            found[name] = step()
        except Exception as error:  # a card is lent for minutes: the other steps tell as much as they can
            found["failed"].append(name)
            print(f"FAILED: {type(error).__name__}: {error}")
        print(f"{name}: done after {monotonic() - begin:.0f} s", flush=True)
    write(found)
    print(section(found))
    return 1 if found["failed"] else 0


def commit() -> str:
    """The commit that is measured; "unknown" where the copy that was sent has no git."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def run_tests() -> str:
    """The last line of pytest: how many passed.

    Raises:
        RuntimeError: some failed; with what pytest printed.
    """
    # other versions of torch warn of other things, which are no errors here
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-o", "filterwarnings=", TESTS]
    environment = os.environ | {"SPIRA_REQUIRE_CUDA": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], done.stderr[-2000:], flush=True)
    if done.returncode:
        raise RuntimeError(f"pytest exited with {done.returncode}")
    return done.stdout.strip().splitlines()[-1]


def repeats(device: torch.device, lengths: Sequence[int] = LENGTHS, ways: Mapping[str, Way] = WAYS) -> list[str]:
    """The ways in which three trainings of two epochs end in the same bytes.

    Raises:
        RuntimeError: in some they do not.
    """
    p, windows = load("train", TrainParams), drawn(device, list(lengths))
    apart = []
    for name, (precision, recorded) in ways.items():
        digests = set()
        for _ in range(N_REPEATS):
            prepare("cuda" if device.type == "cuda" else "cpu", seed=0)
            _, last = islice(training(windows, p, precision, p.micro_batch_size, recorded), 2)
            digests.add(state_bytes(last.state))
        if len(digests) > 1:
            apart.append(name)
    if apart:
        raise RuntimeError(f"{N_REPEATS} trainings did not end in the same bytes: {', '.join(apart)}")
    return list(ways)


def speed(device: torch.device) -> dict[str, Any]:
    """benchmarks/gpu.py's limits of the device, and its rows."""
    limits, rows = measured(device)
    return {"limits": limits._asdict(), "rows": rows}


def networks_at_once(device: torch.device, timed: Timed = seconds_on_gpu, n: int = 8) -> dict[str, Any]:
    """benchmarks/gpu_seeds.py's rows of n default networks, and how far stacked gradients are from single ones."""
    kind, p = load("models", ModelsParams).networks[0], load("network", NetworkParams)
    nets = [build(kind, p, N_FRAMES, N_FEATURES).to(device).eval() for _ in range(n)]
    n_windows = load("train", TrainParams).batch_size
    frames = torch.randn(n, n_windows, N_FRAMES, N_FEATURES, device=device)
    labels = torch.arange(n * n_windows, device=device).view(n, n_windows) % 2.0
    return {
        "network": kind,
        "n": n,
        "n_windows": n_windows,
        "largest_difference": gpu_seeds.largest_difference(nets, frames, labels),
        "rows": gpu_seeds.compared(nets, frames, labels, timed, n_rounds=N_ROUNDS),
    }


def write(found: dict[str, Any], file: Path = FILE, page: Path = PAGE) -> None:
    """Writes the figures, and puts their tables into the page."""
    file.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    renew(page, "gpu: make gpu-check", section(found))


def section(found: dict[str, Any]) -> str:
    """As the page has it: what was seen, then a table of one training and one of several networks at once."""
    lines = [f"{found['device']}, torch {found['torch']}, commit {found['commit']}."]
    if found["failed"]:
        lines.append(f"FAILED: {', '.join(found['failed'])}.")
    if "tests" in found:
        lines.append(f"The CUDA tests: {found['tests']}.")
    if "repeats" in found:
        lines.append(f"{N_REPEATS} trainings end in the same bytes: {', '.join(found['repeats'])}.")
    if "speed" in found:
        limits, rows = Limits(**found["speed"]["limits"]), found["speed"]["rows"]
        fastest = min(row["epoch_seconds"] for row in rows)
        lines += ["", f"An epoch of 675 windows took {fastest:.3f} s at best (aim: {AIM_SECONDS}).", ""]
        lines += table(limits, rows).splitlines()
    if at_once := found.get("networks_at_once"):
        lines += ["", f"{at_once['n']} networks `{at_once['network']}`, a step of {at_once['n_windows']} windows each,"]
        lines += [
            f"without dropout; stacked gradients are within {at_once['largest_difference']:.0e} of single ones.",
            "",
        ]
        lines += ["| networks | graph | windows/s |", "|---|---|---|"]
        for row in at_once["rows"]:
            graph = "yes" if row["cuda_graph"] else "no"
            lines.append(f"| {row['way']} | {graph} | {row['windows_per_second']:.0f} |")
    return "".join(f"{line}\n" for line in [*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
