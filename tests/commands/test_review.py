"""A reviewer's report: differences agree with theory, verdicts keep their rules, and stale results are named."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spira.compare.staleness import Declared, stale
from spira.evaluation.markdown import chart, table
from two_revisions import Repository

STAGE = Declared("train@1", "python train.py", ("train.py", "data/x/a.csv"), ("model",), {"params.yaml": ("train.lr",)})
ENTRY: dict[str, Any] = {
    "cmd": "python train.py",
    "deps": [{"path": "train.py", "md5": "1"}, {"path": "data/x/a.csv", "md5": "2"}],
    "params": {"params.yaml": {"train.lr": 0.1}},
    "outs": [{"path": "model", "md5": "3"}],
}
NOW = {"train.py": "1", "data/x": "9"}


@pytest.mark.parametrize(
    ("stage", "entry", "files", "lr", "reason"),
    [
        (STAGE, ENTRY, NOW, 0.1, None),
        (STAGE, ENTRY, {**NOW, "train.py": "7"}, 0.1, "`train.py` changed"),
        (STAGE, ENTRY, {"data/x": "9"}, 0.1, "`train.py` is gone"),
        (STAGE, ENTRY, {**NOW, "model": "4"}, 0.1, "`model` is not what the stage wrote"),
        (STAGE, ENTRY, NOW, 0.2, "`train.lr` is 0.2, the results have 0.1"),
        (STAGE, {**ENTRY, "cmd": "python old.py"}, NOW, 0.1, "its command changed"),
        (STAGE, {**ENTRY, "deps": ENTRY["deps"][:1]}, NOW, 0.1, "`data/x/a.csv` is a new dependency"),
        (STAGE, {**ENTRY, "outs": []}, NOW, 0.1, "`model` was never written"),
        (STAGE, ENTRY, {**NOW, "data/x/a.csv": "8.dir"}, 0.1, "`data/x/a.csv/b`, `data/x/a.csv/c` changed"),
    ],
)
def test_each_reason_for_stale_results_is_named(
    stage: Declared, entry: dict[str, object], files: dict[str, str], lr: float, reason: str | None
) -> None:
    """A stage is current or says why not."""
    params = {"params.yaml": {"train": {"lr": lr, "epochs": 3}}}
    inside = {("data/x/a.csv", "2"): ["data/x/a.csv/b", "data/x/a.csv/c"]}
    assert stale([stage], {"train@1": entry}, files, params, inside) == ({"train@1": [reason]} if reason else {})


def test_a_stage_without_results_and_results_without_a_stage_are_named() -> None:
    """Both are seen although there is nothing to compare."""
    assert stale([STAGE], {"old": ENTRY}, NOW, {}, {}) == {
        "train@1": ["it has never run"],
        "old": ["dvc.lock has results of a stage that dvc.yaml has not"],
    }


@pytest.mark.ml_test_score("Model 1")
def test_a_reviewer_sees_what_changed(repository: Repository) -> None:
    """The real evaluate stage at two commits: parameters, data, metrics, verdict."""
    text = repository.report("good", "bad", "--check").stdout
    assert "SYNTHETIC" in text
    assert "**regression**: AUC under `noisy` -0." in text
    assert "| shift | 2.5 | 0.6 |" in text
    assert "| data/predictions.csv | " in text
    assert "**↓ worse**" in text
    assert "Stale" not in text
    found = json.loads(repository.git("show", "bad:data/evaluation.json"))
    shown = found["models"]["pooled_cnn"]["conditions"]["noisy"]["metrics"]["auc"]["mean"]
    assert f"| {shown:.3f} |" in next(line for line in text.splitlines() if line.startswith("| noisy | AUC"))


def test_a_reviewer_sees_every_model(repository: Repository) -> None:
    """By name a row a model and condition, with the interval of the clips that both sides scored, and first how far
    head's own are apart; a baseline has a verdict though it is fitted once, for nothing in it is drawn."""
    text = repository.report("good", "bad").stdout
    section = text.partition("## Models\n\n")[2].partition("\n## ")[0]
    apart = json.loads(repository.git("show", "bad:data/evaluation.json"))["differences"]["pooled_cnn"]["statistics"]
    told = f"{apart['noisy']['difference']:+.3f} [{apart['noisy']['lo']:+.3f}, {apart['noisy']['hi']:+.3f}]"
    assert section.startswith(f"At head, `pooled_cnn` less `statistics` on the same clips: AUC {told} under `noisy`, ")
    rows = {tuple(line.split(" | ")[:2]): line for line in section.splitlines() if line.startswith("| ")}
    network = rows["| pooled_cnn (deployed at base and head)", "noisy"]
    (metrics,) = [line for line in text.splitlines() if line.startswith("| noisy | AUC")]
    assert network.split(" | ")[2:] == metrics.split(" | ")[2:]
    assert rows["| statistics", "noisy"].endswith(" | **↓ worse** |")
    assert "Deployed model: `pooled_cnn`. Why, at head: `pooled_cnn` is deployed because" in text


