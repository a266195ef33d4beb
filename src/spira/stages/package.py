"""package: the deployed model and what it is worth -> a folder that scores recordings, in data/package."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

import shutil
from pathlib import Path

import polars as pl

from spira.base.files import write_bytes
from spira.base.params import PARAMS, load, read
from spira.base.section import HOLDOUT, SampleRate
from spira.base.stage_process import as_stage
from spira.base.tables import read_table
from spira.encoders.params import EmbeddingParams
from spira.evaluation.ensemble import ensemble
from spira.evaluation.files import read_evaluation
from spira.evaluation.params import EvaluateParams
from spira.evaluation.thresholds import thresholds_by_fold
from spira.features.params import FeatureParams, WindowParams
from spira.ingest.acceptance import IngestParams
from spira.package.build import Sources, build
from spira.predictions.params import PredictParams
from spira.predictions.table import read_predictions, scored_clips

PYTHON = "3.11.0"  # the oldest that pyproject.toml admits
NOTHING = """Nothing is deployed: with `split.scheme: kfold` each fold has models of its own, for its test clips.

To package one model, train it with `split.scheme: holdout` and `split.folds: [holdout]`, and run `dvc repro`.
"""


def run(
    *,
    params: Path = PARAMS,
    clips: Path = Path("data/clips/clips.csv"),
    trained: Path = Path("data/models"),
    pretrained: Path = Path("data/pretrained"),
    predictions: Path = Path("data/predictions.csv"),
    evaluation: Path = Path("data/evaluation.json"),
    probes: Path = Path("data/probes.json"),
    model_card: Path = Path("data/report/model_card.md"),
    data_card: Path = Path("data/report/data_card.md"),
    requirements: Path = Path("requirements.txt"),
    out: Path = Path("data/package"),
) -> None:
    evaluate = load("evaluate", EvaluateParams, path=params)
    found, table = read_evaluation(evaluation), read_predictions(predictions)
    own = table.filter(pl.col("model") == found.deployed)
    if set(own["fold"]) != {HOLDOUT}:
        shutil.rmtree(out, ignore_errors=True)  # where DVC has not done so: the package of an earlier run
        write_bytes(NOTHING.encode(), out / "README.md")
        print(NOTHING.partition("\n")[0])
        return
    validation = ensemble(scored_clips(table, "validation", found.deployed)[evaluate.threshold_condition])
    seeds = sorted(set(own["seed"]))
    features = load("features", FeatureParams, path=params)
    embedding = load("embedding", EmbeddingParams, path=params)
    settings = {
        "corpus": found.corpus,
        "model": found.deployed,
        "deployed_because": found.deployed_because,
        "tasks": tuple(sorted(set(read_table(clips, {"task": pl.String})["task"]) - {""})),
        "sample_rate": load("sample_rate", SampleRate, path=params),
        "ingest": load("ingest", IngestParams, path=params),
        "features": features,
        "embedding": embedding,
        "windows": load("windows", WindowParams, path=params),
        "predict": load("predict", PredictParams, path=params),
        "threshold_condition": evaluate.threshold_condition,
        "threshold": float(thresholds_by_fold(validation, evaluate.threshold)[HOLDOUT][0]),
        "inconclusive_width": evaluate.inconclusive_width,
    }
    sources = Sources(
        members={str(seed): trained / found.deployed / HOLDOUT / str(seed) for seed in seeds},
        evidence=(evaluation, probes, model_card, data_card),
        requirements=requirements,
        clips=clips,
        encoder=pretrained / embedding.file if features.kind == "embedding" else None,
    )
    build(settings, read(params)[0], sources, PYTHON, out)
    print(f"{out}: {found.deployed}, the mean score of {len(seeds)} model{'s' if len(seeds) > 1 else ''}")


if __name__ == "__main__":
    with as_stage():
        run()
