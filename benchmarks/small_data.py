"""Tens of speakers, cross-validated: networks beside two baselines, paired: `make bench-small-data`.

Every stage from `split` to `predict` runs in a temporary folder with params.yaml as it stands, but for five folds and
for what experiments/compare.yaml sets for a network. The plain baseline is what a newcomer writes in ten lines: mean
and deviation of librosa's 20 MFCCs over a file, standardised, scikit-learn's logistic regression, trained on recordings
as they are. It is scored on the same clips and on the same noisy waveforms. Every other model is compared with
`statistics` on the same clips, with intervals over resampled speakers. With shuffled labels (over speakers) an AUC must
be near 0.5.

The demo is SYNTHETIC. Coswara's sex, balanced in age, is read where SPIRA_CORPUS names the folder. Each row is written
into docs/explanation/small_data.json, and into the tables of real-voices.md, when it is done.
"""

import argparse
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple, get_args

import librosa
import numpy as np
import polars as pl
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from figures import here
from small_data_table import FILE, PAGE, Interval, Row, renew, write_shuffled
from spira.base.array_types import Floats, Waveform
from spira.base.params import load
from spira.clips.recordings import read_noise, read_waveforms
from spira.clips.subsets import read_subsets
from spira.encoders.params import EmbeddingParams
from spira.evaluation.bootstrap import difference_interval, speaker_resamples
from spira.evaluation.intervals import estimates
from spira.evaluation.metrics import auc
from spira.evaluation.paired import why_not_paired
from spira.evaluation.params import EvaluateParams
from spira.features.conditions import Condition
from spira.features.noise import NoiseParams, divide
from spira.features.params import FeatureParams, WindowParams
from spira.features.rendering import NoiseInserter
from spira.ingest.acceptance import IngestParams
from spira.models.params import BaselineParams, CpuKernels, ModelsParams, NetworkParams
from spira.predictions.params import PredictParams
from spira.predictions.scored import ScoredClips
from spira.predictions.table import read_predictions, scored_clips
from spira.probes.alterations import AlterParams
from spira.probes.background import BackgroundParams
from spira.split.holdout import SplitParams
from spira.stages import alter, featurize, fit, ingest, ingest_noise, predict, split, train
from spira.sweeps.plan import applied
from spira.training.params import TrainParams

ROOT = Path(__file__).parents[1]
RATE = 16_000  # Hz
PRETRAINED = ROOT / "data/pretrained"  # where `embedding.file` is
N_FOLDS = 5
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
NOISY = CONDITIONS[1:]
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


def shuffle_labels(table: Path, out: Path, seed: int) -> None:
    """Writes a table of clips with its labels permuted over the speakers."""
    clips = pl.read_csv(table, infer_schema=False)
    speakers = clips.group_by("speaker_id", maintain_order=True).first()
    labels = np.random.default_rng(seed).permutation(speakers["label"].to_numpy())
    new = dict(zip(speakers["speaker_id"], labels.tolist(), strict=True))
    clips.with_columns(label=pl.col("speaker_id").replace_strict(new)).write_csv(out)


def run_stages(models: ModelsParams, seeds: tuple[int, ...], *, altered: bool) -> None:
    """Writes the predictions of every model into the working folder, and those of altered clips where asked."""
    features, windows, noise = (
        load("features", FeatureParams),
        load("windows", WindowParams),
        load("noise", NoiseParams),
    )
    embedding = load("embedding", EmbeddingParams)
    kernels, score = load("cpu_kernels", CpuKernels), load("predict", PredictParams)
    split.run(RATE, load("split", SplitParams))
    featurize.run(RATE, features, embedding, windows, noise, pretrained=PRETRAINED)
    for fold in load("split", SplitParams).names:
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


