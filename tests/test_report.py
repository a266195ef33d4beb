"""A reviewer's report: differences agree with theory, verdicts keep their rules, and stale results are named."""

import json
import subprocess
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spira.core.comparison import Difference, Judged, paired_differences, verdict, why_not_paired
from spira.core.metrics import EvaluateParams, Floats, Ints
from spira.core.staleness import Declared, stale
from spira.errors import DataError
from two_revisions import Repository

P = EvaluateParams(threshold_condition="noisy", n_resamples=2000, confidence=0.95, seed=0)


def judged(labels: Ints, scores: Floats, threshold: float = 0.5) -> Judged:
    """One clip a speaker."""
    names = tuple(f"s{i}" for i in range(labels.size))
    return Judged(names, names, labels, np.atleast_2d(scores), (threshold,) * np.atleast_2d(scores).shape[0])


def study(n: int, d_base: float, d_head: float, seed: int = 0) -> tuple[Judged, Judged]:
    """Two revisions' scores of n people, correlated 0.8; patients stand d above controls."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.int64)
    shared = sqrt(0.8) * rng.standard_normal(n)
    base, head = (shared + sqrt(0.2) * rng.standard_normal(n) + d * labels for d in (d_base, d_head))
    return judged(labels, 1 / (1 + np.exp(-base))), judged(labels, 1 / (1 + np.exp(-head)))


def delong(base: Judged, head: Judged) -> tuple[float, float]:
    """(difference of AUC, its standard error) by DeLong, DeLong and Clarke-Pearson, 1988."""
    patients, controls = [], []
    for j in (base, head):
        x, y = j.scores[0, j.labels == 1, None], j.scores[0, j.labels == 0]
        wins = (x > y) + 0.5 * (x == y)
        patients.append(wins.mean(axis=1))
        controls.append(wins.mean(axis=0))
    variance = sum(np.var(v[1] - v[0], ddof=1) / len(v[0]) for v in (patients, controls))
    return float(np.mean(patients[1]) - np.mean(patients[0])), sqrt(float(variance))


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_agrees_with_delong(seed: int) -> None:
    """One clip a speaker is DeLong's case; 2000 resamples and skewness leave 12 %."""
    base, head = study(200, 1.5, 1.2, seed)
    found = paired_differences(base, head, P)["auc"]
    difference, error = delong(base, head)
    assert_allclose(found.difference, difference, atol=1e-12)
    assert_allclose((found.hi - found.lo) / (2 * 1.96), error, rtol=0.12)


def test_pairing_is_what_narrows_the_interval() -> None:
    """With the head's people shuffled among their class, the same two AUCs differ by a far wider interval."""
    base, head = study(200, 1.5, 1.2)
    order = np.random.default_rng(1).permutation(100)
    scores = head.scores.copy()
    for label in (0, 1):
        scores[:, head.labels == label] = head.scores[:, head.labels == label][:, order]
    loose = paired_differences(base, judged(head.labels, scores), P)["auc"]
    tight = paired_differences(base, head, P)["auc"]
    assert_allclose(loose.difference, tight.difference, atol=1e-12)
    assert loose.hi - loose.lo > 1.5 * (tight.hi - tight.lo)


def test_base_and_head_exchanged_change_the_sign_alone() -> None:
    """What is a loss one way is the same gain the other way."""
    base, head = study(80, 1.5, 0.5)
    there, back = paired_differences(base, head, P), paired_differences(head, base, P)
    for name, one in there.items():
        other = back[name]
        assert_allclose([one.difference, one.lo, one.hi], [-other.difference, -other.hi, -other.lo], atol=1e-12)
    assert (verdict(there["auc"]), verdict(back["auc"])) == ("regression", "improvement")


def test_the_same_predictions_are_no_evidence() -> None:
    """Exactly 0, with an interval of exactly 0, which does not exclude 0."""
    base, _ = study(60, 1.0, 1.0)
    for found in paired_differences(base, base, P).values():
        assert (found.difference, found.lo, found.hi) == (0, 0, 0)
        assert verdict(found) == "no evidence"


def test_the_order_of_clips_is_nothing() -> None:
    """Clips pair by name, not by place."""
    base, head = study(60, 1.5, 1.0)
    turned = Judged(head.clips[::-1], head.speakers[::-1], head.labels[::-1], head.scores[:, ::-1], head.thresholds)
    assert paired_differences(base, turned, P) == paired_differences(base, head, P)


