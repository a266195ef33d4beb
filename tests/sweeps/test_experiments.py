"""DVC's experiments through the command line on the tiny corpus: run, grid, queue, show, diff, apply, branch, share."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline_clone import Clone
from s3_servers import KEY, Server

pytestmark = [pytest.mark.pipeline, pytest.mark.long]
CURVE = "data/curves/pooled_cnn/holdout/1/plots/metrics/validation/loss.tsv"
SECONDS = 180  # for a queue of two on a busy machine; nothing is measured


class Ran(NamedTuple):
    """A clone with three experiments on its commit, and the lengths of the first one's curve as it was watched."""

    clone: Clone
    lengths: list[int]


@pytest.fixture(scope="module")
def ran(reproduced: Clone) -> Iterator[Ran]:
    """``slow`` in the workspace, then ``grid-1`` and ``grid-2`` from a queue; no worker outlives the tests."""
    clone = reproduced.copy("experiments")
    clone.rest()
    lengths = watched(clone, "exp", "run", "--name", "slow", "-S", "train.lr=3e-4", "-S", "train.max_epochs=12")
    clone.git("checkout", "-q", "--", ".")
    clone.run("dvc", "checkout", "-q", "--force")
    try:
        grid = ["-S", "train.lr=1e-4,2e-3", "-S", "train.max_epochs=1"]
        queued = clone.run("dvc", "exp", "run", "--queue", "--name", "grid", *grid).stdout
        assert queued.count("Queued experiment") == 2
        clone.run("dvc", "queue", "start", "-j", "2")
        until = time.monotonic() + SECONDS
        while (status := clone.run("dvc", "queue", "status").stdout).count("Success") < 2:
            assert "Failed" not in status, status
            assert time.monotonic() < until, status
            time.sleep(1)
        yield Ran(clone, lengths)
    finally:
        clone.run("dvc", "queue", "stop", "--kill", check=False)


