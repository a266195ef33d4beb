"""What a Dask cluster costs `featurize` on one machine: two processes against two threads: `make bench-cluster`.

A corpus of 1 s clips, as `benchmarks/scale.py` makes it; each way in turn, from nothing, by the clock and in processor
seconds. Both ways must write the same bytes. The bar is a tenth of the time of threads.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from statistics import median

import scale
from measuring import interleaved
from spira.base.arithmetic import variables

WAYS = {"two threads": None, "two processes of a cluster": "local:2"}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--clips", type=int, default=16_000)
    p.add_argument("--rounds", type=int, default=3)
    asked = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        at = Path(temporary)
        scale.write_corpus(at / "data/raw/many", asked.clips)
        scale.write_noise(at / "data/raw/hiss")
        for stage in ("ingest", "ingest_noise", "split"):
            run_stage(at, None, stage)
        digests: dict[str, set[str]] = {name: set() for name in WAYS}
        works: dict[str, Callable[[], object]] = {
            name: partial(featurize, at, where, digests[name]) for name, where in WAYS.items()
        }
        taken = interleaved(works, asked.rounds)
    if len(set().union(*digests.values())) != 1:
        sys.exit(f"the bytes differ: {digests}")
    print("| featurize | processor s, median | s by the clock, median | least to most |\n|---|---|---|---|")
    clocks = {}
    for name, seconds in taken.items():
        processor, clock = zip(*seconds, strict=True)
        clocks[name] = median(clock)
        print(f"| {name} | {median(processor):.1f} | {clocks[name]:.1f} | {min(clock):.1f} to {max(clock):.1f} |")
    threads, processes = clocks.values()
    print(f"\n{asked.clips} clips, the same bytes; a cluster takes {processes / threads - 1:+.1%}")


def featurize(at: Path, where: str | None, digests: set[str]) -> None:
    rmtree(at / "data/features", ignore_errors=True)
    run_stage(at, where, "featurize")
    files = sorted((at / "data/features").rglob("*.*"))
    digests.add(sha256(b"".join(sha256(file.read_bytes()).digest() for file in files)).hexdigest())
    rmtree(at / ".ckpt", ignore_errors=True)  # else the next run would find what this one made


def run_stage(at: Path, where: str | None, stage: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPIRA_CLUSTER")}
    environment = inherited | variables("portable")
    environment |= {"SPIRA_CLUSTER": where} if where else {}
    command = [sys.executable, scale.__file__, "--stage", stage, "--folder", str(at)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
