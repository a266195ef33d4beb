"""Every way into a package gives the pipeline's score, and bad files break none: `make bench-doors`.

The score of each test clip of the demo, from the file as it was brought, against `data/predictions.csv` under `clean`,
the mean over seeds; through the scorer, `spira predict`, HTTP, MLflow's loader, and ONNX where the model is a network.
`--mlflow PYTHON` names an interpreter with mlflow beside our requirements, and then MLflow itself loads the package.
Then mutations of whole files of every format, through HTTP and the loader. It prints Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from spira.base import arithmetic

arithmetic.settle()  # before NumPy and torch are imported

import onnxruntime
import polars as pl

from bad_audio import mutated
from onnx_windows import windows_of
from served import Served, predict
from spira.base.params import load
from spira.base.section import FolderName
from spira.ingest.mono import Mono, read_mono
from spira.models.build import MODELS
from spira.package.onnx_model import export_onnx
from spira.scorer.answer import Refused
from spira.scorer.manifest import Manifest
from spira.scorer.pyfunc import SpiraModel
from spira.scorer.scorer import Scorer

NAME = "recording"
BY_LOADER = """
import json, sys
from pathlib import Path
package, *files = sys.argv[1:]
try:
    import mlflow.pyfunc
    model, name = mlflow.pyfunc.load_model(package), f"mlflow {mlflow.__version__}"
except ImportError:
    sys.path.insert(0, package + "/code")
    from spira.scorer.pyfunc import _load_pyfunc
    model, name = _load_pyfunc(package), "the loader alone"
found = [model.predict([{}, {"recording": {"content": Path(file).read_bytes()}}])[0][0] for file in files]
print(json.dumps([name, found]))
"""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=Path("data/package"))
    parser.add_argument("--mlflow", nargs="*", type=Path, default=[], metavar="PYTHON")
    parser.add_argument("--mutations", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    print(f"{arithmetic.processor()}\n")
    with tempfile.TemporaryDirectory() as folder, Scorer(asked.package) as scorer:
        expected = pipeline_scores(scorer.manifest.model)
        with Served(asked.package, Path(folder), "--port", "0") as served:
            doors: dict[str, dict[Path, float]] = {
                "the scorer": {file: scored(scorer, file) for file in expected},
                "`spira predict`": by_command(asked.package, list(expected)),
                "HTTP": {file: by_http(served, file.read_bytes()) for file in expected},
            }
            if scorer.manifest.model in MODELS:
                export_onnx(asked.package, Path(folder, "model.onnx"))
                doors["ONNX"] = by_onnx(Path(folder, "model.onnx"), scorer.manifest, list(expected))
            for python in [Path(sys.executable), *asked.mlflow]:
                name, given = by_loader(python, asked.package.resolve(), list(expected))
                doors[name] = dict(zip(expected, given, strict=True))
            print("| door | clips | largest difference |\n|---|---|---|")
            for name, scores in doors.items():
                print(
                    f"| {name} | {len(scores)} | {max(abs(scores[file] - expected[file]) for file in expected):.1e} |"
                )
            damage(served, scorer, asked.mutations)


def pipeline_scores(model: str) -> dict[Path, float]:
    table = pl.read_csv("data/predictions.csv").filter(model=model, subset="test", condition="clean")
    corpus = Path("data/raw", load("corpus", FolderName))
    return {corpus / clip: score for clip, score in table.group_by("clip_id").agg(pl.col("score").mean()).rows()}


def scored(scorer: Scorer, file: Path) -> float:
    found = scorer.score(file)
    if isinstance(found, Refused):
        raise SystemExit(f"{file}: refused, {found.code}: {found.reason}")
    return found


def by_command(package: Path, files: Sequence[Path]) -> dict[Path, float]:
    command = [sys.executable, "-m", "spira", "predict", "--json", "--package", str(package), *map(str, files)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return {Path(one["name"]): one["score"] for one in json.loads(ran.stdout)["recordings"]}


def by_http(served: Served, content: bytes) -> float:
    score: float = predict(served.port, {NAME: content}).json["score"]
    return score


def by_onnx(model: Path, p: Manifest, files: Sequence[Path]) -> dict[Path, float]:
    session, scores = onnxruntime.InferenceSession(model), {}
    for file in files:
        mono = read_mono(file, p.sample_rate, p.ingest)
        assert isinstance(mono, Mono)
        scores[file] = float(session.run(["score"], {"windows": windows_of(mono.waveform, p)})[0])
    return scores


def by_loader(python: Path, package: Path, files: Sequence[Path]) -> tuple[str, list[float]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-W", "ignore", "-P", "-c", BY_LOADER, str(package), *map(str, files)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    name, scores = json.loads(ran.stdout.splitlines()[-1])
    return name, scores


def damage(served: Served, scorer: Scorer, n: int) -> None:
    """Each mutation by HTTP and by the loader's model: both answer, and alike."""
    model, said, slowest, differ = SpiraModel(scorer), Counter[str](), 0.0, 0
    for _, content in mutated(n, seed=0):
        start = perf_counter()
        reply = predict(served.port, {NAME: content})
        slowest = max(slowest, perf_counter() - start)
        (one,) = reply.json["recordings"] if reply.status == 200 else (None,)
        scores, _ = model.predict([{}, {NAME: {"content": content}}])
        differ += scores != ([one["score"]] if one and one["score"] is not None else [])
        said[_word(reply.status, one)] += 1
    listed = ", ".join(f"{word} {count}" for word, count in said.most_common())
    print(f"\n{n} mutations: {listed}; {differ} answered otherwise by the loader; the slowest took {slowest:.1f} s")


def _word(status: int, one: Mapping[str, Mapping[str, str]] | None) -> str:
    if one is None:
        return f"status {status}"
    return one["refused"]["code"] if one["refused"] else "scored"


if __name__ == "__main__":
    main(sys.argv[1:])