def watched(clone: Clone, *arguments: str) -> list[int]:
    """Runs dvc; the curve's numbers of lines, in the order in which they were seen while it ran."""
    curve, lengths = clone.folder / CURVE, [0]
    curve.unlink()  # of the run before
    process = subprocess.Popen(
        ["dvc", *arguments], cwd=clone.folder, env=clone.environment(), stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        length = len(curve.read_text().splitlines()) if curve.is_file() else 0
        lengths += [length] if length != lengths[-1] else []
        time.sleep(0.02)
    assert process.returncode == 0
    return lengths


def commits(clone: Clone) -> dict[str, str]:
    """The commit of each experiment by its name."""
    refs = clone.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").splitlines()
    kept = [ref.split() for ref in refs if re.match(r"refs/exps/[0-9a-f]{2}/", ref)]  # not the queue's own
    return {ref.rpartition("/")[2]: commit for ref, commit in kept}


def answer(clone: Clone, *arguments: str) -> Any:
    return json.loads(clone.run("dvc", *arguments, "--json").stdout)


def test_learning_curves_are_live(ran: Ran) -> None:
    """Somebody who looks while training goes on sees the curve grow, epoch by epoch, before the stage ends."""
    last_absent = len(ran.lengths) - 1 - ran.lengths[::-1].index(0)  # before it, the curve of the run before
    growing = [length for length in ran.lengths[last_absent:] if length > 1]  # the first line is the header
    assert growing[-1] == 1 + 12
    assert len(growing) > 2


def test_a_list_becomes_a_grid_in_the_queue(ran: Ran) -> None:
    """Two values, two experiments, each with its own; the queue ran both, side by side, and the tree is as it was."""
    assert commits(ran.clone).keys() == {"slow", "grid-1", "grid-2"}
    for name, lr in [("grid-1", 1e-4), ("grid-2", 2e-3), ("slow", 3e-4)]:
        lock = ran.clone.git("show", f"{commits(ran.clone)[name]}:dvc.lock")
        assert f"lr: {lr}" in lock
    assert ran.clone.git("status", "--porcelain") == ""


def test_a_range_becomes_a_grid(ran: Ran) -> None:
    """``range(2,5)`` queues three; removed again, none is left."""
    queued = ran.clone.run("dvc", "exp", "run", "--queue", "-S", "train.max_epochs=range(2,5)").stdout
    assert [f"train.max_epochs={n}" in queued for n in (2, 3, 4, 5)] == [True, True, True, False]
    ran.clone.run("dvc", "queue", "remove", "--queued")
    assert "Queued" not in ran.clone.run("dvc", "queue", "status").stdout


def test_show_puts_them_side_by_side(ran: Ran) -> None:
    """``dvc exp show`` has each experiment's own parameter and metric; ``--only-changed`` keeps the table narrow."""
    shown = ran.clone.run("dvc", "exp", "show", "--only-changed", "--hide-workspace", "--csv").stdout.splitlines()
    rows = [dict(zip(shown[0].split(","), line.split(","), strict=True)) for line in shown[1:]]
    assert {row["Experiment"]: row["train.lr"] for row in rows if row["Experiment"]} == {
        "slow": "0.0003",
        "grid-1": "0.0001",
        "grid-2": "0.002",
    }
    assert "train.max_epochs" in rows[0]
    assert "features.n_fft" not in rows[0]
    for name in ("auc.noisy", "models.statistics.auc.noisy"):  # of what is deployed, and of each model
        assert re.search(rf"(^|[,:]){re.escape(name)}(,|$)", columns(ran.clone))


def columns(clone: Clone) -> str:
    return clone.run("dvc", "exp", "show", "--csv").stdout.splitlines()[0]


def test_diffs_say_what_changed(ran: Ran) -> None:
    """Parameters, metrics and plots of two experiments; ``exp diff`` has both tables."""
    params = answer(ran.clone, "params", "diff", "grid-1", "grid-2")["params.yaml"]
    assert params == {"train.lr": {"old": 1e-4, "new": 2e-3, "diff": pytest.approx(0.0019)}}
    metrics = answer(ran.clone, "metrics", "diff", "--all", "grid-1", "slow")["data/metrics.json"]
    assert "auc.noisy" in metrics
    both = answer(ran.clone, "exp", "diff", "grid-1", "grid-2")
    assert both["params"]["params.yaml"] == params
    plots = answer(ran.clone, "plots", "diff", "grid-1", "grid-2")["data"]
    assert any({"grid-1", "grid-2"} == set(drawing["revisions"]) for drawing in plots[CURVE])


def test_branch_and_apply_take_an_experiment_over(ran: Ran) -> None:
    """``exp branch`` makes a branch of its commit; ``exp apply`` brings its files and data."""
    clone = ran.clone
    clone.run("dvc", "exp", "branch", "slow", "slower-rate")
    assert clone.git("rev-parse", "slower-rate").strip() == commits(clone)["slow"]
    clone.run("dvc", "exp", "apply", "grid-2")
    try:
        assert "lr: 0.002" in (clone.folder / "params.yaml").read_text()
        assert "up to date" in clone.run("dvc", "status").stdout
    finally:
        clone.git("checkout", "-q", "--force", "main")
        clone.run("dvc", "checkout", "-q", "--force")


def test_experiments_reach_another_clone(ran: Ran, tmp_path: Path) -> None:
    """``exp push`` sends commits to a git remote and data to S3; ``exp pull`` in another clone brings both."""
    here, server = ran.clone, Server("rclone", tmp_path / "store")
    local = f"['remote \"storage\"']\n    url = s3://bucket/x\n    endpointurl = {server.url}\n"
    (here.folder / ".dvc/config.local").write_text(local)
    try:
        here.git("init", "-q", "--bare", str(tmp_path / "shared.git"))
        here.git("remote", "add", "origin", str(tmp_path / "shared.git"))
        here.git("push", "-q", "origin", "main")
        here.run("dvc", "exp", "push", "origin", "grid-2", set_=KEY)
        there = Clone(tmp_path / "there")
        here.git("clone", "-q", "-b", "main", str(tmp_path / "shared.git"), str(there.folder))
        (there.folder / ".dvc/config.local").write_text(local)
        there.run("dvc", "exp", "pull", "origin", "grid-2", set_=KEY)
        assert commits(there) == {"grid-2": commits(here)["grid-2"]}
        server.kill()  # what was pulled needs no server
        there.run("dvc", "exp", "apply", "grid-2")
        weights = "data/models/pooled_cnn/holdout/1/weights.safetensors"
        assert (there.folder / weights).is_file()
        assert "lr: 0.002" in (there.folder / "dvc.lock").read_text()
    finally:
        server.kill()
        (here.folder / ".dvc/config.local").unlink()
