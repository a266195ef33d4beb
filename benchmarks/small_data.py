"""Tens of speakers, cross-validated: the models of params.yaml beside a plain baseline: `make bench-small-data`.

Every stage from `split` to `alter` runs in a temporary folder with params.yaml as it stands, but for five folds and the
models that are asked for. The plain baseline is what a newcomer writes in ten lines: mean and deviation of librosa's 20
MFCCs over a file, standardised, scikit-learn's logistic regression, trained on recordings as they are. It is scored on
the same clips and on the same noisy waveforms. With shuffled labels (over speakers) an AUC must be near 0.5.

The demo is SYNTHETIC. Coswara's sex, balanced in age, is read where SPIRA_CORPUS names the folder.
"""

import argparse
import io
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import librosa
import numpy as np
import polars as pl
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spira.base.array_types import Floats, Waveform
from spira.base.params import load
from spira.clips.recordings import read_noise, read_waveforms
from spira.clips.subsets import read_subsets
from spira.encoders.params import EmbeddingParams
from spira.evaluation.metrics import auc
from spira.features.noise import NoiseParams, divide
from spira.features.params import FeatureParams, WindowParams
from spira.features.rendering import NoiseInserter
from spira.ingest.acceptance import IngestParams
from spira.models.params import BaselineParams, CpuKernels, ModelsParams, NetworkParams
from spira.predictions.params import PredictParams
from spira.predictions.table import models_in, read_predictions, scored_clips
from spira.probes.alterations import AlterParams
from spira.probes.background import BackgroundParams
from spira.split.holdout import SplitParams
from spira.stages import alter, featurize, fit, ingest, ingest_noise, predict, split, train
from spira.training.params import TrainParams

ROOT = Path(__file__).parents[1]
RATE = 16_000  # Hz
PRETRAINED = ROOT / "data/pretrained"  # where `embedding.file` is
N_FOLDS = 5
CONDITIONS = ("clean", "noisy", "noisy_controls")
SWAPS = ("own_class_noise", "other_class_noise")


class Corpus(NamedTuple):
    """A folder of recordings, and one of noise; or what ingest made of them."""

    name: str
    recordings: Path
    noise: Path


def corpora() -> Iterator[Corpus]:
    """The demo, which `dvc repro` has made, and Coswara where it is."""
    yield Corpus("demo", ROOT / "data/raw/demo", ROOT / "data/raw/demo_noise")
    if folder := os.environ.get("SPIRA_CORPUS"):
        yield Corpus("coswara", Path(folder).resolve(), Path(folder).resolve() / "noise")
    else:
        print("SPIRA_CORPUS is not set: Coswara is left out")


@contextmanager
def workspace(params: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder with its own params.yaml, which is the working folder inside."""
    with TemporaryDirectory() as name, chdir(name):
        Path("params.yaml").write_text(yaml.safe_dump(params))
        yield Path(name)


def ingested(corpus: Corpus, params: dict[str, Any], out: Path) -> None:
    """Reads the recordings and the noise into ``out`` / clips and noise."""
    with workspace(params) as folder, redirect_stdout(io.StringIO()):
        source = corpus.recordings
        if corpus.name == "coswara":
            source = folder / "raw"
            source.mkdir()
            (source / "speech").symlink_to(corpus.recordings / "speech")
            table = corpus.recordings / "benchmarks/coswara_sex_balanced.csv"
            pl.read_csv(table, infer_schema=False).drop("split").write_csv(source / "metadata.csv")
            noise = folder / "noises"
            noise.mkdir()
            (noise / "noise").symlink_to(corpus.noise)
            (noise / "metadata.csv").write_bytes((corpus.noise / "metadata.csv").read_bytes())
            corpus = corpus._replace(noise=noise)
        p = load("ingest", IngestParams)
        ingest.run(RATE, p, corpus=source, out=out / "clips")
        ingest_noise.run(RATE, p, noise_corpus=corpus.noise, out=out / "noise")


def shuffle_labels(table: Path, seed: int) -> None:
    """Permutes the labels over the speakers of a table of clips."""
    clips = pl.read_csv(table, infer_schema=False)
    speakers = clips.group_by("speaker_id", maintain_order=True).first()
    labels = np.random.default_rng(seed).permutation(speakers["label"].to_numpy())
    new = dict(zip(speakers["speaker_id"], labels.tolist(), strict=True))
    clips.with_columns(label=pl.col("speaker_id").replace_strict(new)).write_csv(table)


def run_stages(models: ModelsParams, seeds: tuple[int, ...], *, altered: bool) -> None:
    """From the split to the predictions, in the working folder; and to the altered clips' scores where asked."""
    features, windows, noise = (
        load("features", FeatureParams),
        load("windows", WindowParams),
        load("noise", NoiseParams),
    )
    embedding = load("embedding", EmbeddingParams)
    kernels, score = load("cpu_kernels", CpuKernels), load("predict", PredictParams)
    split.run(RATE, load("split", SplitParams))
    featurize.run(RATE, features, embedding, windows, noise, pretrained=PRETRAINED)
    for fold in map(str, range(1, N_FOLDS + 1)):
        for model in models.networks:
            for seed in seeds:
                sections = load("network", NetworkParams), load("train", TrainParams), kernels
                train.run(RATE, features, embedding, windows, *sections, model=model, fold=fold, seed=seed)
        for model in models.baselines:
            fit.run(RATE, features, embedding, load("baseline", BaselineParams), model=model, fold=fold)
    predict.run(models, seeds, RATE, features, embedding, windows, score, kernels)
    if altered:
        quiet, p = load("background", BackgroundParams), load("alter", AlterParams)
        alter.run(
            models, seeds, RATE, features, embedding, windows, score, quiet, noise, p, kernels, pretrained=PRETRAINED
        )


def plain_aucs() -> dict[str, float]:
    """The plain baseline's AUC on the test clips of all folds, clean and noisy."""
    table = pl.read_csv("data/clips/clips.csv").sort("clip_id")
    waveforms = dict(zip(table["clip_id"], read_waveforms(table, Path("data/clips")), strict=True))
    noise, labels = load("noise", NoiseParams), dict(zip(table["clip_id"], table["label"], strict=True))
    bank = divide(read_noise(Path("data/noise")), noise).test
    inserter = NoiseInserter(bank, noise, RATE, load("features", FeatureParams).active_db)

    def noisy(clip: str) -> Waveform:
        return inserter(waveforms[clip], clip, view=0, n_noises=noise.n_noises(labels[clip], "noisy"))

    clean_x = {clip: _mean_and_deviation(samples) for clip, samples in waveforms.items()}
    scores: dict[str, dict[str, float]] = {"clean": {}, "noisy": {}}
    for fold in read_subsets(Path("data/subsets.csv")).values():
        trained = fold.train + fold.validation
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
        model.fit(np.stack([clean_x[clip] for clip in trained]), [labels[clip] for clip in trained])
        for clip in fold.test:
            scores["clean"][clip] = float(model.predict_proba(clean_x[clip][None])[0, 1])
            scores["noisy"][clip] = float(model.predict_proba(_mean_and_deviation(noisy(clip))[None])[0, 1])
    return {
        name: float(auc(np.array([labels[clip] for clip in found]), np.array(list(found.values()))))
        for name, found in scores.items()
    }


def _mean_and_deviation(waveform: Waveform) -> Floats:
    mfcc = librosa.feature.mfcc(y=np.asarray(waveform), sr=RATE, n_mfcc=20)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])


