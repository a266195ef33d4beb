"""The real command line on a tiny corpus: what reruns, what does not, and how a parameter arrives."""

import json
import re
import shutil

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from pipeline_clone import Clone, ran

pytestmark = pytest.mark.pipeline
BEFORE_TRAIN = ["check", "synthesize", "ingest", "ingest_noise", "split", "featurize"]
TRAIN = ["train@pooled_cnn-holdout-1", "fit@statistics-holdout"]
AFTER_TRAIN = ["predict", "evaluate", "alter", "probe", "report", "package"]


@pytest.fixture(scope="module")
def clone(reproduced: Clone) -> Clone:
    """Committed results; each test leaves it clean."""
    return reproduced.copy("pipeline")


@pytest.mark.ml_test_score("Infrastructure 3")
def test_a_fresh_clone_runs_every_stage(reproduced: Clone) -> None:
    """Once each; ``check`` comes first."""
    assert sorted(reproduced.stages) == sorted([*BEFORE_TRAIN, *TRAIN, *AFTER_TRAIN])
    assert reproduced.stages[0] == "check"


@pytest.fixture(autouse=True)
def leave_it_clean(clone: Clone) -> None:
    """Each test starts from the committed results."""
    clone.git("checkout", "-q", "main", "--", ".")
    with Repo(str(clone.folder)) as repo:
        repo.checkout(force=True)


@pytest.mark.ml_test_score("Data 5")
def test_git_holds_no_data(clone: Clone) -> None:
    """After ``git add -A`` git knows the code, the metrics, the tables to read and small .dvc files; no voice."""
    tracked = [name for name in clone.git("ls-files", "data").splitlines() if not name.endswith((".gitignore", ".dvc"))]
    assert tracked == [
        "data/evaluation.json",
        "data/metrics.json",
        "data/pretrained/none",
        "data/probes.json",
        "data/probes.md",
        "data/processor.txt",
        "data/report/data_card.md",
        "data/report/model_card.md",
        "data/report/report.md",
        "data/subsets_summary.csv",
    ]
    assert clone.git("status", "--porcelain") == ""


def test_nothing_changed_nothing_runs(clone: Clone) -> None:
    """The second ``dvc repro`` is silent, and ``dvc.lock`` stays as it was."""
    assert clone.dvc("repro") == []
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.long  # test_whole_path.py trains twice in one process
def test_a_forced_rerun_leaves_the_lock_as_it_was(clone: Clone) -> None:
    """Same inputs, same bytes: every out has the hash that dvc.lock already holds, with nothing kept of before."""
    shutil.rmtree(clone.folder / ".ckpt")
    stages = clone.dvc("repro", "--force")
    assert len(stages) == len(BEFORE_TRAIN) + len(TRAIN) + len(AFTER_TRAIN)
    assert clone.git("status", "--porcelain") == ""


def test_a_learning_rate_reruns_training_and_what_follows(clone: Clone) -> None:
    """``-S train.lr=1e-5`` arrives as a number, and neither audio nor features are touched (check is a second)."""
    stages = clone.dvc("exp", "run", "-S", "train.lr=1e-5", "-S", "train.max_epochs=1", "evaluate")
    assert stages == ["check", "train@pooled_cnn-holdout-1", "predict", "evaluate"]
    lock = YAML(typ="safe", pure=True).load((clone.folder / "dvc.lock").read_text())  # to PyYAML 1e-05 is text
    assert lock["stages"]["train@pooled_cnn-holdout-1"]["params"]["params.yaml"]["train"]["lr"] == 1e-5


def test_one_more_seed_trains_one_model(clone: Clone) -> None:
    """Adding a seed leaves the other models alone."""
    assert clone.dvc_here("exp", "run", "-S", "seeds=[1,2]", "train") == ["check", "train@pooled_cnn-holdout-2"]


