"""The folder that is shipped: the same bytes at each making, no pickle, nobody's name, and the code that it needs."""

import ast
import json
import re
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
import yaml

from packaged import MODELS, Packaged
from spira.package.build import LEFT_OUT, code_files
from spira.package.closure import SOURCE, closure, distributions, imported, locked
from spira.package.golden import golden_recordings
from spira.scorer.contents import SUMS, files_in
from spira.scorer.manifest import Manifest
from spira.stages import package

ROOT = Path(__file__).parents[2]
KINDS = {".py", ".json", ".safetensors", ".wav", ".md", ".txt", ""}  # the last: MLmodel and SHA256SUMS


@pytest.mark.parametrize("model", MODELS)
def test_nothing_in_it_is_a_pickle_or_tells_where_or_whose(packaged: Packaged, model: str) -> None:
    """Every file is walked: no pickle under any name, no zip that could hold one, no path, no clip or speaker."""
    clips = pl.read_csv(packaged.root / "data/clips/clips.csv")
    names = [*clips["clip_id"], *clips["speaker_id"]]
    for path in files_in(packaged.package(model)):
        content = path.read_bytes()
        assert path.suffix in KINDS
        assert content[:1] != b"\x80"
        assert content[:2] != b"PK"
        assert b"/tmp/" not in content
        assert str(packaged.root).encode() not in content
        if path.suffix == ".json":
            assert not [name for name in names if f'"{name}"'.encode() in content]


@pytest.mark.parametrize("model", MODELS)
def test_two_makings_have_the_same_bytes(
    packaged: Packaged, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(packaged.root)
    first, second = packaged.package(model), tmp_path / "again"
    package.run(evaluation=first / "evidence/evaluation.json", out=second)
    assert (first / SUMS).read_bytes() == (second / SUMS).read_bytes()
    assert [path.name for path in files_in(first)] == [path.name for path in files_in(second)]


def test_sha256sums_is_the_programs_own_form(packaged: Packaged) -> None:
    folder = packaged.package("statistics")
    for line in (folder / SUMS).read_text().splitlines():
        digest, name = re.fullmatch(r"([0-9a-f]{64})  (.+)", line).groups()  # type: ignore[union-attr]
        assert sha256((folder / name).read_bytes()).hexdigest() == digest


def test_its_code_is_what_the_scorer_imports_and_no_more(packaged: Packaged) -> None:
    """Each file is reached from the loader, and each import of ours leads to a file, but for what numba compiles."""
    code = packaged.package("statistics") / "code"
    files = {path.relative_to(code) for path in code.rglob("*.py")} - {Path("spira/__init__.py")}
    entry = SOURCE / "spira/scorer/pyfunc.py"
    expected = {path for path in closure(entry) if LEFT_OUT not in path.parents}
    assert files == {path.relative_to(SOURCE) for path in expected} == {p.relative_to(SOURCE) for p in code_files()}
    for file in files:
        ours = {name for name in imported(code / file) if name.startswith("spira.")}
        modules = {name for name in ours if (SOURCE / f"{name.replace('.', '/')}.py").is_file()}
        missing = {name for name in modules if not (code / f"{name.replace('.', '/')}.py").is_file()}
        assert missing <= {"spira.models.cpu.layers"}, file


def test_no_stage_of_training_or_evaluation_is_shipped(packaged: Packaged) -> None:
    packages = {path.name for path in (packaged.package("statistics") / "code/spira").iterdir() if path.is_dir()}
    assert not packages & {"stages", "commands", "training", "evaluation", "probes", "report", "package", "demo"}
    assert {"scorer", "ingest", "features", "predictions", "models"} <= packages


def test_its_requirements_are_locked_lines_of_ours(packaged: Packaged) -> None:
    """Each with its hashes, as in requirements.txt; what only training, plots and DVC need is not among them."""
    text, ours = (
        (packaged.package("statistics") / "requirements.txt").read_text(),
        (ROOT / "requirements.txt").read_text(),
    )
    pins = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    assert {"torch", "torchaudio", "numpy", "soundfile", "soxr", "safetensors", "pydantic"} <= set(pins)
    assert not {"numba", "altair", "librosa", "scikit-learn", "dvc", "dvclive"} & set(pins)
    assert set(text.splitlines()) <= set(ours.splitlines())
    for pin in pins:
        assert re.search(rf"^{re.escape(pin)}==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)


def test_locked_takes_whole_blocks_and_canonical_names() -> None:
    text = "# said\nA.b==1 \\\n    --hash=x \\\n    --hash=y\nc==2 \\\n    --hash=z\n"
    assert locked(text, {"a-b"}) == "A.b==1 \\\n    --hash=x \\\n    --hash=y\n"
    assert locked(text, {"c"}) == "c==2 \\\n    --hash=z\n"
    assert locked(text, set()) == ""


def test_distributions_are_those_imported_and_what_they_need(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import soundfile\nimport os\n")
    assert {"soundfile", "cffi", "numpy"} <= distributions([module])
    assert "torch" not in distributions([module])


def test_mlmodel_is_what_mlflow_reads(packaged: Packaged) -> None:
    """The keys that pyfunc needs, and neither a time, an id nor a path."""
    flavor = yaml.safe_load((packaged.package("statistics") / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavor["loader_module"] == "spira.scorer.pyfunc"
    assert (packaged.package("statistics") / flavor["code"] / "spira/scorer/pyfunc.py").is_file()
    tree = ast.parse((SOURCE / "spira/scorer/pyfunc.py").read_text())
    assert "_load_pyfunc" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    oldest = re.search(r'requires-python = ">=(3\.\d+)', (ROOT / "pyproject.toml").read_text())
    assert oldest
    assert flavor["python_version"].startswith(oldest[1])


def test_the_hashes_say_what_it_was_made_from(packaged: Packaged) -> None:
    found = json.loads((packaged.package("statistics") / "package.json").read_bytes())["hashes"]
    assert found["clips"] == sha256((packaged.root / "data/clips/clips.csv").read_bytes()).hexdigest()
    params = yaml.safe_load((packaged.root / "params.yaml").read_text())
    assert found["params"] == sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    other = json.loads((packaged.package("pooled_cnn") / "package.json").read_bytes())["hashes"]
    assert other == found  # both are of one corpus, one params.yaml and one code


def test_golden_recordings_are_the_same_each_time_and_nobodys() -> None:
    first, second = golden_recordings(), golden_recordings()
    assert first == second
    assert sorted(first) == ["browser.wav", "muted.wav", "phone.wav"]


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    committed = json.loads((ROOT / "docs/reference/package.schema.json").read_text())
    assert committed == Manifest.model_json_schema(), "python docs/write_schema.py"


def test_under_kfold_nothing_is_deployed_and_the_folder_says_what_to_do(
    packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(packaged.root)
    table = pl.read_csv("data/predictions.csv", infer_schema=False).with_columns(fold=pl.lit("1"))
    table.write_csv(tmp_path / "predictions.csv")
    (tmp_path / "package/models").mkdir(parents=True)  # as an earlier run by hand left them
    package.run(predictions=tmp_path / "predictions.csv", out=tmp_path / "package")
    assert [path.name for path in (tmp_path / "package").iterdir()] == ["README.md"]
    said = (tmp_path / "package/README.md").read_text()
    assert "split.scheme: holdout" in said
    assert "Nothing is deployed" in capsys.readouterr().out
