"""dvc.yaml says exactly what the code does: deps are imports, params and paths are `run`'s signature, layers hold."""

import ast
import importlib
import inspect
import re
import sys
from hashlib import md5
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from closures import EXACT, ROOT, STAGES, code_deps, expanded, rewritten
from spira.base.params import read
from spira.compare.revision import folder_hash
from spira.package.closure import SOURCE, closure, imported, own

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LOCK = YAML(typ="safe", pure=True).load((ROOT / "dvc.lock").read_text())["stages"]
MODULES = sorted(SOURCE.rglob("*.py"))
TOOLS = {
    "mlflow",  # of an environment of its own
    "aiohttp",
    "pydantic_core",
    "dvclive",
    "dvc",
    "dvc_data",
    "dvc_objects",
    "botocore",
    "psutil",
    "gto",
    "optuna",
    "fastapi",
    "prometheus_client",
    "starlette",
    "uvicorn",
    "distributed",
}  # locked in requirements-tools.txt; no number depends on them
TIERS = (  # imports go from a later tier to an earlier one, and never within one
    {"base"},
    {"repository", "storage"},
    {"clips", "demo", "encoders", "models", "plots", "remote", "split"},
    {"baselines", "cluster", "doctor", "features", "ingest"},
    {"predictions", "sweeps", "training"},
    {"check", "evaluation", "scorer"},
    {"population"},
    {"package", "probes", "server"},
    {"report"},
    {"compare", "monitoring"},
    {"registry"},
    {"retraining"},
    {"stages"},
    {"commands"},
)
TIER = {package: number for number, packages in enumerate(TIERS) for package in packages}
DOORS = {  # the modules that may touch files, processes, the environment or the clock; so may stages and commands
    "base": {
        "arithmetic",
        "files",
        "inputs",
        "locks",
        "params",
        "program",
        "stage_process",
        "system_errors",
        "tables",
        "utf8",
    },
    "clips": {"arrays", "parallel", "recordings", "subsets"},
    "cluster": {"facts", "fleet", "messages", "on_worker", "shard_process", "shards", "stage_folder"},
    "compare": {"corpus_versions", "experiments", "read_side", "results", "revision"},
    "doctor": {"cache", "checks", "dvc_locks", "environment", "machine", "repairs"},
    "encoders": {"store"},
    "evaluation": {"files"},
    "features": {"cache", "frame_shards", "store"},
    "ingest": {
        "containers/flac",
        "containers/foreign",
        "containers/headers",
        "containers/streams",
        "containers/tags",
        "corpus",
        "decoding",
        "ffmpeg",
        "file_names",
        "mono",
        "packed",
        "packing",
        "privacy",
        "samples",
        "sandbox",
        "sandbox_worker",
        "sources",
        "waveforms",
    },
    "models": {"store"},
    "package": {"build", "closure", "golden", "mlflow_export", "onnx_model"},
    "monitoring": {"dated", "feedback_answers", "feedback_corpus", "feedback_table", "files"},
    "plots": {"png"},
    "population": {"in_use", "log", "reference_file"},
    "predictions": {"loading", "score_shards", "table"},
    "probes": {"altered_scores"},
    "registry": {
        "candidate",
        "evidence",
        "gate",
        "in_package",
        "inspection",
        "lineage",
        "packages",
        "preview",
        "promotion",
        "reviewed",
        "scoring",
        "served",
        "tags",
        "verification",
    },
    "remote": {"server", "synchronization", "transfer"},
    "report": {"files"},
    "repository": {"git"},
    "retraining": {"branch", "checked", "corpus", "dvc_command", "evidence", "pull_request", "run"},
    "scorer": {"contents", "decoders", "manifest", "pyfunc", "scorer"},
    "server": {"connections", "journal", "run"},
    "storage": {"faults", "objects", "reads", "s3", "uploads"},
    "sweeps": {
        "clones",
        "experiment_process",
        "log",
        "on_cluster",
        "plan_file",
        "plots",
        "runner",
        "supervisor",
        "sweep",
        "trainings",
        "trial_job",
    },
    "training": {"checkpoint", "rank_processes"},
}
OUTSIDE = {
    *("os", "sys", "io", "pathlib", "shutil", "tempfile", "fcntl", "glob"),
    *("subprocess", "multiprocessing", "signal", "socket", "time", "random"),
    *("soundfile", "dvc", "dvc_data", "dvc_objects", "botocore", "gto", "psutil"),
}


def place(module: Path) -> tuple[str, str]:
    """(package, module within it), such as ("ingest", "containers/flac")."""
    package, *rest = module.relative_to(SOURCE / "spira").with_suffix("").parts
    if package == "__main__":  # ``python -m spira``, and the console script
        return "commands", package
    return package, "/".join(rest)


def is_door(module: Path) -> bool:
    package, name = place(module)
    return package in {"stages", "commands"} or name in DOORS.get(package, set())