def test_a_weights_file_is_a_dependency_of_training_where_it_is_named(clone: Clone) -> None:
    """Nothing runs for a file that lies there unused; training reruns where it is named, and again where it changes."""
    weights = clone.folder / "data/pretrained/before.safetensors"
    weights.parent.mkdir(exist_ok=True)
    shutil.copyfile(clone.folder / "data/models/pooled_cnn/holdout/1/weights.safetensors", weights)
    clone.dvc("add", "-q", "data/pretrained/before.safetensors")
    assert "before.safetensors" not in clone.git("ls-files", "--others", "--exclude-standard").split()
    assert clone.dvc("repro") == []
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("init_from: none", "init_from: before.safetensors"))
    assert clone.dvc_here("repro", "train@pooled_cnn-holdout-1") == ["check", "train@pooled_cnn-holdout-1"]
    adopted = json.loads((clone.folder / "data/models/pooled_cnn/holdout/1/model.json").read_text())["adopted"]
    assert (len(adopted["matched"]), adopted["fresh"], adopted["unused"]) == (16, [], [])
    save_file({name: tensor + 0.001 for name, tensor in load_file(weights).items()}, weights)
    stale = json.loads(clone.run("dvc", "status", "--json", "train@pooled_cnn-holdout-1").stdout)
    assert stale["train@pooled_cnn-holdout-1"] == [{"changed deps": {"data/pretrained/before.safetensors": "modified"}}]


def test_a_touched_plot_reruns_only_evaluate_and_report(clone: Clone) -> None:
    """Touching a plot must never cost a training run."""
    module = clone.folder / "src/spira/evaluation/results.py"
    module.write_text(module.read_text() + "\n# touched\n")
    assert clone.dvc_here("repro") == ["evaluate", "probe", "report", "package"]


def test_a_typo_is_refused_before_any_work(clone: Clone) -> None:
    """One second, exit status not zero, the key, its line and what was meant; no stage after it runs."""
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("  lr: 0.003", "  lrr: 0.003"))
    result = clone.run("dvc", "repro", check=False)
    assert result.returncode != 0
    assert ran(result.stdout) == ["check"]
    assert re.search(r"params\.yaml:\d+: train\.lrr: unknown parameter; did you mean 'lr'\?", result.stderr)
    assert "Traceback" not in result.stderr


def test_a_corrupt_recording_is_listed_and_the_run_goes_on(clone: Clone) -> None:
    """One refused file of 24 is under ``ingest.max_rejected``; its name and reason are said and kept."""
    (clone.folder / "data/raw/tiny/clip_00.wav").unlink()
    (clone.folder / "data/raw/tiny/clip_00.wav").write_text("<html>not found</html>")
    result = clone.run("dvc", "repro", "split")
    assert "refused clip_00.wav: undecodable" in result.stdout
    rejects = (clone.folder / "data/clips/rejects.csv").read_text().splitlines()
    assert rejects[1].startswith("clip_00.wav,undecodable,")


def test_metrics_and_plots_are_dvcs_own(clone: Clone) -> None:
    """``dvc metrics show`` and ``dvc plots show`` understand what the stages write."""
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json").stdout)
    assert 0 <= shown[""]["data"]["data/metrics.json"]["data"]["auc"]["noisy"] <= 1
    plots = json.loads(clone.run("dvc", "plots", "show", "--json").stdout)
    assert plots.get("errors", []) == []
    assert {"ROC by condition", "Scores under noise", "Confusion under noise"} <= plots["data"].keys()
    assert "data/curves/pooled_cnn/holdout/1/plots/metrics/validation/loss.tsv" in plots["data"]
    assert all(plots["data"].values())  # each was drawn


def test_a_temporary_workspace_runs_its_own_code(clone: Clone) -> None:
    """``dvc exp run --temp`` uses the code of its copy, even where this package is installed from elsewhere."""
    module = clone.folder / "src/spira/evaluation/results.py"
    module.write_text(module.read_text().replace("# touched\n", "") + '\nraise RuntimeError("the copy\'s own code")\n')
    result = clone.run("dvc", "exp", "run", "--temp", check=False)
    assert "the copy's own code" in result.stdout + result.stderr
