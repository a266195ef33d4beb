"""Sweeps: what a plan may say, who runs where, what is kept; through the command line where it counts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from fake_sweeps import alive, experiments, fake_clone
from in_process import dvc_here, spira
from pipeline_clone import Clone
from spira.base.errors import ParamError
from spira.base.params import read
from spira.compare.experiments import table
from spira.repository.git import environment_without_git
from spira.sweeps import clones
from spira.sweeps.clones import alone, devices, experiment, listed_devices, slots, snapshot
from spira.sweeps.optuna_study import Trial, importances, proposal, unpromising
from spira.sweeps.plan import Choices, Range, Study, StudyParams, override, trainings
from spira.sweeps.plan_file import read_plan
from spira.sweeps.plots import draw_study
from tiny import ROOT

PARAMS = read(ROOT / "params.yaml")[0]
STUDY = Study(
    StudyParams(model="pooled_cnn", objective="validation_loss", n_trials=9, n_startup=3, seed=5, prune=True),
    {"train.lr": Range(low=1e-5, high=1e-1, log=True), "train.batch_size": Choices(choices=(8, 16))},
)


def written(folder: Path, text: str) -> Path:
    (folder / "plan.yaml").write_text(text)
    return folder / "plan.yaml"


@pytest.mark.parametrize("plan", sorted((ROOT / "experiments").glob("*")), ids=lambda path: path.name)
def test_experiments_holds_tables_not_code(plan: Path) -> None:
    """Every file there is a table or a study that could run."""
    assert plan.suffix == ".yaml"
    assert read_plan(plan, PARAMS).name == plan.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "rows: {a: {train.lrr: 1}}",
            r"plan\.yaml:1: rows\.a\.train\.lrr: .*no such parameter; did you mean 'train\.lr'",
        ),
        ("rows:\n  a: {}\n  b: {train: 1}", r"plan\.yaml:3: rows\.b\.train: .*no such parameter"),
        ("base: {}", r"rows: a file has either rows, a table, or study, a search"),
        ("rows: {a: {}}\nstudy: {}", r"rows: a file has either"),
        ("rows: {A b: {}}", r"plan\.yaml:1: rows\.A b.*: must match pattern"),
        ("rows: {}", r"rows: must have at least 1 item"),
        ("row: {a: {}}", r"plan\.yaml:1: row: unknown key; did you mean 'rows'\?"),
        ("rows: {a: {}}\npublished: {x: {b: '1'}}", r"plan\.yaml:2: published\.x\.b: no such row"),
        (
            "rows: {a: {train.lr: {low: 1}}}",
            r"plan\.yaml:1: rows\.a\.train\.lr: must be a number, .* got \{'low': 1\}$",
        ),
        ("study: {n_trials: 2}", r"study\.parameters: must name what is varied"),
        (
            "study: {parameters: {train.lr: {low: 2.0, high: 1.0, log: true}}}",
            r"train\.lr\.high: must be over low=2\.0",
        ),
        (
            "study: {parameters: {train.lr: {low: 0.0, high: 1.0, log: true}}}",
            r"train\.lr\.low: must be over 0 where log",
        ),
        (
            "study: {model: cnn99, parameters: {train.lr: {choices: [1, 2]}}}",
            r"plan\.yaml:1: study\.model: must be one that models names, pooled_cnn or statistics, got 'cnn99'",
        ),
        (
            "base: {models.networks: [cnn6]}\nstudy: {model: pooled_cnn, parameters: {train.lr: {choices: [1, 2]}}}",
            r"study\.model: must be one that models names, cnn6 or statistics, got 'pooled_cnn'",
        ),
        (
            "study: {model: statistics, prune: true, parameters: {train.lr: {choices: [1, 2]}}}",
            r"study\.prune: must be false: statistics is a baseline",
        ),
        ("study: {objective: noisy.auc, parameters: {train.lr: {choices: [1, 2]}}}", r"objective: .*'validation_loss'"),
    ],
)
def test_a_mistake_in_a_plan_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """File, line, key and what was meant; above all, nothing but the validation loss can be an objective."""
    with pytest.raises(ParamError, match=message):
        read_plan(written(tmp_path, text), PARAMS)


@pytest.mark.parametrize(
    "value", [1e-5, 3, 0.5, True, "mel", "true", "1e-5", "a,b", "it's", "\\", "", (1, 2), ("a", "b")]
)
def test_a_value_arrives_as_it_was_written(tmp_path: Path, value: Any) -> None:
    """Through DVC's own reader of ``-S`` and into YAML: a number stays one, text with a comma is no sweep."""
    params = tmp_path / "params.yaml"
    params.write_text("train: {lr: 1}\n")
    apply_overrides(params, [override("train.lr", value)])
    arrived = read(params)[0]["train"]["lr"]
    assert arrived == (list(value) if isinstance(value, tuple) else value)
    assert isinstance(arrived, list if isinstance(value, tuple) else type(value))


