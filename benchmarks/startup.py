"""What each stage takes before it works, beside Python, NumPy, polars and torch alone: `make bench-startup`.

Processor seconds of a process that imports and ends, which a busy machine changes less than the clock; interleaved:
each round runs every one once. Seconds by the clock are for who waits at the terminal.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

ROUNDS = 7
STAGES = sorted(file.stem for file in Path("src/spira/stages").glob("*.py"))
ALONE = {"Python": "pass", "NumPy": "import numpy", "polars": "import polars", "torch": "import torch"}
COMMANDS = {name: ["-c", code] for name, code in ALONE.items()}
COMMANDS |= {stage: ["-c", f"import spira.stages.{stage}"] for stage in STAGES}
COMMANDS |= {"python -m spira.stages.evaluate --help": ["-m", "spira.stages.evaluate", "--help"]}


def spent() -> tuple[float, float]:
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime, perf_counter()


def main() -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    environment = {**os.environ, "PYTHONPATH": "src"}
    for round_ in range(ROUNDS + 1):
        for name, words in COMMANDS.items():
            before = spent()
            subprocess.run([sys.executable, *words], check=True, env=environment, stdout=subprocess.DEVNULL)
            after = spent()
            if round_ > 0:  # the first fills the file system's cache
                found[name].append((after[0] - before[0], after[1] - before[1]))
    print(f"| | processor s, median of {ROUNDS} | least to most | s by the clock, least |\n|---|---|---|---|")
    for name, of in found.items():
        processor, clock = zip(*of, strict=True)
        low, high = min(processor), max(processor)
        print(f"| {name} | {median(processor):.2f} | {low:.2f} to {high:.2f} | {min(clock):.2f} |")


if __name__ == "__main__":
    main()