def our_aucs() -> dict[str, dict[str, float]]:
    """By model, its AUC under each condition: mean over seeds."""
    table = read_predictions(Path("data/predictions.csv"))
    found = {}
    for model in models_in(table):
        tests = scored_clips(table, "test", model)
        found[model] = {
            name: float(np.mean([auc(tests[name].labels, scores) for scores in tests[name].scores]))
            for name in CONDITIONS
        }
    return found


def shifts() -> dict[str, dict[str, float]]:
    """By model: mean absolute change of the score by gain and by padding, and what the background swap costs in AUC."""
    clean, altered = (read_predictions(Path(f"data/{name}.csv")) for name in ("predictions", "altered"))
    found = {}
    for model in models_in(clean):
        before, after = scored_clips(clean, "test", model)["clean"], scored_clips(altered, "test", model)
        place = {clip: i for i, clip in enumerate(before.clips)}
        found[model] = {
            name: float(
                np.abs(after[form].scores - before.scores[:, [place[clip] for clip in after[form].clips]]).mean()
            )
            for name, form in (("gain", "louder"), ("padding", "padded"))
        }
        if set(SWAPS) <= after.keys():
            own, other = (np.mean([auc(after[s].labels, scores) for scores in after[s].scores]) for s in SWAPS)
            found[model]["swap"] = float(own - other)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=[], help="kinds beside the baselines; each takes minutes")
    parser.add_argument("--split-seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="trainings of each network")
    parser.add_argument("--shuffles", type=int, default=10, help="of the labels; with the baselines alone")
    parser.add_argument("--corpora", nargs="+", default=["demo", "coswara"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters, as in params.yaml")
    asked = parser.parse_args()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, _, value in (text.partition("=") for text in asked.set):
        place = params
        for name in key.split(".")[:-1]:
            place = place[name]
        place[key.split(".")[-1]] = yaml.safe_load(value)
    params["split"] |= {"scheme": "kfold", "folds": list(range(1, N_FOLDS + 1))}
    params["models"]["networks"] = asked.networks
    for corpus in corpora():
        if corpus.name in asked.corpora:
            with TemporaryDirectory() as name:
                ingested(corpus, params, Path(name))
                measure(corpus.name, Path(name), params, asked)


def measure(name: str, data: Path, params: dict[str, Any], asked: argparse.Namespace) -> None:
    """Prints the rows of one corpus."""
    models = ModelsParams(networks=tuple(asked.networks), baselines=tuple(params["models"]["baselines"]))
    for seed in asked.split_seeds:
        params["split"]["seed"] = seed
        with workspace(params):
            copytree(data, "data")
            with redirect_stdout(io.StringIO()):
                run_stages(models, tuple(asked.seeds), altered=True)
            rows = {"plain": plain_aucs()} | our_aucs()
            for model, numbers in rows.items():
                extra = shifts().get(model, {}) if model != "plain" else {}
                print(f"{name}, split seed {seed}, {model}: {_listed(numbers | extra)}", flush=True)
    shuffled = []
    for number in range(asked.shuffles if name == "coswara" else 0):
        with workspace(params):
            copytree(data, "data")
            shuffle_labels(Path("data/clips/clips.csv"), number)
            with redirect_stdout(io.StringIO()):
                run_stages(models.model_copy(update={"networks": ()}), (1,), altered=False)
            shuffled.append(our_aucs()["statistics"])
    if shuffled:
        means = {condition: float(np.mean([row[condition] for row in shuffled])) for condition in ("clean", "noisy")}
        print(f"{name}, labels shuffled {len(shuffled)} times, statistics: {_listed(means)}")


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())


if __name__ == "__main__":
    main()
