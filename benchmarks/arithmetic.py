"""What `arithmetic: portable` costs beside `native`, stage by stage: `make bench-arithmetic`, after `make repro`.

Each stage runs on the demo by both in turn, as DVC runs it, start-up included; processor seconds, which a busy machine
changes less than the clock.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from measuring import interleaved, unsettled
from spira.base.arithmetic import processor

STAGES = ["featurize", "train pooled_cnn holdout 1", "predict", "evaluate", "alter", "probe"]
WAYS = ("native", "portable")
ROUNDS = 3
OUT = Path("docs/explanation/arithmetic.json")


def run(stage: str, way: str, folder: Path) -> None:
    """The stage as DVC runs it, by one way of computing."""
    params = folder / "params.yaml"
    params.write_text(re.sub(r"(?m)^arithmetic: \w+", f"arithmetic: {way}", params.read_text()))
    name, *arguments = stage.split()
    command = [sys.executable, "-m", f"spira.stages.{name}", *arguments]
    subprocess.run(command, cwd=folder, env=unsettled(), check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    os.environ["PYTHONPATH"] = str(Path("src").absolute())
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree("data", Path(name, "data"))
        for file in ("params.yaml", "requirements.txt"):
            shutil.copy(file, name)
        works = {(stage, way): partial(run, stage, way, Path(name)) for stage in STAGES for way in WAYS}
        found = interleaved(works, ROUNDS)
    print(f"{processor()}, medians of {ROUNDS}\n")
    head = ["stage", "processor s, native", "portable", "ratio", "s by the clock, native", "portable"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    figures = {}
    for stage in STAGES:
        (native, native_clock), (portable, portable_clock) = (
            [median(values) for values in zip(*found[stage, way], strict=True)] for way in WAYS
        )
        figures[stage] = {"native": native, "portable": portable, "ratio": portable / native}
        cells = f"{native:.1f} | {portable:.1f} | {portable / native:.2f} | {native_clock:.1f} | {portable_clock:.1f}"
        print(f"| `{stage}` | {cells} |")
    OUT.write_text(
        json.dumps({"processor": processor(), "rounds": ROUNDS, "found": figures}, indent=1, allow_nan=False) + "\n"
    )


if __name__ == "__main__":
    main()
