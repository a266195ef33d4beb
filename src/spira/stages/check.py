"""check: params.yaml -> refused with every mistake, or marked as usable.

Everything else waits for it, so that a typo in `train` costs a second and not the
half hour of stages before it.
"""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

from collections.abc import Iterator
from math import ceil, floor
from pathlib import Path
from typing import Any

from spira.base.arithmetic import Arithmetic
from spira.base.errors import ParamError, ParamKeyError
from spira.base.files import write_bytes
from spira.base.params import PARAMS, check, parse, read, report, suggest
from spira.base.section import FolderName, SampleRate, Seeds
from spira.base.stage_process import as_stage
from spira.check.compatibility import contradictions
from spira.demo.people import SynthesizeParams
from spira.encoders.params import SAMPLE_RATE, EmbeddingParams
from spira.evaluation.params import BEST, EvaluateParams, ReportParams
from spira.features.noise import NoiseParams
from spira.features.params import FeatureParams, WindowParams, frame_shape
from spira.ingest.acceptance import IngestParams
from spira.models.params import BaselineParams, CpuKernels, ModelsParams, NetworkParams
from spira.monitoring.feedback_params import FeedbackParams
from spira.monitoring.params import DriftParams
from spira.predictions.params import PredictParams
from spira.probes.alterations import AlterParams
from spira.probes.background import BackgroundParams
from spira.probes.study import ProbeParams
from spira.registry.params import GateParams
from spira.retraining.params import RetrainParams
from spira.split.holdout import SplitParams
from spira.training.params import TrainParams

SECTIONS: dict[str, Any] = {
    "corpus": FolderName,
    "noise_corpus": FolderName,
    "sample_rate": SampleRate,
    "seeds": Seeds,
    "arithmetic": Arithmetic,
    "cpu_kernels": CpuKernels,
    "synthesize": SynthesizeParams,
    "ingest": IngestParams,
    "split": SplitParams,
    "noise": NoiseParams,
    "features": FeatureParams,
    "embedding": EmbeddingParams,
    "windows": WindowParams,
    "models": ModelsParams,
    "network": NetworkParams,
    "baseline": BaselineParams,
    "train": TrainParams,
    "predict": PredictParams,
    "evaluate": EvaluateParams,
    "background": BackgroundParams,
    "alter": AlterParams,
    "probe": ProbeParams,
    "report": ReportParams,
    "gate": GateParams,
    "drift": DriftParams,
    "feedback": FeedbackParams,
    "retrain": RetrainParams,
}


def run(*, params: Path = PARAMS, out: Path = Path("data/checked")) -> None:
    tree, lines = read(params)
    if found := problems(tree):
        raise ParamError(report(found, lines, params))
    write_bytes(b"every section of params.yaml can be used\n", out)


def problems(tree: dict[str, Any]) -> list[tuple[str, str]]:
    """Each problem of a whole params.yaml as (dotted key, message); none where every stage can use it."""
    found = list(_names(tree))
    found += [p for name, kind in SECTIONS.items() if name in tree for p in check(name, kind, tree[name])]
    return found or list(_across({name: parse(kind, tree[name]) for name, kind in SECTIONS.items()}))


def _names(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in SECTIONS:
        if name not in tree:
            yield name, "missing; code has no defaults, so write it"
    for name in tree:
        if name not in SECTIONS:
            yield str(name), f"unknown section; {suggest(str(name), SECTIONS)}"


def _across(p: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What no section can see alone."""
    if p["noise_corpus"] == p["corpus"]:
        yield (
            "noise_corpus",
            f"must not be the corpus, whose test speakers would sound in training, got {p['corpus']!r}",
        )
    if len(set(p["seeds"])) < len(p["seeds"]):
        yield "seeds", f"must differ from each other, got {list(p['seeds'])}"
    if 0 in p["seeds"]:
        yield "seeds", f"must be from 1, for 0 is written for a baseline, which has none, got {list(p['seeds'])}"
    if (deploy := p["evaluate"].deploy) not in (known := [BEST, *p["models"].names]):
        yield "evaluate.deploy", f"must be {' or '.join(known)}, got {deploy!r}; {suggest(deploy, known)}"
    shapes = list(_shapes(p["sample_rate"], p["ingest"].max_seconds, p["features"], p["windows"]))
    if p["features"].kind == "embedding":
        shapes += _encoding(p["sample_rate"], p["embedding"], p["train"])
    yield from shapes or _training(p)


def _encoding(rate: int, embedding: EmbeddingParams, train: TrainParams) -> Iterator[tuple[str, str]]:
    if embedding.file == "none":
        yield "embedding.file", "must name a file in data/pretrained where features.kind is embedding, got 'none'"
    if rate != SAMPLE_RATE:
        yield (
            "sample_rate",
            f"must be {SAMPLE_RATE} where features.kind is embedding, for {embedding.architecture} was trained on "
            f"it, got {rate}",
        )
    if n_masks := train.spec_augment.n_frequency_masks:
        yield (
            "train.spec_augment.n_frequency_masks",
            f"must be 0 where features.kind is embedding, whose numbers are no neighbouring frequencies, got {n_masks}",
        )


def _shapes(rate: int, longest: float, features: FeatureParams, windows: WindowParams) -> Iterator[tuple[str, str]]:
    if features.f_max > rate / 2:
        yield "features.f_max", f"must be at most half of sample_rate={rate}, got {features.f_max}"
    bin_hz = rate / features.n_fft
    if features.kind == "spectrogram" and ceil(features.f_min / bin_hz) > floor(features.f_max / bin_hz):
        yield (
            "features.f_min",
            f"must leave a bin, one every {bin_hz:g} Hz, to f_max={features.f_max}, got {features.f_min}",
        )
    if windows.seconds > longest:
        yield "windows.seconds", f"must not exceed ingest.max_seconds={longest}, got {windows.seconds}"
    elif features.n_fft // 2 >= windows.samples(rate):  # the frame at either end reflects half of itself
        yield "features.n_fft", f"must be less than two windows of {windows.seconds} s, got {features.n_fft} samples"


def _training(p: dict[str, Any]) -> Iterator[tuple[str, str]]:
    rate, features = p["sample_rate"], p["features"]
    try:
        shape = frame_shape(features, p["embedding"], rate)
        length, _ = p["windows"].frames(rate, shape)
    except ParamKeyError as error:
        yield error.key, error.message
    else:
        sizes = {"n_frames": length, "n_features": shape.n_features}
        yield from contradictions(p["models"], p["network"], p["train"], features, **sizes)


if __name__ == "__main__":
    with as_stage():
        run()
