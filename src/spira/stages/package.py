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
from spira.clips.parallel import ordered_map
from spira.clips.recordings import PLACE, read_waveforms
from spira.encoders.params import EmbeddingParams
from spira.evaluation.ensemble import ensemble
from spira.evaluation.files import read_evaluation
from spira.evaluation.params import EvaluateParams
from spira.evaluation.thresholds import thresholds_by_fold
from spira.features.params import FeatureParams, WindowParams
from spira.ingest.acceptance import IngestParams
from spira.ingest.waveforms import REJECTS
from spira.package.build import Sources, build
from spira.population.recording import describe
from spira.population.reference import Clip, chosen_speakers, make_reference
from spira.predictions.params import PredictParams
from spira.predictions.table import read_predictions, scored_clips

PYTHON = "3.11.0"  # the oldest that pyproject.toml admits
NOTHING = """Nothing is deployed: with `split.scheme: kfold` each fold has models of its own, for its test clips.

To package one model, train it with `split.scheme: holdout` and `split.folds: [holdout]`, and run `dvc repro`.
"""


_COLUMNS: dict[str, type[pl.DataType]] = {
    "clip_id": pl.String,
    "speaker_id": pl.String,
    "task": pl.String,
    "sex": pl.String,
    "age": pl.Float64,
    "site": pl.String,
    "device": pl.String,
    "container": pl.String,
    "encoding": pl.String,
    "source_sample_rate": pl.Int64,
    "n_channels": pl.Int64,
    **PLACE,
}


def run(
    *,
    params: Path = PARAMS,
    clips: Path = Path("data/clips"),
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
    recordings, refused = read_table(clips / "clips.csv", _COLUMNS), read_table(clips / REJECTS, {"code": pl.String})
    seeds = sorted(set(own["seed"]))
    features, sample_rate = load("features", FeatureParams, path=params), load("sample_rate", SampleRate, path=params)
    embedding = load("embedding", EmbeddingParams, path=params)
    settings = {
        "corpus": found.corpus,
        "model": found.deployed,
        "deployed_because": found.deployed_because,
        "tasks": tuple(sorted(set(recordings["task"]) - {""})),
        "sample_rate": sample_rate,
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
        clips=clips / "clips.csv",
        encoder=pretrained / embedding.file if features.kind == "embedding" else None,
    )
    reference = make_reference(
        found.corpus,
        recordings,
        described(recordings, clips, sample_rate, features.active_db),
        refused["code"].to_list(),
        *(ensemble(scored_clips(table, subset, found.deployed)["clean"]) for subset in ("validation", "test")),
    )
    build(settings, read(params)[0], sources, reference, PYTHON, out)
    print(f"{out}: {found.deployed}, the mean score of {len(seeds)} model{'s' if len(seeds) > 1 else ''}")


def described(table: pl.DataFrame, clips: Path, sample_rate: int, active_db: float) -> list[Clip]:
    """The recordings of the speakers who get a row, each with its numbers."""
    chosen = table.filter(pl.col("speaker_id").is_in(chosen_speakers(table["speaker_id"])))
    waveforms = read_waveforms(chosen, clips)
    numbers = ordered_map(lambda waveform: describe(waveform, sample_rate, active_db), waveforms)
    named = zip(chosen["speaker_id"], chosen["task"], numbers, strict=True)
    return [Clip(speaker, task, each) for speaker, task, each in named]


if __name__ == "__main__":
    with as_stage():
        run()
