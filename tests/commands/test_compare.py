"""Two commits or experiments by their predictions alone, and a table's rows against its first."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spira.compare.against_first import conclusion
from spira.evaluation.paired import Difference
from two_revisions import Repository

PLAN = "rows: {good: {shift: 2.5}, same: {}, bad: {shift: 0.6}, other: {shift: 7}, missing: {shift: 3}}\n"


@pytest.fixture
def experiments(repository: Repository) -> Iterator[Repository]:
    """The commits good and bad as experiments of the commit bad, under the names that a sweep of PLAN gives."""
    base = repository.git("rev-parse", "main").strip()
    refs = [f"refs/exps/{base[:2]}/{base[2:]}/plan-{row}" for row in ("good", "same", "bad", "other")]
    for ref, commit in zip(refs, ("good", "bad", "bad", "good"), strict=True):
        repository.git("update-ref", ref, commit)
    (repository.folder / "plan.yaml").write_text(PLAN)
    yield repository
    (repository.folder / "plan.yaml").unlink()
    for ref in refs:
        repository.git("update-ref", "-d", ref)


def said(repository: Repository, subcommand: str, *arguments: str) -> str:
    done = repository.spira(subcommand, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_commits_are_compared_by_their_predictions_alone(repository: Repository) -> None:
    """AUC, sensitivity and specificity, each with the paired interval of the report, and nothing of parameters."""
    text = said(repository, "compare", "good", "bad")
    assert "SYNTHETIC" in text
    assert "**regression**: AUC under `noisy` -0." in text
    assert "| statistics | noisy | " in text
    report = repository.report("good", "bad").stdout
    for metric in ("AUC", "sensitivity", "specificity"):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| noisy | {metric} |")]
        assert row in report
    assert "shift" not in text
    assert "**improvement**" in said(repository, "compare", "bad", "good")


def test_an_experiment_is_compared_by_its_name(experiments: Repository) -> None:
    """As ``dvc exp show`` has it; one that nobody knows, and one that two commits have, are refused."""
    assert "**improvement**" in said(experiments, "compare", "plan-bad", "plan-good")
    result = experiments.spira("compare", "plan-bad", "plan-*")
    assert result.stderr.startswith("DataError: plan-*: not a commit of this repository")
    other = f"refs/exps/{'0' * 2}/{'0' * 38}/plan-good"
    experiments.git("update-ref", other, "bad")
    result = experiments.spira("compare", "plan-bad", "plan-good")
    experiments.git("update-ref", "-d", other)
    assert result.stderr.startswith("DataError: plan-good: 2 experiments have this name; give a commit: ")


@pytest.mark.ml_test_score("Model 5", manual=True)
def test_a_table_says_which_rows_differ_by_more_than_their_interval(experiments: Repository) -> None:
    """Against the first that has run, by the numbers of ``compare``: a line a model, held against that model there, and
    there against what is deployed; a row of other parameters is not held to it."""
    text = said(experiments, "table", "plan.yaml")
    rows = {tuple(line.split()[1:4:2]): line for line in text.splitlines() if line.startswith("|")}
    compared = said(experiments, "compare", "good", "bad")
    for model in ("pooled_cnn", "statistics"):
        (paired,) = [line for line in compared.splitlines() if re.match(rf"\| {model}[^|]*\| noisy ", line)]
        difference, interval = (cell.strip() for cell in paired.split("|")[5:7])
        assert f"| **{difference} {interval}** |" in rows["bad", model]
    assert "| –" in rows["good", "pooled_cnn"]
    found = json.loads(experiments.git("show", "good:data/evaluation.json"))
    apart = -found["differences"]["pooled_cnn"]["statistics"]["noisy"]["difference"]
    assert f"| **{apart:+.3f} [" in rows["good", "statistics"]
    assert "pooled_cnn (deployed) |" in rows["good", "pooled_cnn"]
    assert "| other   |                       | other parameters |" in text
    assert "| missing |                       | not run " in text
    assert "less that of `good` on the same clips, by the model of the same name or else the one that is" in text
    assert "`bad pooled_cnn`, `bad statistics`: worse by more than its interval. Were all 5 truly 0, 0.25 would" in text


def test_a_table_names_the_corpus_of_its_rows(experiments: Repository, tmp_path: Path) -> None:
    """Not that of params.yaml, where the table has another; the demo's is never without its warning."""
    plan = tmp_path / "elsewhere.yaml"
    plan.write_text("base: {corpus: coswara}\nrows:\n  one: {}\n  two: {corpus: demo}\n")
    assert "\nCorpus: coswara, demo (SYNTHETIC speech: no medical meaning). From " in said(
        experiments, "table", str(plan)
    )


def test_without_predictions_a_table_tells_why(experiments: Repository, tmp_path: Path) -> None:
    """A clone without DVC's cache has the metrics; a difference without its interval is not shown."""
    subprocess.run(["git", "clone", "-q", experiments.folder, tmp_path / "clone"], check=True)
    clone = Repository(tmp_path / "clone")
    clone.git("fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    (clone.folder / "plan.yaml").write_text(PLAN)
    text = said(clone, "table", "plan.yaml")
    assert "not comparable, the predictions of good are not at hand; dvc exp pull" in text
    assert "**" not in text


def difference(lo: float, hi: float, *, over_trainings: bool = True) -> Difference:
    return Difference(0.5, 0.5, (lo + hi) / 2, lo, hi, over_trainings)


def test_each_kind_of_row_has_its_words() -> None:
    """Better, worse, neither, one training, and not the same clips; a single comparison has no word on chance."""
    rows: dict[str, Difference | str] = {
        "up": difference(0.1, 0.2),
        "down": difference(-0.2, -0.1),
        "flat": difference(-0.1, 0.2),
        "lucky": difference(0.1, 0.2, over_trainings=False),
        "far": "the corpora differ",
    }
    text = conclusion("base", rows, "noisy", 0.95)
    for part in (
        "`up`: better by more than its interval",
        "`down`: worse by more than its interval",
        "`flat`: no difference larger than its interval",
        "`lucky`: no verdict",
        "`far`: not comparable, the corpora differ.",
        "Were all 3 truly 0, 0.15 would exceed its interval by chance.",
    ):
        assert part in text
    assert "chance" not in conclusion("base", {"up": rows["up"]}, "noisy", 0.95)
