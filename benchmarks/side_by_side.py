"""The demo's trainings one after the other and at once: `make bench-trainings`, in a clean clone that is reproduced.

It works in a clone of its own, with a copy of this one's cache but for what DVC remembers of earlier runs. Each time
the warm-up is one step longer, so that every training runs; none stops early. Sides take turns.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from ruamel.yaml import YAML

from spira.repository.git import git
from spira.sweeps.clones import dvc, environment_on

ROUNDS = 3
DVC = (sys.executable, "-m", "dvc")
SIDES = {
    "`dvc repro`": (*DVC, "repro", "train"),
    "`make repro JOBS=2`": (sys.executable, "-m", "spira", "train-parallel", "2"),
    "`make repro JOBS=3`": (sys.executable, "-m", "spira", "train-parallel", "3"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "clone")
        run = furnished(folder)
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for i in range(ROUNDS * len(SIDES)):
            side = list(SIDES)[i % len(SIDES)]
            ask(folder / "params.yaml", 1 + i)
            start = perf_counter()
            run(*SIDES[side])
            seconds[side].append(perf_counter() - start)
            if json.loads(run(*DVC, "status", "--json", "train")):
                sys.exit(f"{side}: left a training undone")
    first = median(next(iter(seconds.values())))
    print(f"| three trainings | median of {ROUNDS} | fastest to slowest | times as fast |\n|---|---|---|---|")
    for side, of in seconds.items():
        print(f"| {side} | {median(of):.1f} s | {min(of):.1f} to {max(of):.1f} s | {first / median(of):.2f} |")


def furnished(folder: Path) -> Callable[..., str]:
    """A clone with all data in its place; runs commands in it."""
    environment = environment_on(None)

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    git(Path.cwd(), "clone", "-q", ".", str(folder.absolute()))
    shutil.copytree(Path(dvc(Path.cwd(), "cache", "dir").strip(), "files"), folder / ".dvc/cache/files")
    run(*DVC, "checkout", "-q")
    return run


def ask(path: Path, more: int) -> None:
    yaml = YAML()
    params = yaml.load(path)
    params["train"]["patience"] = params["train"]["max_epochs"]
    params["train"]["warmup_steps"] = 100 + more
    yaml.dump(params, path)


if __name__ == "__main__":
    main()