def plain_scores() -> dict[str, ScoredClips]:
    """The plain baseline's scores of the test clips of all folds, by condition."""
    table = pl.read_csv("data/clips/clips.csv").sort("clip_id")
    waveforms = dict(zip(table["clip_id"], read_waveforms(table, Path("data/clips")), strict=True))
    noise, labels = load("noise", NoiseParams), dict(zip(table["clip_id"], table["label"], strict=True))
    bank = divide(read_noise(Path("data/noise")), noise).test
    inserter = NoiseInserter(bank, noise, RATE, load("features", FeatureParams).active_db)

    def noisy(clip: str, condition: Condition) -> Waveform:
        return inserter(waveforms[clip], clip, view=0, n_noises=noise.n_noises(labels[clip], condition))

    clean_x = {clip: _mean_and_deviation(samples) for clip, samples in waveforms.items()}
    scores: dict[str, dict[str, float]] = {condition: {} for condition in CONDITIONS}
    folds = {}
    for name, fold in read_subsets(Path("data/subsets.csv")).items():
        trained = fold.train + fold.validation
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
        model.fit(np.stack([clean_x[clip] for clip in trained]), [labels[clip] for clip in trained])
        for clip in fold.test:
            folds[clip] = name
            scores["clean"][clip] = float(model.predict_proba(clean_x[clip][None])[0, 1])
            for condition in NOISY:
                x = _mean_and_deviation(noisy(clip, condition))
                scores[condition][clip] = float(model.predict_proba(x[None])[0, 1])
    clips, speakers, truth = (table[name] for name in ("clip_id", "speaker_id", "label"))
    return {
        condition: ScoredClips(
            tuple(clips),
            tuple(speakers),
            tuple(folds[clip] for clip in clips),
            truth.to_numpy(),
            np.array([[found[clip] for clip in clips]]),
            drawn=False,
        )
        for condition, found in scores.items()
    }


def _mean_and_deviation(waveform: Waveform) -> Floats:
    mfcc = librosa.feature.mfcc(y=np.asarray(waveform), sr=RATE, n_mfcc=20)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])


def our_scores(model: str) -> dict[str, ScoredClips]:
    """A model's scores of the test clips of all folds, by condition."""
    return scored_clips(read_predictions(Path("data/predictions.csv")), "test", model)


def auc_interval(clips: ScoredClips, p: EvaluateParams) -> Interval:
    """[AUC, lo, hi]: mean over seeds, and its interval over resampled speakers."""
    resamples = speaker_resamples(clips.labels, clips.speakers, p.n_resamples, p.seed)

    def measure(weights: Floats | None) -> dict[str, Floats]:
        return {"auc": np.stack([auc(clips.labels, scores, weights) for scores in clips.scores])}

    found = estimates(measure, resamples, p.confidence)["auc"]
    return [found.mean, found.lo, found.hi]


def auc_difference(base: ScoredClips, head: ScoredClips, p: EvaluateParams) -> Interval:
    """[difference, lo, hi]: head's mean AUC over seeds less that of the baseline ``base``, on the same clips.

    The interval is over resampled speakers, the same in both; it does not allow for other trainings of head.

    Raises:
        ValueError: the two did not score the same clips, in the same order.
    """
    if base.clips != head.clips or why_not_paired(base, head):
        raise ValueError(
            f"auc_difference: expected the same clips, got {why_not_paired(base, head) or 'another order'}"
        )
    resamples = speaker_resamples(base.labels, base.speakers, p.n_resamples, p.seed)

    def measure(weights: Floats | None) -> dict[str, Floats]:
        before = auc(base.labels, base.scores[0], weights)
        return {"auc": np.stack([auc(head.labels, scores, weights) - before for scores in head.scores])}

    found = estimates(measure, resamples, p.confidence, difference_interval)["auc"]
    return [found.mean, found.lo, found.hi]


def shifts(model: str) -> dict[str, float]:
    """Mean absolute change of the score by gain and by padding, and what another class's background costs in AUC."""
    before = our_scores(model)["clean"]
    after = scored_clips(read_predictions(Path("data/altered.csv")), "test", model)
    place = {clip: i for i, clip in enumerate(before.clips)}
    found = {
        name: float(np.abs(after[form].scores - before.scores[:, [place[clip] for clip in after[form].clips]]).mean())
        for name, form in (("gain", "louder"), ("padding", "padded"))
    }
    if set(SWAPS) <= after.keys():
        own, other = (np.mean([auc(after[s].labels, scores) for scores in after[s].scores]) for s in SWAPS)
        found["swap"] = float(own - other)
    return found


