"""AUC by the number of speakers, 40 to 2,560 of the demo's generator: `make bench-learning`; it takes hours.

SYNTHETIC speech. The generator's settings are those of params.yaml but for the ward noise behind the patients, which is
left out: a model that follows the ward would rise by it alone. Training speakers are the first 40, 160, 640 and 2,560,
and of the two smaller sizes further groups, which share nobody; a tenth of each group is validation. The test set is
always the same: 160 speakers of another seed. Each training is written into docs/explanation/learning_curves.json, its
picture and the table of results.md when it is done, and is not done again; the recordings stay in the folder of the
argument, 6 GB for all sizes.
"""

import argparse
import io
import json
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from time import process_time
from typing import Any, TypedDict

import numpy as np
import polars as pl
import yaml

from figures import here
from marks import renew
from small_data import ROOT, auc_interval, our_scores, run_stages, settings_for
from small_data_table import Interval
from spira.base.files import write_bytes
from spira.base.params import load, parse
from spira.demo.people import SynthesizeParams
from spira.evaluation.params import EvaluateParams
from spira.features.conditions import Condition
from spira.ingest.acceptance import IngestParams
from spira.models.params import BASELINES, ModelsParams
from spira.plots.charts import Line, auc_by_speakers
from spira.plots.png import write_png
from spira.stages import ingest, ingest_noise, synthesize
from spira.sweeps.plan import applied

RATE = 16_000  # Hz
GROUPS = {40: 4, 160: 2, 640: 1, 2560: 1}  # speakers -> groups of as many
N_TEST = 160  # speakers
VALIDATION = 10  # one in so many of the training speakers
CONDITIONS: tuple[Condition, ...] = ("clean", "noisy")
JSON, PNG = (ROOT / f"docs/explanation/learning_curves.{kind}" for kind in ("json", "png"))
PAGE = ROOT / "docs/explanation/results.md"


class Point(TypedDict):
    """A model that one group of speakers trained."""

    model: str
    n_speakers: int  # training and validation
    group: int  # of its size, from 0
    auc: dict[str, Interval]  # by condition, of the test speakers
    minutes: float  # of one core, features and scoring included
    commit: str
    processor: str


def corpus(params: dict[str, Any]) -> None:
    """Writes the clips and the noise of all speakers into data/, and clips.csv. A test speaker is called test-..."""
    if Path("clips.csv").exists():
        return
    seed, tables = params["synthesize"]["seed"], []
    for name, n_speakers, number in (("test", N_TEST, seed + 1), ("train", max(GROUPS), seed)):
        table, p = Path(name, "speech/metadata.csv"), params["synthesize"] | {"n_speakers": n_speakers, "seed": number}
        if not table.exists():
            synthesize.run(parse(SynthesizeParams, p), speech=table.parent, noise=Path(name, "noise"))
        path, speaker = pl.format(f"{name}/speech/{{}}", "file_path"), pl.format(f"{name}-{{}}", "speaker_id")
        tables.append(pl.read_csv(table, infer_schema=False).with_columns(file_path=path, speaker_id=speaker))
    pl.concat(tables).write_csv("metadata.csv")
    Path("params.yaml").write_text(yaml.safe_dump(params))
    ingest.run(RATE, load("ingest", IngestParams), corpus=Path(), out=Path("data/clips"))
    ingest_noise.run(RATE, load("ingest", IngestParams), noise_corpus=Path("train/noise"), out=Path("data/noise"))
    write_bytes(Path("data/clips/clips.csv").read_bytes(), Path("clips.csv"))


def choose(table: pl.DataFrame, n_speakers: int, group: int) -> pl.DataFrame:
    """The clips of one group and of the test speakers, each with its subset.

    Every four speakers in the order of their numbers are a woman and a man of either class, so a tenth of a multiple of
    40 has both classes and both sexes too.
    """
    number = pl.col("speaker_id").str.extract(r"(\d+)$").cast(pl.Int64) - group * n_speakers
    test = pl.col("speaker_id").str.starts_with("test")
    validates = number < n_speakers // VALIDATION
    subset = pl.when(test).then(pl.lit("test")).when(validates).then(pl.lit("validation")).otherwise(pl.lit("train"))
    return table.filter(test | number.is_between(0, n_speakers - 1)).with_columns(split=subset)


