"""What each stage takes before it works, beside Python, NumPy, polars and torch alone: `make bench-startup`.

Processor seconds of a process that imports and ends, which a busy machine changes less than the clock; interleaved:
each round runs every one once. Seconds by the clock are for who waits at the terminal.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

from measuring import interleaved

ROUNDS = 7
STAGES = sorted(file.stem for file in Path("src/spira/stages").glob("*.py"))
ALONE = {"Python": "pass", "NumPy": "import numpy", "polars": "import polars", "torch": "import torch"}
COMMANDS = {name: ["-c", code] for name, code in ALONE.items()}
COMMANDS |= {stage: ["-c", f"import spira.stages.{stage}"] for stage in STAGES}
COMMANDS |= {"python -m spira.stages.evaluate --help": ["-m", "spira.stages.evaluate", "--help"]}


def main() -> None:
    run = partial(
        subprocess.run, check=True, env={**os.environ, "PYTHONPATH": "src"}, stdout=subprocess.DEVNULL, text=True
    )
    works = {name: partial(run, [sys.executable, *words]) for name, words in COMMANDS.items()}
    print(f"| | processor s, median of {ROUNDS} | least to most | s by the clock, least |\n|---|---|---|---|")
    for name, taken in interleaved(works, ROUNDS).items():
        processor, clock = zip(*taken, strict=True)
        low, high = min(processor), max(processor)
        print(f"| {name} | {median(processor):.2f} | {low:.2f} to {high:.2f} | {min(clock):.2f} |")


if __name__ == "__main__":
    main()