def touches_outside(module: Path) -> set[str]:
    """What of a module's imports and calls is outside: files, processes, the environment, the clock, chance."""
    tree = ast.parse(module.read_text())
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    found = set(re.findall(r"\.(?:now|today|utcnow)\(", module.read_text()))
    found |= set(
        re.findall(r"\bpl\.(?:read|scan)_\w+|\.(?:write|sink)_(?:csv|parquet|json)\b", module.read_text())
    )  # tables on disk
    return ({name.split(".")[0] for name in imported(module)} & OUTSIDE) | (called & {"open", "print", "input"}) | found


def stage_names(kind: str) -> set[str]:
    """Third-party packages that a stage's closure imports, at the top of ``kind``."""
    return {name.split(".")[0] for file in closure(SOURCE / f"spira/stages/{kind}.py") for name in imported(file)}


def test_every_stage_has_its_module_and_every_module_its_stage() -> None:
    """A newcomer finds the stage in the folder listing."""
    assert sorted(DVC) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_what_it_imports(stage: str) -> None:
    """A module that dvc.yaml forgets is a change that ``dvc repro`` ignores; one too many costs an expensive run."""
    declared = [dep for dep in DVC[stage]["deps"] if dep.startswith("src/")]
    assert declared == code_deps(stage), "make deps"
    covered = {file for dep in declared for file in expanded(ROOT / dep)}
    imports = closure(SOURCE / f"spira/stages/{stage}.py")
    assert covered == imports if stage in EXACT else covered >= imports


def test_make_deps_writes_what_is_missing_and_no_more() -> None:
    """Lost, stale and misplaced lines are put right; comments, data and parameters stay as they are."""
    committed = (ROOT / "dvc.yaml").read_text()
    assert rewritten(committed) == committed
    lost = re.sub(r"^    - src/spira/ingest\n", "", committed, flags=re.MULTILINE)
    stale = lost.replace("    - requirements.txt\n", "    - requirements.txt\n    - src/spira/gone.py\n")
    assert lost != committed != stale
    assert rewritten(stale) == committed


@pytest.mark.parametrize("stage", STAGES)
def test_stage_declares_its_params_and_paths(stage: str) -> None:
    """``run``'s signature is the declaration: sections are params, default paths are deps and outs.

    ``arithmetic`` is every stage's: its process is settled before the stage is imported.
    """
    signature = inspect.signature(importlib.import_module(f"spira.stages.{stage}").run).parameters.values()
    sections = [p.name for p in signature if p.kind is p.POSITIONAL_OR_KEYWORD]
    folders = [p.name for p in signature if p.name in {"corpus", "noise_corpus"} and p.kind is p.KEYWORD_ONLY]
    params = DVC[stage]["params"]
    if params != [{"params.yaml": None}]:
        assert sorted([*sections, *folders, "arithmetic"]) == params
    paths = {str(p.default) for p in signature if isinstance(p.default, Path)} - {"params.yaml", "requirements.txt"}
    paths |= {f"data/raw/${{{name}}}" for name in folders}
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for key in ("outs", "metrics", "plots")
        for out in DVC[stage].get(key, [])
    ]
    data = [dep for dep in DVC[stage]["deps"] if dep.startswith(("data/", "docs/"))]
    names = {*data, *outs}
    declared = {re.sub(r"/\$\{item\.\w+\}(\.csv)?", "", path) for path in names} - {"data/checked"}
    covered = {path for path in paths if any(Path(name).is_relative_to(path) for name in declared)} | (paths & declared)
    assert covered == paths - {"data/checked"} or stage == "check"
    assert all(any(Path(name).is_relative_to(path) for path in paths) for name in declared)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_plain_command_with_a_description(stage: str) -> None:
    """It runs without DVC too, on this checkout's code even where another copy is installed, and says what it does."""
    assert re.fullmatch(rf"PYTHONPATH=src python -m spira\.stages\.{stage}( \$\{{item\.\w+\}})*", DVC[stage]["cmd"])
    assert re.match(r"[A-Z][a-z]+\b", DVC[stage]["desc"])
    assert f'"""{stage}: ' in (SOURCE / f"spira/stages/{stage}.py").read_text()


@pytest.mark.ml_test_score("Monitoring 1")
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_depends_on_the_environment(stage: str) -> None:
    """A new version of torch is a change like another: requirements.txt is a dependency of what it computes."""
    assert "requirements.txt" in DVC[stage]["deps"] or stage == "check"