def test_a_planted_loss_is_a_regression_and_its_undoing_an_improvement() -> None:
    """0.15 of AUC, over 160 people."""
    base, head = study(160, 2.0, 1.1)
    found = paired_differences(base, head, P)["auc"]
    assert_allclose(found.difference, -0.15, atol=0.04)  # the sample's own; its population's is 0.921 - 0.782 = 0.14
    assert verdict(found) == "regression"


@pytest.mark.parametrize(
    ("lo", "hi", "said"),
    [(-0.2, -0.1, "regression"), (-0.2, 0.0, "no evidence"), (0.0, 0.2, "no evidence"), (0.1, 0.2, "improvement")],
)
def test_an_interval_that_touches_0_does_not_exclude_it(lo: float, hi: float, said: str) -> None:
    """The rule at its edges."""
    assert verdict(Difference(0.8, 0.8, 0.0, lo, hi)) == said


def test_other_people_are_not_paired() -> None:
    """Neither other clips nor the same clips under another speaker or label."""
    base, head = study(20, 1.0, 1.0)
    fewer = judged(head.labels[:-2], head.scores[:, :-2])
    assert why_not_paired(base, fewer) == "the test sets differ: 2 clips only in base, 0 only in head"
    assert why_not_paired(fewer, head) == "the test sets differ: 2 clips only in head"
    with pytest.raises(DataError, match="no paired interval: the test sets differ: 20 clips have another speaker"):
        paired_differences(base, judged(1 - head.labels, head.scores), P)


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
    ],
)
def test_each_reason_for_stale_results_is_named(
    stage: Declared, entry: dict[str, object], files: dict[str, str], lr: float, reason: str | None
) -> None:
    """A stage is current or says why not."""
    params = {"params.yaml": {"train": {"lr": lr, "epochs": 3}}}
    assert stale([stage], {"train@1": entry}, files, params) == ({"train@1": [reason]} if reason else {})


def test_a_stage_without_results_and_results_without_a_stage_are_named() -> None:
    """Both are seen although there is nothing to compare."""
    assert stale([STAGE], {"old": ENTRY}, NOW, {}) == {
        "train@1": ["it has never run"],
        "old": ["dvc.lock has results of a stage that dvc.yaml has not"],
    }


def test_a_reviewer_sees_what_changed(repository: Repository) -> None:
    """The real evaluate stage at two commits: parameters, data, metrics, verdict."""
    text = repository.report("good", "bad", "--check").stdout
    assert "SYNTHETIC" in text
    assert "**regression**: AUC under `noisy` -0." in text
    assert "| shift | 2.5 | 0.6 |" in text
    assert "| data/predictions.csv | " in text
    assert "**↓ worse**" in text
    assert "Stale" not in text
    shown = json.loads(repository.git("show", "bad:data/evaluation.json"))["noisy"]["auc"]
    assert f"| {shown:.3f} |" in next(line for line in text.splitlines() if line.startswith("| noisy | AUC"))


def test_the_way_back_is_an_improvement_and_staying_is_no_evidence(repository: Repository) -> None:
    """Verdicts follow from the two commits alone, whatever is checked out."""
    assert "**improvement**" in repository.report("bad", "good").stdout
    same = repository.report("good", "good").stdout
    assert "**no evidence**: AUC under `noisy` +0.000 [+0.000, +0.000]" in same
    assert same.count("Nothing changed.") == 2


def test_without_predictions_it_compares_points_and_says_so(repository: Repository, tmp_path: Path) -> None:
    """A clone without DVC's cache has the metrics but no intervals, and no verdict is made up."""
    subprocess.run(["git", "clone", "-q", repository.folder, tmp_path / "clone"], check=True)
    text = Repository(tmp_path / "clone").report("origin/good", "origin/bad").stdout
    assert "No verdict: the predictions of origin/good are not at hand" in text
    assert "↓ worse | " not in text.replace("| ↓ worse |", "")
    assert "| – | ↓ worse |" in text
    assert "**↓ worse**" not in text


def test_stale_results_are_named_and_fail_the_check(repository: Repository) -> None:
    """A parameter and a module newer than dvc.lock: which stage, why, exit status 1 only where asked."""
    result = repository.report("good", "stale", "--check")
    assert result.returncode == 1
    assert "- `score`: `shift` is 0.9, the results have 2.5" in result.stdout
    assert "- `evaluate`: `src/spira/core/report.py` changed" in result.stdout
    assert repository.report("good", "stale").returncode == 0


def test_an_unknown_revision_is_refused_by_name(repository: Repository) -> None:
    """No traceback, and what to do; a name that looks like an option is only a name."""
    result = repository.report("nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        "DataError: nowhere: not a commit of this repository; a shallow clone lacks it: git fetch --unshallow\n"
    )