class Study(NamedTuple):
    """One corpus in one division into folds."""

    corpus: str
    data: Path  # clips and noise, as ingest wrote them
    split: int  # the seed of the folds
    seeds: tuple[int, ...]  # trainings of a network
    params: dict[str, Any]

    def score(self, models: ModelsParams, settings: Mapping[str, Any], *, altered: bool) -> None:
        """Writes the predictions of the models into the working folder."""
        Path("params.yaml").write_text(yaml.safe_dump(applied(self.params, settings)))
        with redirect_stdout(io.StringIO()):
            run_stages(models, self.seeds, altered=altered)

    def write(
        self,
        model: str,
        clips: Mapping[str, ScoredClips],
        statistics: Mapping[str, ScoredClips] | None,
        settings: Mapping[str, Any],
        start: float,
        extra: Mapping[str, float],
    ) -> None:
        """Prints a model's row and writes it; ``start`` is the process time when the work on it began."""
        p, clean = load("evaluate", EvaluateParams), clips["clean"]
        commit, processor = here((FILE, PAGE))
        row = Row(
            corpus=self.corpus,
            split=self.split,
            model=model,
            settings=dict(settings),
            n_speakers=clean.n_speakers,
            n_clips=len(clean.clips),
            n_seeds=len(clean.scores),
            auc={name: auc_interval(clips[name], p) for name in CONDITIONS},
            difference={name: auc_difference(statistics[name], clips[name], p) for name in CONDITIONS if statistics},
            shifts=dict(extra),
            minutes=(process_time() - start) / 60,
            commit=commit,
            processor=processor,
        )
        renew(row)
        print(row, flush=True)


def settings_for(network: str) -> dict[str, Any]:
    """What experiments/compare.yaml sets for a network, beside its name."""
    rows = yaml.safe_load((ROOT / "experiments/compare.yaml").read_text())["rows"].values()
    (settings,) = [row for row in rows if row["models.networks"] == [network]]
    return {key: value for key, value in settings.items() if key != "models.networks"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=[], help="kinds beside the baselines; each takes minutes")
    parser.add_argument("--split-seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="trainings of each network")
    parser.add_argument("--shuffles", type=int, default=10, help="of Coswara's labels; with `statistics` alone")
    parser.add_argument("--corpora", nargs="+", default=["demo", "coswara"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters, as in params.yaml")
    asked = parser.parse_args()
    others = {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in asked.set)}
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["split"] |= {"scheme": "kfold", "folds": list(range(1, N_FOLDS + 1))}
    for corpus in corpora():
        if corpus.name in asked.corpora:
            with TemporaryDirectory() as name:
                ingested(corpus, params, Path(name))
                for seed in asked.split_seeds:
                    study = applied(params, {"split.seed": seed})
                    measure(Study(corpus.name, Path(name), seed, tuple(asked.seeds), study), asked.networks, others)
                if corpus.name == "coswara" and asked.shuffles:
                    write_shuffled(shuffled(Path(name), applied(params, others), asked.shuffles))


def measure(study: Study, networks: Sequence[str], others: dict[str, Any]) -> None:
    """Writes the rows of one corpus and split, each when it is done."""
    with workspace(study.params):
        copytree(study.data, "data")
        start = process_time()
        study.score(ModelsParams(networks=(), baselines=("statistics",)), others, altered=True)
        statistics = our_scores("statistics")
        study.write("statistics", statistics, None, others, start, shifts("statistics"))
        start = process_time()
        study.write("plain", plain_scores(), statistics, others, start, {})
        for network in networks:
            settings, start = settings_for(network) | others, process_time()
            altered = network in study.params["models"]["networks"]  # it costs what predict does, and more
            study.score(ModelsParams(networks=(network,), baselines=()), settings, altered=altered)
            extra = shifts(network) if altered else {}
            study.write(network, our_scores(network), statistics, settings, start, extra)


def shuffled(data: Path, params: dict[str, Any], times: int) -> list[dict[str, float]]:
    """AUCs of `statistics` by condition, once for every shuffle of the labels over the speakers; other folds each."""
    found = list[dict[str, float]]()
    with workspace(params):
        copytree(data, "data")
        for number in range(times):
            shuffle_labels(data / "clips/clips.csv", Path("data/clips/clips.csv"), number)
            with redirect_stdout(io.StringIO()):
                run_stages(ModelsParams(networks=(), baselines=("statistics",)), (1,), altered=False)
            clips = our_scores("statistics")
            found.append({name: float(auc(clips[name].labels, clips[name].scores[0])) for name in CONDITIONS})
            print(f"labels shuffled, {number}: {found[-1]}", flush=True)
    return found


if __name__ == "__main__":
    main()
