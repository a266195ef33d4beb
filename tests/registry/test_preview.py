"""A reviewer sees what the gate would say of a pull request, from what it has committed."""

import json
from pathlib import Path

import pytest
import yaml

from registered import Registered, passed
from spira.compare.revision import resolve
from spira.registry import promotion
from spira.registry.preview import champion, preview


def section(work: Registered, stale: dict[str, list[str]] | None = None, **changes: object) -> str:
    params = yaml.safe_load((work.folder / "params.yaml").read_text())
    params["gate"] |= changes
    return preview(resolve(work.folder, "HEAD"), params, stale or {}, champion(work.folder, params))


def test_the_review_says_what_the_gate_would_say(made: Registered) -> None:
    """In `spira review` itself, between the probes and the curves; nothing is scored for it."""
    said = made.says("review", "HEAD", "HEAD")
    assert "## The gate\n\nNothing that is committed speaks against a promotion; `spira gate` decides" in said
    assert "| cards | pass | every field is written by a person |" in said
    assert said.index("## The gate") < said.index("## Parameters")


def test_what_would_be_refused_is_named(made: Registered) -> None:
    """Stale results, a registry of another corpus, too few people: each by the gate's own rule."""
    said = section(made, {"train": ["its command changed"]}, registry="demo", min_speakers=20, min_sensitivity=1.0)
    assert "`spira gate` would refuse this commit: fresh, corpus." in said
    assert "| test set | no verdict | 6 speakers, 3 of them patients; 20 of each class are needed |" in said
    assert "| sensitivity | no verdict |" in said


def test_a_wrong_number_of_the_gate_is_said_and_an_older_commit_has_no_gate(made: Registered) -> None:
    assert "Nothing can be said: params.yaml: gate.margin" in section(made, margin=-1)
    assert preview(resolve(made.folder, "HEAD"), {"corpus": "tiny"}, {}, None) == ""


def test_against_a_champion_only_the_gate_itself_compares(
    made: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is champion, this clone's tags say."""
    work = made.copy(tmp_path / "copy")
    monkeypatch.setattr(promotion, "gate", passed)
    work.says("promote", "--why", "the first")
    said = "| AUC | no verdict | against the champion v0.0.1: the gate itself scores the package: spira gate |"
    assert said in section(work)


def test_what_a_pull_request_may_write_there_ends_no_review(made: Registered, tmp_path: Path) -> None:
    """Probes and numbers of another form: said, and the rest of the review goes on."""
    work = made.copy(tmp_path / "copy")
    odd: dict[str, object] = {"verdict": "pass", "auc": "x", "lead": [], "lead_lo": {}, "lead_hi": None}
    probes = {"corpus": "tiny", "models": {"pooled_cnn": {"probes": {"gain": odd}}}}
    (work.folder / "data/probes.json").write_text(json.dumps(probes))
    work.git("commit", "-q", "-am", "odd probes")
    assert "| AUC | no verdict | no probe says how well a shortcut does |" in section(work)

    evaluation = json.loads((work.folder / "data/evaluation.json").read_bytes())
    del evaluation["models"]["pooled_cnn"]["ensemble"]["noisy"]
    (work.folder / "data/evaluation.json").write_text(json.dumps(evaluation))
    work.git("commit", "-q", "-am", "odd numbers")
    assert "| numbers | no verdict | data/evaluation.json lacks 'noisy' |" in section(work)