def test_what_the_stages_import_is_locked() -> None:
    """Every third-party package under src/ has its version in requirements.txt, which the stages depend on."""
    locked = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    names = {
        "parselmouth": "praat-parselmouth",
        "ruamel": "ruamel-yaml",
        "sklearn": "scikit-learn",
        "vl_convert": "vl-convert-python",
    }
    packages = {name.split(".")[0] for file in MODULES for name in imported(file)} - {"spira"} - TOOLS
    third_party = packages - set(sys.stdlib_module_names)
    assert {names.get(name, name).replace("_", "-") for name in third_party} <= locked


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_packages_import_one_way(module: Path) -> None:
    """From what comes later on the data's path to what comes earlier; stages and commands are nobody's imports."""
    package, _ = place(module)
    if module == SOURCE / "spira/__init__.py":
        return
    for file in own(module):
        other, _ = place(file)
        assert TIER[other] < TIER[package] or (other == package and package != "stages"), f"{module} imports {file}"
    assert package == "commands" or not {place(file)[0] for file in own(module)} & {"stages", "commands"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_command_is_imported_by_nobody(module: Path) -> None:
    """What two subcommands need lies in a room; the entry alone knows the subcommands, and loads one by its name."""
    entry = SOURCE / "spira/commands/spira.py"
    commands = {file for file in own(module) if place(file)[0] == "commands"}
    assert not commands or (module, commands) == (SOURCE / "spira/__main__.py", {entry})


def test_every_package_has_its_tier() -> None:
    """The order of packages is the architecture: a new room must say where it stands."""
    assert {place(module)[0] for module in MODULES} - {"__init__"} == set(TIER)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_only_doors_touch_the_outside(module: Path) -> None:
    """All others are pure: tensors, arrays and values in, values out; and they import no door."""
    if is_door(module):
        return
    assert not touches_outside(module)
    assert not [file for file in own(module) if is_door(file)]


def test_every_door_is_one() -> None:
    """The list names no module that is gone or that has become pure."""
    doors = {SOURCE / "spira" / package / f"{name}.py" for package, names in DOORS.items() for name in names}
    assert not [door for door in doors if not touches_outside(door)]


def test_train_imports_no_metric_and_evaluate_no_torch() -> None:
    """What is chosen on validation never meets a metric of the test set."""
    assert SOURCE / "spira/evaluation/metrics.py" not in closure(SOURCE / "spira/stages/train.py")
    assert not any("test" in dep.split("/") or "subsets.csv" in dep for dep in DVC["train"]["deps"])
    assert "torch" not in stage_names("evaluate")


def test_no_stage_depends_on_the_report() -> None:
    """Touching what a reviewer reads never costs a training run, and no stage needs DVC."""
    read_by_people = {
        module for module in MODULES if place(module)[0] in {"compare", "sweeps", "remote", "doctor", "commands"}
    }
    assert len(read_by_people) > 20
    for stage in STAGES:
        assert not closure(SOURCE / f"spira/stages/{stage}.py") & read_by_people
        assert "dvc" not in stage_names(stage)


def test_the_package_itself_is_empty() -> None:
    """``import spira`` runs nothing, so no stage depends on it; the layers are plain folders."""
    tree = ast.parse((SOURCE / "spira/__init__.py").read_text())
    assert [type(node) for node in tree.body] == [ast.Expr]
    assert list(SOURCE.rglob("__init__.py")) == [SOURCE / "spira/__init__.py"]


@pytest.mark.ml_test_score("Model 1")
@pytest.mark.parametrize("stage", [name for name in LOCK if name.split("@")[0] in STAGES])
def test_the_committed_results_are_those_of_the_committed_code(stage: str) -> None:
    """dvc.lock names the code, environment and parameters that made the results; after a change, ``dvc repro``."""
    for dep in LOCK[stage]["deps"]:
        if not dep["path"].startswith("data/"):
            assert dep["md5"] == dvc_hash(ROOT / dep["path"]), f"{dep['path']}: dvc repro"
    committed, _ = read(ROOT / "params.yaml")
    for name, value in LOCK[stage]["params"].get("params.yaml", {}).items():
        assert value == committed[name], f"{name}: dvc repro"


def dvc_hash(path: Path) -> str:
    """Of a file, or of a folder's files."""
    hashes = {file.relative_to(path).as_posix(): md5(file.read_bytes()).hexdigest() for file in expanded(path)}
    return folder_hash(hashes) if path.is_dir() else hashes["."]


def test_every_stage_model_fold_and_seed_has_results() -> None:
    """No stage, model, fold or seed was added without being run, and none was left behind."""
    params, _ = read(ROOT / "params.yaml")
    folds, models = params["split"]["folds"], params["models"]
    expected = {name for name in DVC if "matrix" not in DVC[name]}
    expected |= {f"train@{m}-{fold}-{seed}" for m in models["networks"] for fold in folds for seed in params["seeds"]}
    expected |= {f"fit@{m}-{fold}" for m in models["baselines"] for fold in folds}
    assert set(LOCK) == expected


def test_the_committed_metrics_are_those_of_the_lock() -> None:
    """What git shows (metrics, report, summary) has the hash that dvc.lock holds."""
    outs = {out["path"]: out["md5"] for stage in LOCK.values() for out in stage["outs"]}
    for path in ("data/evaluation.json", "data/metrics.json", "data/report/report.md", "data/subsets_summary.csv"):
        assert outs[path] == md5((ROOT / path).read_bytes()).hexdigest(), path