def test_a_list_of_networks_is_written_as_hydra_reads_it() -> None:
    """``-S models.networks=[...]``, texts in quotes; through DVC's own reader in the test above."""
    assert override("models.networks", ("spiraconv_v2", "cnn6")) == "models.networks=['spiraconv_v2','cnn6']"


def test_a_study_is_decided_by_its_models_own_trainings() -> None:
    """A network's by fold and seed, a baseline's by fold: each as the matrices of dvc.yaml name it."""
    params = PARAMS | {"seeds": [1, 2], "split": {"folds": [1, 2]}}
    params["models"] = {"networks": ["pooled_cnn", "cnn6"], "baselines": ["statistics"]}
    assert [(training.stage, training.folder) for training in trainings("cnn6", params)] == [
        ("train@cnn6-1-1", "cnn6/1/1"),
        ("train@cnn6-1-2", "cnn6/1/2"),
        ("train@cnn6-2-1", "cnn6/2/1"),
        ("train@cnn6-2-2", "cnn6/2/2"),
    ]
    assert [(training.stage, training.folder) for training in trainings("statistics", params)] == [
        ("fit@statistics-1", "statistics/1/0"),
        ("fit@statistics-2", "statistics/2/0"),
    ]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [[*stages[name]["matrix"]] for name in ("train", "fit")] == [["model", "fold", "seed"], ["model", "fold"]]


def history(*losses: float) -> list[Trial]:
    """Trials whose curves fall to the loss in three epochs."""
    return [
        Trial(
            i,
            "complete",
            {"train.lr": 10.0 ** (-2 - i % 3), "train.batch_size": 8},
            loss,
            1.0,
            ((0, 2 * loss), (1, loss)),
        )
        for i, loss in enumerate(losses)
    ]


def test_the_same_history_proposes_the_same_trial() -> None:
    """Seeded by study and number, whether asked at once or after a restart; in its range, and short enough to read."""
    for number, known in [(0, history()), (4, history(0.5, 0.4, 0.6, 0.7))]:
        first = proposal(STUDY, known, number)
        assert proposal(STUDY, list(reversed(known)), number) == first
        assert proposal(STUDY, known, number + 1) != first
        assert 1e-5 <= first["train.lr"] <= 1e-1
        assert float(f"{first['train.lr']:.4g}") == first["train.lr"]
        assert first["train.batch_size"] in (8, 16)


def test_proposals_seek_the_lowest_loss() -> None:
    """After 12 trials where only the learning rate matters, TPE proposes near the best, and says which mattered."""
    known = []
    for i in range(12):
        lr = 10.0 ** (-1 - i / 3)
        known.append(
            Trial(i, "complete", {"train.lr": lr, "train.batch_size": (8, 16)[i % 2]}, abs(-3 - (-1 - i / 3)), 1.0)
        )
    near = [1e-4 < proposal(STUDY, known, number)["train.lr"] < 1e-2 for number in range(12, 22)]
    assert sum(near) >= 8
    assert importances(STUDY, known)["train.lr"] > 0.8


def test_only_a_trial_worse_than_the_median_is_given_up() -> None:
    """The median of the same epoch; never before ``n_startup`` trials are complete, nor where pruning is off."""
    known = history(0.5, 0.4, 0.6)
    assert unpromising(STUDY, known, [(0, 3.0)])
    assert not unpromising(STUDY, known, [(0, 0.9)])
    assert not unpromising(STUDY, known[:2], [(0, 3.0)])
    assert not unpromising(STUDY, known, [])
    off = Study(STUDY.params.model_copy(update={"prune": False}), STUDY.parameters)
    assert not unpromising(off, known, [(0, 3.0)])


