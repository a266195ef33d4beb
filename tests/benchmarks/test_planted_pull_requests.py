"""Planted pull requests: the benchmark tells losses from luck, by the rule and by the whole report on git revisions."""

import json
import subprocess
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest

import planted_pull_requests as planted
from planted_pull_requests import Plan
from spira.commands.spira import run
from spira.evaluation.metrics import auc
from spira.predictions.scored import ScoredClips
from tiny import ROOT

STATED = Plan(200, 5, planted.CHANGE_BY_SPEAKER)


def test_twenty_losses_and_twenty_seeds_are_distinguished() -> None:
    """At 400 clips and five trainings: at least 19 losses of 0.05 caught, at most 1 false alarm; one draw of many."""
    assert planted.rate(STATED, 0.05, 20, seed=7)["regression"] >= 19 / 20
    assert planted.rate(STATED, 0.0, 20, seed=7)["regression"] <= 1 / 20


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_loss_is_the_one_planted(loss: float) -> None:
    """Over many people and trainings, head's AUC is below base's by as much as was asked."""
    base, head = planted.pull_request(Plan(3000, 10, 0.3), loss, np.random.default_rng(1))
    means = [np.mean([auc(side.labels, scores) for scores in side.scores]) for side in (base, head)]
    assert means[0] - means[1] == pytest.approx(loss, abs=0.015)
    assert means[0] == pytest.approx(planted.AUC, abs=0.015)


def test_the_chance_of_19_of_20_is_binomial() -> None:
    """By hand at one half, and at its ends."""
    assert planted.at_least(19, 20, 0.5) == pytest.approx(21 / 2**20)
    assert planted.at_least(2, 2, 0.9) == pytest.approx(0.81)
    assert planted.at_least(0, 20, 0.1) == pytest.approx(1)


def test_clips_needed_lie_between_the_sizes_tried() -> None:
    """By the logarithm of size; None where the largest is too few."""
    points = [
        {"seeds": 3, "loss": 0.05, "clips": clips, "caught": caught}
        for clips, caught in ((100, 0.90), (400, 1.0), (800, 1.0))
    ]
    assert planted.needed(points, 3, 0.05) == 200
    assert planted.needed(points[1:], 3, 0.05) == 400
    assert planted.needed(points[:1], 3, 0.05) is None


def test_the_table_in_the_documentation_is_what_the_benchmark_found() -> None:
    """Each row of docs/explanation/verdicts.md is one of docs/explanation/planted_pull_requests.json."""
    found = json.loads((ROOT / "docs/explanation/planted_pull_requests.json").read_text())
    text = (ROOT / "docs/explanation/verdicts.md").read_text()
    names = ("caught", "caught_19_of_20", "false_alarms", "at_most_1_false_alarm_of_20")
    for r in found["twenty_and_twenty"]:
        shown = " | ".join(f"{r[name]:.1%}" for name in names)
        assert f"| {r['clips']} | {r['seeds']} | {r['change_by_speaker']} | {shown} |" in text
    for loss in planted.LOSSES:
        cells = [r["clips_for_95_percent"] for r in found["needed"] if r["loss"] == loss]
        said = " | ".join("not by 5120" if clips is None else f"{clips:.0f}" for clips in cells)
        assert f"| {loss} | {said} |" in text


def commit(folder: Path, name: str, scored: ScoredClips) -> None:
    """A commit whose dvc.lock names the predictions, and DVC's cache with them: what ``dvc repro`` would leave."""
    head = "subset,condition,seed,clip_id,speaker_id,label,score"
    rows = [
        f"{subset},noisy,{seed},{subset} {clip},{subset} {who},{label},{score}"
        for subset in ("validation", "test")
        for seed, scores in enumerate(scored.scores)
        for clip, who, label, score in zip(scored.clips, scored.speakers, scored.labels, scores, strict=True)
    ]
    blob = "\n".join([head, *rows, ""]).encode()
    key = md5(blob).hexdigest()
    cached = folder / f".dvc/cache/files/md5/{key[:2]}/{key[2:]}"
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(blob)
    outs = f"[{{path: data/predictions.csv, hash: md5, md5: {key}}}]"
    (folder / "dvc.lock").write_text(f'schema: "2.0"\nstages: {{predict: {{cmd: "true", outs: {outs}}}}}\n')
    for command in (["add", "-A"], ["commit", "-q", "-m", name], ["branch", name]):
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *command], cwd=folder, check=True)


def test_the_whole_report_tells_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five losses and five other seeds as git revisions, through the command itself."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=tmp_path, check=True)
    section = "{threshold_condition: noisy, n_resamples: 10, confidence: 0.95, seed: 0}"
    (tmp_path / "params.yaml").write_text(f"corpus: demo\nevaluate: {section}\n")
    (tmp_path / "dvc.yaml").write_text('stages: {predict: {cmd: "true", outs: [data/predictions.csv]}}\n')
    rng = np.random.default_rng(4)
    monkeypatch.chdir(tmp_path)
    for i, loss in enumerate([0.05, 0.0] * 5):
        for side, scored in zip(("base", "head"), planted.pull_request(STATED, loss, rng), strict=True):
            commit(tmp_path, f"{side}{i}", scored)
        assert run(["review", f"base{i}", f"head{i}"]) == 0
        assert f"**{'regression' if loss else 'no evidence'}**: AUC under `noisy`" in capsys.readouterr().out