def test_the_verdict_is_about_what_each_side_deploys(repository: Repository) -> None:
    """Head deploys its baseline, which is worse than base's network: a regression, though the network is the same."""
    found = json.loads(repository.git("show", "good:data/evaluation.json")) | {"deployed": "statistics"}
    repository.git("checkout", "-q", "-B", "baseline", "good")
    (repository.folder / "data/evaluation.json").write_text(json.dumps(found))
    repository.git("commit", "-q", "-am", "deploy the baseline")
    repository.git("checkout", "-q", "main")
    text = repository.report("good", "baseline").stdout
    assert "**The deployed model changed**: base deploys `pooled_cnn`, head `statistics`." in text
    assert re.search(r"\*\*regression\*\*: AUC under `noisy` .* 60 clips, 3 and 1 trainings\.$", text, re.MULTILINE)
    auc = found["models"]["statistics"]["conditions"]["noisy"]["metrics"]["auc"]["mean"]
    assert f"| statistics (deployed at head) | noisy | {auc:.3f} | {auc:.3f} | +0.000 | [+0.000, +0.000] | = |" in text


def test_both_curves_are_drawn_and_written(repository: Repository, tmp_path: Path) -> None:
    """ROC and learning curves of both: as charts that GitHub draws, as a table, and as PNG files where asked."""
    result = repository.report("good", "bad", "--plots", str(tmp_path / "new"))
    roc, loss = re.findall(r"```mermaid\n(.*?)```", result.stdout, re.DOTALL)
    for drawn, n_points in ((roc, 21), (loss, 6)):
        lines = [json.loads(line.split("line ")[1]) for line in drawn.splitlines() if " line " in line]
        assert [len(line) for line in lines] == [n_points, n_points]
        assert lines[0] != lines[1]
    assert 'x-axis "epoch" 0 --> 5' in loss
    # 1.5 - shift / 10 * e + seed / 100 * e ** 2
    assert "| pooled_cnn | 2 | 0.7500 after epoch 5 | 1.4600 after epoch " in result.stdout
    assert "| pooled_cnn | 1 | 0.5000 after epoch 5 | 1.4100 after epoch 3 |" in result.stdout
    for name in ("roc", "validation_loss"):
        assert (tmp_path / f"new/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_chart_has_no_exponent_and_a_cell_no_markup() -> None:
    """Mermaid cannot read 1e-05; a cell with a bar, a tag or a name in it stays one cell and calls nobody."""
    drawn = chart("t", "x", "y", 2, {"base": np.array([1e-5, 123456.7, 2.5]), "head": np.array([0.0, 1.0, 1e6])})
    assert "    line [0, 123456.7, 2.5]\n    line [0, 1, 1000000]\n" in drawn
    assert 'y-axis "y" 0 --> 1000000\n' in drawn
    assert table(["a"], [["x|<b>@you\nz"]]).splitlines()[-1] == "| x\\|&lt;b>&#64;&#8203;you z |"


def test_the_way_back_is_an_improvement_and_staying_is_no_evidence(repository: Repository) -> None:
    """Verdicts follow from the two commits alone, whatever is checked out."""
    assert "**improvement**" in repository.report("bad", "good").stdout
    same = repository.report("good", "good").stdout
    assert "**no evidence**: AUC under `noisy` +0.000 [+0.000, +0.000]" in same
    assert same.count("Nothing changed.") == 2


def test_a_commit_from_before_there_were_models_and_folds_has_one_of_each(repository: Repository) -> None:
    """The same scores, in a table without the columns, metrics at the top of their file, and curves in a folder or two
    less: paired with what is deployed now, and equal in all."""
    text = repository.report("old", "good").stdout
    assert "**no evidence**: AUC under `noisy` +0.000 [+0.000, +0.000]; 60 test speakers" in text
    assert "**The deployed model changed**: base deploys `network`, head `pooled_cnn`." in text
    assert "Not readable" not in text
    for seed, loss in (("1", "0.5000 after epoch 5"), ("2", "0.7500 after epoch 5")):
        assert f"| network | {seed} | {loss} | – |" in text
        assert f"| pooled_cnn | {seed} | – | {loss} |" in text
    assert "## Models" not in repository.report("old", "old").stdout
    back = repository.report("good", "old").stdout
    assert "**no evidence**: AUC under `noisy` +0.000" in back
    assert "–" not in back.partition("## Metrics")[2].partition("## Models")[0]


def test_without_predictions_it_compares_points_and_says_so(repository: Repository, tmp_path: Path) -> None:
    """A clone without DVC's cache has the metrics but no intervals, and no verdict is made up."""
    subprocess.run(["git", "clone", "-q", repository.folder, tmp_path / "clone"], check=True)
    text = Repository(tmp_path / "clone").report("origin/good", "origin/bad").stdout
    assert "No verdict: the predictions of origin/good are not at hand" in text
    assert "↓ worse | " not in text.replace("| ↓ worse |", "")
    assert "| – | ↓ worse |" in text
    assert "**↓ worse**" not in text
    assert "mermaid" not in text


def test_stale_results_are_named_and_fail_the_check(repository: Repository) -> None:
    """A parameter and a module newer than dvc.lock: which stage, why, exit status 1 only where asked."""
    result = repository.report("good", "stale", "--check")
    assert result.returncode == 1
    assert "- `score`: `shift` is 0.9, the results have 2.5" in result.stdout
    assert "- `evaluate`: `src/spira/evaluation/metrics.py` changed; `src/spira/predictions/table.py`" in result.stdout
    assert repository.report("good", "stale").returncode == 0


def test_an_unknown_revision_is_refused_by_name(repository: Repository) -> None:
    """No traceback, and what to do; a name that looks like an option is only a name."""
    result = repository.report("nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        "DataError: nowhere: not a commit of this repository; git branch --all and dvc exp list name what is\n"
    )
