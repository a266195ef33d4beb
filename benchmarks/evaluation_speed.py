"""What evaluating a large test set takes: `make bench-evaluate`.

The whole stage `evaluate`, in a process of its own, on a table of random scores with the parameters of params.yaml:
every metric, operating point, calibration and subgroup, with its interval, under three conditions, and every file.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from spira.features.conditions import CONDITIONS

ROOT = Path(__file__).parents[1]


def write_tables(folder: Path, n_clips: int, n_seeds: int) -> None:
    """predictions.csv and clips/clips.csv: two clips a speaker, a tenth as many again for validation.

    Of a network with ``n_seeds`` trainings, and a baseline beside it.
    """
    rng = np.random.default_rng(0)
    n_validation = n_clips // 10
    place = np.arange(n_clips + n_validation)
    clips = pl.DataFrame(
        {
            "clip_id": [f"c{i:06}.wav" for i in place],
            "speaker_id": [f"s{i // 2:06}" for i in place],
            "label": place // 2 % 2,
            "subset": np.where(place < n_clips, "test", "validation"),
            "sex": np.array(["F", "M"])[place // 4 % 2],
            "age": 20 + place // 2 % 60,
            "site": np.array(["a", "b", "c"])[place // 8 % 3],
            "device": np.array(["x", "y", "z"])[place // 16 % 3],
            "task": np.array(["one", "two"])[place % 2],
        }
    )
    empty = [pl.lit("").alias(name) for name in ("recorded_on", "spo2")]
    clips.drop("label", "subset").with_columns(empty).write_csv(folder / "clips/clips.csv")
    speaker = 1.3 * clips["label"].to_numpy() + rng.standard_normal(place.size // 2 + 1)[place // 2]
    parts = [
        clips.select("subset", "clip_id", "speaker_id", "label").with_columns(
            pl.lit("network" if seed else "baseline").alias("model"),
            pl.lit("holdout").alias("fold"),
            pl.lit(condition).alias("condition"),
            pl.lit(seed).alias("seed"),
            pl.Series("score", 1 / (1 + np.exp(-speaker - rng.standard_normal(place.size)))),
        )
        for condition in CONDITIONS
        for seed in (*range(1, n_seeds + 1), 0)
    ]
    pl.concat(parts).write_csv(folder / "predictions.csv")


def measured(n_clips: int, n_seeds: int) -> tuple[float, float, float]:
    """(seconds from Python's start to its end, of processors' time, peak of resident MB) of the command in dvc.yaml."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data/clips").mkdir(parents=True)
        shutil.copy2(ROOT / "params.yaml", folder)
        write_tables(folder / "data", n_clips, n_seeds)
        start = time.perf_counter()
        command = [sys.executable, "-m", "spira.stages.evaluate"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    seconds, processor_seconds, megabytes = measured(asked.clips, asked.seeds)
    print(
        f"{asked.clips} test clips of {asked.clips // 2} speakers, {asked.seeds} seeds, {len(CONDITIONS)} conditions: "
        f"{seconds:.1f} s ({processor_seconds:.1f} s of processors' time), {megabytes:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