def test_each_gpu_is_counted_once() -> None:
    """``CUDA_VISIBLE_DEVICES`` is obeyed; a GPU cut into slices counts as its slices; jobs are capped."""
    listed = (
        "GPU 0: NVIDIA H100 (UUID: GPU-aa)\n"
        "GPU 1: NVIDIA H100 (UUID: GPU-bb)\n  MIG 1g Device 0: (UUID: MIG-1)\n  MIG 1g Device 1: (UUID: MIG-2)\n"
    )
    assert listed_devices(listed) == ["GPU-aa", "MIG-1", "MIG-2"]
    assert devices({"CUDA_VISIBLE_DEVICES": "3, 1"}) == ["3", "1"]
    assert devices({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert slots(5, ["a", "b"]) == ["a", "b"]
    assert slots(1, ["a", "b"]) == ["a"]
    assert slots(2, []) == [None, None]


def test_a_long_parameter_is_written_out_in_the_picture(tmp_path: Path) -> None:
    """Two parameters that differ after their thirtieth letter have different names."""

    def width(parameter: str) -> int:
        draw_study("plan", [], {parameter: 1.0}, tmp_path / parameter)
        return int.from_bytes((tmp_path / parameter / "importances.png").read_bytes()[16:20], "big")

    assert width("m" * 30) < width("m" * 45) < width("m" * 60)


# ---- through the command line


def sweep(
    clone: Clone, plan: dict[str, Any], *options: str, check: bool = True, set_: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in this process; how a process of its own ends is tested by interrupts."""
    (clone.folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    with patch("spira.sweeps.clones.interruptible"):  # pytest's own Ctrl-C stays
        done = spira(clone.folder, "sweep", "plan.yaml", *options, environment=clone.environment() | dict(set_ or {}))
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def furnished_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC prepares the workplaces in this process, in a tenth of the time; the tests without this start its own."""

    def dvc(folder: Path, *arguments: str) -> str:
        done = dvc_here(folder, *arguments, environment=environment_without_git())
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    monkeypatch.setattr(clones, "dvc", dvc)


@pytest.fixture(scope="module")
def real(reproduced: Clone) -> Clone:
    """The real pipeline on the tiny corpus; the stages after `evaluate` are frozen: no sweep reads them."""
    clone = reproduced.copy("sweep")
    clone.rest()
    return clone


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return fake_clone(tmp_path_factory.mktemp("fake") / "committed")


@pytest.fixture
def fake(committed: Clone, tmp_path: Path) -> Iterator[Clone]:
    """A copy of its own for each test, and the end of the processes that the test leaves."""
    clone = Clone(tmp_path / "a fake's [1]")
    shutil.copytree(committed.folder, clone.folder, symlinks=True)
    (tmp_path / "notes").mkdir()
    yield clone
    for note in (tmp_path / "notes").glob("pid-*"):
        if alive(int(note.name.removeprefix("pid-"))):
            os.kill(int(note.name.removeprefix("pid-")), signal.SIGKILL)


def notes(clone: Clone) -> dict[str, str]:
    return {"FAKE_NOTES": str(clone.folder.parent / "notes"), "CUDA_VISIBLE_DEVICES": "GPU-a"}


@pytest.mark.pipeline
@pytest.mark.usefixtures("furnished_here")
def test_a_table_becomes_experiments_and_a_failure_is_named(real: Clone) -> None:
    """Rows run from the files as they are, uncommitted changes too; a failing one is named with the end of its log,
    costs no other row, and exits 1. The working tree is as before. A second run has nothing to do, until code changes.
    """
    report = real.folder / "src/spira/evaluation/results.py"
    report.write_text(report.read_text() + "\n# not committed\n")
    before = real.git("status", "--porcelain") + real.git("diff")
    rows = {"short": {"train.max_epochs": 1}, "wild": {"split.min_speakers": 50}}
    result = sweep(real, {"rows": rows}, "--jobs", "2", check=False)
    assert result.returncode == 1
    assert "plan-short: done" in result.stdout
    assert "plan-wild FAILED" in result.stderr
    assert "each subset needs split.min_speakers=50 of each class" in result.stderr
    assert "1 of 2 failed: plan-wild" in result.stderr
    assert experiments(real) == {"plan-short"}
    commit = real.git("for-each-ref", "--format=%(objectname)", "refs/exps").strip()
    assert "# not committed" in real.git("show", f"{commit}:src/spira/evaluation/results.py")
    (real.folder / "plan.yaml").unlink()
    assert real.git("status", "--porcelain") + real.git("diff") == before
    assert not list((real.folder / ".dvc/tmp/sweep").glob("workplace-*"))

    assert sweep(real, {"rows": {"short": rows["short"]}}).stdout == "plan-short: is there already\n"
    name = "plan-short"
    assert experiment(snapshot(real.folder), name) == commit
    report.write_text(report.read_text() + "# and changed\n")
    assert experiment(snapshot(real.folder), name) is None
    report.write_text(report.read_text().replace("# and changed\n", ""))

    with chdir(real.folder):
        shown = table(Path("plan.yaml"), "HEAD")
    found = json.loads(real.git("show", f"{commit}:data/evaluation.json"))
    for model, tree in found["models"].items():
        noisy, deployed = tree["conditions"]["noisy"]["metrics"]["auc"], " (deployed)" * (model == found["deployed"])
        row = rf"^\| short \| {model}{re.escape(deployed)} +\| {noisy['mean']:.3f} +\| 1 +\|"
        assert re.search(row, shown, re.MULTILINE)
        assert f"[{noisy['lo']:.3f}, {noisy['hi']:.3f}]" in shown


@pytest.mark.pipeline
def test_what_an_experiment_would_miss_is_named_before_any_starts(fake: Clone) -> None:
    """A file under src/ that git does not know, and data changed since ``dvc add``: each by name; exit 1."""
    (fake.folder / "data/raw").mkdir(parents=True)
    for name in ("mine", "a voice's"):
        (fake.folder / "data/raw" / name).write_text("a recording")
        fake.run("dvc", "add", "-q", f"data/raw/{name}")
        fake.git("add", f"data/raw/{name}.dvc")
        (fake.folder / "data/raw" / name).chmod(0o644)
        (fake.folder / "data/raw" / name).write_text("another")
    (fake.folder / "src/spira/forgotten.py").write_text("")
    (fake.folder / "src/spira/seen.py").write_text("")
    fake.git("add", "-N", "src/spira/seen.py")
    result = sweep(fake, {"rows": {"a": {}}}, check=False, set_=notes(fake))
    assert result.returncode == 1
    assert "src/spira/forgotten.py: unknown to git; git add it" in result.stderr
    assert "data/raw/mine: newer than data/raw/mine.dvc; dvc add it again" in result.stderr
    assert "data/raw/a voice's: newer than data/raw/a voice's.dvc; dvc add it again" in result.stderr
    assert "seen.py" not in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((fake.folder.parent / "notes").iterdir())


@pytest.mark.pipeline
def test_an_impossible_value_is_refused_before_any_starts(fake: Clone) -> None:
    """By row and key, as ``check`` would say it minutes later; every row at once."""
    rows = {"a": {"train.lr": -1}, "b": {"features.n_mels": 700}, "c": {}}
    result = sweep(fake, {"rows": rows}, check=False, set_=notes(fake))
    assert result.returncode == 1
    assert re.search(r"plan\.yaml: rows\.a: train\.lr: .*greater than 0, got -1", result.stderr)
    assert re.search(r"plan\.yaml: rows\.b: features\.n_mels: ", result.stderr)
    assert not list((fake.folder.parent / "notes").iterdir())


@pytest.mark.pipeline
@pytest.mark.usefixtures("furnished_here")
def test_two_trials_never_share_a_gpu_and_a_late_failure_is_one(fake: Clone) -> None:
    """Four jobs on two devices are two at once (a third would fail); exit 1 for a stage that failed after its work."""
    rows: dict[str, Any] = {f"r{i}": {"train.warmup_steps": i} for i in (1, 2)} | {"last": {"train.lr": 0.05}}
    set_ = notes(fake) | {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b", "FAKE_SECONDS": "0.3"}
    base: dict[str, Any] = {"train.lr": 0.01, "seeds": [1]}
    result = sweep(fake, {"base": base, "rows": rows}, "--jobs", "4", check=False, set_=set_)
    assert "2 at once" in result.stdout
    assert "1 of 3 failed: plan-last" in result.stderr, result.stderr
    assert experiments(fake) == {"plan-r1", "plan-r2"}
    used = {note.read_text() for note in (fake.folder.parent / "notes").glob("pid-*")}
    assert used == {"GPU-a", "GPU-b"}
    minutes = fake.folder / ".dvc/tmp/sweep/plan/minutes.jsonl"
    assert len(minutes.read_text().splitlines()) == 2
    fake.run("dvc", "exp", "remove", "plan-r1")
    again = sweep(fake, {"base": base, "rows": {"r1": rows["r1"]}}, set_=set_).stdout
    assert "plan-r1: done" in again
    assert len(minutes.read_text().splitlines()) == 2  # DVC's cache had its training: how long it took, nobody saw


@pytest.mark.pipeline
def test_c8_a_sweep_that_a_hook_starts_leaves_the_repository_as_it_is(fake: Clone) -> None:
    """With git's variables set, as in a linked worktree, and a setting of the user's that makes other patches: HEAD
    stays on its branch, the experiment runs with what is not committed, and is kept."""
    hook = {
        "GIT_DIR": str(fake.folder / ".git"),
        "GIT_INDEX_FILE": ".git/index",
        "GIT_PREFIX": "",
        "GIT_WORK_TREE": ".",
    }
    before = fake.git("symbolic-ref", "HEAD") + fake.git("rev-parse", "HEAD") + fake.git("status", "--porcelain")
    set_ = (
        notes(fake)
        | hook
        | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "diff.noprefix", "GIT_CONFIG_VALUE_0": "true"}
    )
    training = fake.folder / "src/fake_training.py"
    training.write_text(training.read_text() + "# not committed\n")
    assert "plan-a: done" in sweep(fake, {"base": {"seeds": [1]}, "rows": {"a": {"train.lr": 0.01}}}, set_=set_).stdout
    fake.git("checkout", "-q", "src/fake_training.py")
    after = fake.git("symbolic-ref", "HEAD") + fake.git("rev-parse", "HEAD") + fake.git("status", "--porcelain")
    assert after == before
    assert experiments(fake) == {"plan-a"}


@pytest.mark.pipeline
def test_a_changed_plan_is_no_changed_code(fake: Clone) -> None:
    """A study whose file now asks for more trials goes on with its history; one whose code changed starts anew."""
    plan = fake.folder / "experiments/plan.yaml"
    plan.parent.mkdir(exist_ok=True)
    plan.write_text("study: few\n")
    fake.commit("a plan")
    plan.write_text("study: more\n")
    assert snapshot(fake.folder).patch == b""
    (fake.folder / "params.yaml").write_text((fake.folder / "params.yaml").read_text() + "# changed\n")
    assert b"# changed" in snapshot(fake.folder).patch


@pytest.mark.ml_test_score("Model 3", manual=True)
@pytest.mark.pipeline
def test_a_study_follows_the_validation_loss_and_opens_nothing_of_the_test_set(fake: Clone) -> None:
    """The best trial is that of the lowest validation loss, whose test metrics are the worst; a hopeless one is stopped
    (it would take a minute) and is no failure; history and importances are tables and pictures; a second run is idle.
    """
    study = {
        "model": "pooled_cnn",
        "objective": "validation_loss",
        "n_trials": 4,
        "n_startup": 2,
        "seed": 5,
        "prune": True,
        "parameters": {"train.lr": {"low": 1e-6, "high": 1e-1, "log": True}, "train.batch_size": {"choices": [8, 16]}},
    }
    opened = fake.folder.parent / "opened"
    audit = (
        "import runpy, sys; seen = open(sys.argv.pop(1), 'a')\n"
        "sys.addaudithook(lambda event, args: event == 'open' and seen.write(f'{args[0]}\\n'))\n"
        "sys.argv[1:] = ['sweep', *sys.argv[1:]]; runpy.run_module('spira', run_name='__main__')"
    )
    plan = {"base": {"seeds": [1, 2]}, "study": study}
    # DVC brings this curve back before each trial, whose own it is not
    fake.run("dvc", "repro", "train@pooled_cnn-holdout-1", set_=notes(fake))
    fake.commit("results")
    (fake.folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    command = [sys.executable, "-c", audit, str(opened), "plan.yaml"]
    said = fake.run(*command, set_={"PYTHONPATH": str(ROOT / "src"), "FAKE_PATIENCE": "7", **notes(fake)}).stdout
    names = opened.read_text().splitlines()
    assert any(name.endswith("data/models/pooled_cnn/holdout/1/model.json") for name in names)
    assert not [
        name
        for name in names
        if re.search(r"(metrics|evaluation|probes)\.json$|predictions\.csv|report\.md|features/test", name)
    ]

    losses = {name: float(loss) for name, loss in re.findall(r"(plan-\d+): done, validation loss ([\d.e-]+)", said)}
    lines = next((fake.folder / ".dvc/tmp/sweep/plan").glob("trials-*")).read_text().splitlines()
    for trial in map(json.loads, lines):
        if trial["loss"] is not None:  # each epoch of its own two trainings, none of the committed ones
            assert len(trial["curve"]) == 2 * 3
            assert min(loss for _, loss in trial["curve"]) == pytest.approx(trial["loss"])
    best = re.search(r"best of 4 \((\d) pruned\): (plan-\d+), validation loss", said)
    assert best is not None, said
    assert best[2] == min(losses, key=lambda name: losses[name])
    assert int(best[1]) >= 1
    assert len(losses) + int(best[1]) == 4
    assert experiments(fake) == set(losses)
    pictures = fake.folder / "data/sweeps/plan"
    assert {path.name for path in pictures.iterdir()} == {
        *("history.csv", "history.png", "importances.csv", "importances.png")
    }
    assert (pictures / "history.png").read_bytes().startswith(b"\x89PNG")
    again = sweep(fake, plan, set_=notes(fake)).stdout
    assert again.startswith("4 trials are over already\nbest of 4")
    with chdir(fake.folder):
        shown = table(Path("plan.yaml"), "HEAD")
    assert len(shown.splitlines()) == 2 + 4
    assert "auc" not in shown.lower()


@pytest.mark.long
@pytest.mark.pipeline
@pytest.mark.usefixtures("furnished_here")
def test_a_study_of_folds_takes_their_mean(fake: Clone) -> None:
    """Three folds of two seeds: six trainings in the order of DVC's matrix, each to its end, all in the mean.

    Of the baseline three, which have no curve.
    """
    study = {
        "model": "pooled_cnn",
        "objective": "validation_loss",
        "n_trials": 1,
        "n_startup": 1,
        "seed": 6,
        "prune": True,
        "parameters": {"train.batch_size": {"choices": [8, 16]}},
    }
    base = {"seeds": [1, 2], "split.scheme": "kfold", "split.folds": [1, 2, 3], "train.lr": 0.01}
    base["models.baselines"] = ["statistics"]
    said = sweep(fake, {"base": base, "study": study}, set_=notes(fake)).stdout
    trial = json.loads(next((fake.folder / ".dvc/tmp/sweep/plan").glob("trials-*")).read_text())
    ends = [fold / 10 + 1 / 3 for fold in (1, 2, 3) for _ in range(2)]
    assert [loss for _, loss in trial["curve"]][2::3] == pytest.approx(ends)
    assert len(trial["curve"]) == 6 * 3
    assert trial["loss"] == pytest.approx(sum(ends) / 6)
    assert "plan-00: done, validation loss 0.533" in said
    study |= {"model": "statistics", "prune": False}
    said = sweep(fake, {"base": base, "study": study}, set_=notes(fake)).stdout
    assert "plan-00: done, validation loss 1.2" in said  # (1.1 + 1.2 + 1.3) / 3
    losses = [json.loads(path.read_text()) for path in (fake.folder / ".dvc/tmp/sweep/plan").glob("trials-*")]
    assert sorted(len(trial["curve"]) for trial in losses) == [0, 6 * 3]


@pytest.mark.pipeline
@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_an_interrupt_ends_the_trial_and_the_same_command_goes_on(fake: Clone, how: signal.Signals) -> None:
    """Exit 130, no process left; what was finished stays, and only the rest runs next time."""
    rows = {"first": {"train.lr": 0.01}, "second": {"train.lr": 1e-6}}  # the second sleeps for a minute
    (fake.folder / "plan.yaml").write_text(yaml.safe_dump({"base": {"seeds": [1]}, "rows": rows}))
    command = [sys.executable, "-m", "spira", "sweep", "plan.yaml"]
    environment = fake.environment() | notes(fake) | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(command, cwd=fake.folder, env=environment, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(pids := list((fake.folder.parent / "notes").glob("pid-*"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(how)
    assert process.wait(30) == 130
    assert not any(alive(int(path.name.removeprefix("pid-"))) for path in pids)
    assert experiments(fake) == {"plan-first"}
    checkpoints = fake.folder / ".dvc/tmp/sweep/checkpoints"
    assert list(checkpoints.iterdir())  # of a training that can go on, in whichever workplace
    if how == signal.SIGTERM:
        return
    said = sweep(
        fake, {"base": {"seeds": [1]}, "rows": {"first": rows["first"], "other": {"train.lr": 0.02}}}, set_=notes(fake)
    ).stdout
    assert "plan-first: is there already" in said
    assert "plan-other: done" in said
    assert not checkpoints.exists()


@pytest.mark.pipeline
def test_a_second_sweep_at_once_is_refused(fake: Clone) -> None:
    """Its trials would meet the first's on the GPUs."""
    with alone(fake.folder / ".dvc/tmp/sweep/lock"):
        result = sweep(fake, {"rows": {"a": {}}}, check=False, set_=notes(fake))
    assert result.returncode == 1
    assert "another sweep is running" in result.stderr