def measured(table: pl.DataFrame, params: dict[str, Any], model: str, n_speakers: int, group: int) -> Point:
    """Trains a model on one group, in the working folder, and scores the test speakers."""
    start = process_time()
    drawn = model not in BASELINES
    Path("params.yaml").write_text(yaml.safe_dump(applied(params, settings_for(model) if drawn else {})))
    choose(table, n_speakers, group).write_csv("data/clips/clips.csv")
    models = ModelsParams(networks=(model,) if drawn else (), baselines=() if drawn else (model,))
    with redirect_stdout(io.StringIO()):
        run_stages(models, (1,), altered=False)
    p, clips = load("evaluate", EvaluateParams), our_scores(model)
    commit, processor = here((JSON, PNG, PAGE))
    return Point(
        model=model,
        n_speakers=n_speakers,
        group=group,
        auc={name: auc_interval(clips[name], p) for name in CONDITIONS},
        minutes=(process_time() - start) / 60,
        commit=commit,
        processor=processor,
    )


def lines(points: list[Point], condition: str) -> Iterator[Line]:
    """A curve a model: the mean AUC over the groups of each size, smallest first."""
    for model in dict.fromkeys(point["model"] for point in points):
        own = [point for point in points if point["model"] == model]
        sizes = sorted({point["n_speakers"] for point in own})
        means = [np.mean([p["auc"][condition][0] for p in own if p["n_speakers"] == size]) for size in sizes]
        yield Line(model, np.array(sizes, float), np.array(means))


def table(points: list[Point]) -> str:
    """As the page has it: a row a model and size, smallest first, the intervals those of its first group."""
    rows = ["| speakers to train on | model | groups | AUC, clean | AUC, noisy |", "|---|---|---|---|---|"]
    for size, model in sorted({(point["n_speakers"], point["model"]) for point in points}):
        own = [point for point in points if (point["n_speakers"], point["model"]) == (size, model)]
        cells = [f"{size:,}", f"`{model}`", str(len(own))]
        for condition in CONDITIONS:
            _, lo, hi = own[0]["auc"][condition]
            cells.append(f"{np.mean([point['auc'][condition][0] for point in own]):.3f} [{lo:.3f}, {hi:.3f}]")
        rows.append(f"| {' | '.join(cells)} |")
    return "".join(f"{row}\n" for row in rows)


def write(points: list[Point]) -> None:
    """The file, the page's table and the picture of the AUC under noise."""
    JSON.write_text(json.dumps({"points": points}, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    renew(PAGE, "learning: make bench-learning", table(points))
    subtitle = f"SYNTHETIC speech, noise inserted; tested on {N_TEST} other speakers"
    write_png(auc_by_speakers([*lines(points, "noisy")], subtitle), PNG)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".ckpt/learning_curves")
    parser.add_argument("--models", nargs="+", default=["statistics", "pooled_cnn", "spiraconv_v2"])
    parser.add_argument("--sizes", nargs="+", type=int, choices=GROUPS, default=[*GROUPS], help="speakers to train on")
    parser.add_argument("--groups", type=int, default=max(GROUPS.values()), help="of each size, at most")
    asked = parser.parse_args()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["synthesize"]["ward_noise_in_patients"] = False
    points: list[Point] = json.loads(JSON.read_text(encoding="utf-8"))["points"] if JSON.exists() else []
    known = {(point["model"], point["n_speakers"], point["group"]) for point in points}
    asked.folder.mkdir(parents=True, exist_ok=True)
    with chdir(asked.folder):
        corpus(params)
        table = pl.read_csv("clips.csv", infer_schema=False)
        for size in sorted(asked.sizes):
            for group in range(min(GROUPS[size], asked.groups)):
                for model in asked.models:
                    if (model, size, group) not in known:
                        points.append(measured(table, params, model, size, group))
                        print(points[-1], flush=True)
                        write(points)


if __name__ == "__main__":
    main()
