"""The workflows are well-formed, safe by three linters' account, and their scripts work on real revisions."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from console_script import console_script
from locked import pythons
from spira.commands.spira import SUBCOMMANDS
from tiny import ROOT
from two_revisions import Repository

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TREES: dict[str, Any] = {path.stem: yaml.load(path.read_text(), yaml.BaseLoader) for path in WORKFLOWS}
STEPS = {
    (name, step.get("name", step.get("uses"))): step
    for name, tree in TREES.items()
    for job in tree["jobs"].values()
    for step in job["steps"]
}
SCRIPTS = {key: step["run"] for key, step in STEPS.items() if "run" in step}
REPORTS = [key for key, script in SCRIPTS.items() if "spira review " in script]
BIN = Path(sys.executable).parent
WRITES = {"comment": {"pull-requests"}, "promote": {"contents"}, "retrain": {"contents", "pull-requests"}}


def passes(*command: str | Path) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schema_of_workflows_holds() -> None:
    """GitHub would refuse what the published schema refuses."""
    passes(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_zizmor_finds_nothing() -> None:
    """Template injection, credentials left behind, unpinned actions, broad permissions."""
    passes(BIN / "zizmor", "--offline", "--quiet", "--no-progress", *WORKFLOWS)


def test_actionlint_finds_nothing() -> None:
    """Expressions, contexts, shell."""
    passes(BIN / "actionlint", *WORKFLOWS)


@pytest.mark.parametrize(
    ("written", "instead"),
    [("github.event.label.name ==", "github.event.lable.nam ="), ("[self-hosted, gpu]", "[self-hosted, gqu]")],
)
def test_actionlint_is_awake(written: str, instead: str, tmp_path: Path) -> None:
    """A broken expression and an unknown runner in a real workflow are found."""
    (tmp_path / ".github/workflows").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy2(ROOT / ".github/actionlint.yaml", tmp_path / ".github")
    text = (ROOT / ".github/workflows/repro-gpu.yml").read_text()
    assert written in text
    (tmp_path / ".github/workflows/x.yml").write_text(text.replace(written, instead))
    assert subprocess.run([BIN / "actionlint"], cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_every_python_that_is_admitted_is_tested_and_the_rest_runs_on_the_oldest() -> None:
    """The versions of pyproject.toml; and the Makefile takes the Python that the job names, not its default."""
    admitted = pythons((ROOT / "pyproject.toml").read_text())
    job = TREES["ci"]["jobs"]["test"]
    assert job["strategy"]["matrix"] == {"python": admitted}
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    set_up = [
        (name, step["with"]["python-version"])
        for name, tree in TREES.items()
        for job in tree["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    ]
    assert {version for name, version in set_up if name == "ci"} == {"${{ matrix.python }}"}
    assert {version for name, version in set_up if name != "ci"} == {admitted[0]}


@pytest.mark.parametrize("name", TREES)
def test_least_permission_one_run_at_a_time_and_an_end(name: str) -> None:
    """Nothing by default; each job asks for what it uses, stops, and does not pile up."""
    tree = TREES[name]
    assert tree["permissions"] == {}
    assert "group" in tree["concurrency"]
    for job in tree["jobs"].values():
        assert int(job["timeout-minutes"]) > 0
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        assert writes == WRITES.get(name, set())


@pytest.mark.parametrize("key", [key for key, step in STEPS.items() if "uses" in step])
def test_actions_are_pinned_by_commit(key: tuple[str, str]) -> None:
    """A tag can be moved."""
    assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", STEPS[key]["uses"])


def test_what_runs_a_pull_requests_code_has_no_secret_and_what_has_a_token_runs_none() -> None:
    """Safe for forks: what a pull request starts has no secret; promote and retrain, no pull request starts."""
    for name, tree in TREES.items():
        text = (ROOT / f".github/workflows/{name}.yml").read_text()
        assert "pull_request_target" not in text
        assert ("secrets." in text) == (name == "promote")
        assert ("github.token" in text) == (name in {"comment", "retrain"})
        if "self-hosted" in text and "pull_request" in tree["on"]:
            assert tree["on"]["pull_request"] == {"types": ["labeled"]}
    assert not any("uses" in step for (name, _), step in STEPS.items() if name == "comment")
    assert "workflow_run" in TREES["comment"]["on"]


def test_a_forks_pull_request_can_promote_nothing() -> None:
    """One workflow alone promotes: by hand, on main, after the approval of an environment; no event starts it."""
    promoting = {
        name for (name, _), script in SCRIPTS.items() if re.search(r"spira (promote|rollback)|git push", script)
    }
    assert promoting == {"promote"}
    tree = TREES["promote"]
    assert set(tree["on"]) == {"workflow_dispatch"}
    (job,) = tree["jobs"].values()
    assert job["environment"] == "production"
    assert job["if"] == "github.ref == 'refs/heads/main'"
    names = {name for name, other in TREES.items() for j in other["jobs"].values() if "environment" in j}
    assert names == {"promote"}
    (script,) = [script for (name, _), script in SCRIPTS.items() if name == "promote" and "spira promote" in script]
    assert "|" not in script.splitlines()[-1]  # a pipe would hide a refusal


@pytest.mark.parametrize(
    ("event", "label", "head", "runs"),
    [
        ("workflow_dispatch", None, None, True),
        ("pull_request", "gpu", "o/r", True),
        ("pull_request", "gpu", "fork/r", False),
        ("pull_request", "bug", "o/r", False),
        ("pull_request", "bug", "fork/r", False),
    ],
)
def test_a_forks_code_stays_off_our_runner(event: str, label: str | None, head: str | None, *, runs: bool) -> None:
    """The job's own condition, read as Python: the label, and a branch of this repository."""
    values = {
        "github.event.pull_request.head.repo.full_name": head,
        "github.event.label.name": label,
        "github.event_name": event,
        "github.repository": "o/r",
    }
    condition = " ".join(TREES["repro-gpu"]["jobs"]["repro"]["if"].split())
    for name, value in values.items():
        condition = condition.replace(name, repr(value))
    assert eval(condition.replace("&&", "and").replace("||", "or"), {}) is runs


@pytest.mark.parametrize(
    ("repository", "variable", "ref", "runs"),
    [
        ("o/r", "o/r", "refs/heads/main", True),
        ("o/r", "o/r", "refs/heads/other", False),
        ("o/r", "", "refs/heads/main", False),  # nobody has set it up
        ("fork/r", "", "refs/heads/main", False),  # a fork has none of our variables
        ("fork/r", "o/r", "refs/heads/main", False),
    ],
)
def test_only_our_main_trains_again_on_the_hospitals_runner(
    repository: str, variable: str, ref: str, *, runs: bool
) -> None:
    """By the clock or by hand, and no other event."""
    tree = TREES["retrain"]
    assert set(tree["on"]) == {"schedule", "workflow_dispatch"}
    condition = tree["jobs"]["retrain"]["if"]
    for name, value in {
        "vars.RETRAIN_REPOSITORY": variable,
        "github.repository": repository,
        "github.ref": ref,
    }.items():
        condition = condition.replace(name, repr(value))
    assert eval(condition.replace("&&", "and"), {}) is runs


@pytest.mark.parametrize(("status", "ends", "trains"), [(0, 0, False), (3, 0, True), (1, 1, False), (4, 0, False)])
def test_it_trains_where_a_rule_holds_and_fails_where_nothing_can_be_said(
    status: int, ends: int, tmp_path: Path, *, trains: bool
) -> None:
    """The script itself, with a stand-in for spira; folders with spaces arrive whole."""
    stub = tmp_path / "bin/spira"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/bash\nprintf "%s|" "$@"\nexit {status}\n')
    stub.chmod(0o755)
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    asked = {
        "FROM": "/a b",
        "MONITORING": "",
        "RUNNER_TEMP": str(tmp_path),
        "PATH": f"{stub.parent}:{os.environ['PATH']}",
    }
    script = SCRIPTS["retrain", "Ask whether it is time to train again"]
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    ran = subprocess.run(command, env={**os.environ, **files, **asked}, check=False, capture_output=True, text=True)
    assert ran.returncode == ends, ran.stderr
    assert ("::warning::spira retrain --check knows nothing" in ran.stdout) is (status == 4)
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == "retrain|--check|--from|/a b|"
    assert (tmp_path / "GITHUB_OUTPUT").exists() is trains
    steps = [step for (name, _), step in STEPS.items() if name == "retrain" and "spira retrain" in step.get("run", "")]
    assert "steps.ask.outputs.train == 'true'" in steps[1]["if"]
    assert "make test" in SCRIPTS["retrain", "The checks, which a pull request by this token does not start"]


@pytest.mark.parametrize(
    ("job", "command"),
    [
        ("long", "make test-long"),
        ("long", "make reliability"),
        ("search", "spira sweep experiments/gate.yaml"),
        ("search", "spira sweep experiments/learning_rate.yaml"),
        ("speed", "make bench-quick AGAINST=docs/explanation/speed.json"),
    ],
)
def test_every_week_somebody_looks_who_forgets_nothing(job: str, command: str) -> None:
    """Settings of the baseline and of the network are searched, speed and memory held to what they were."""
    assert "cron" in TREES["weekly"]["on"]["schedule"][0]
    lines = [line for step in TREES["weekly"]["jobs"][job]["steps"] for line in step.get("run", "").splitlines()]
    assert command in lines
    program, target, *settings = command.split()
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) or program == "spira"
    assert target in SUBCOMMANDS or program == "make"
    assert all((ROOT / setting.rpartition("=")[2]).is_file() for setting in settings)


@pytest.mark.parametrize("key", SCRIPTS)
def test_no_script_holds_an_expression(key: tuple[str, str]) -> None:
    """What a pull request names (a branch) reaches a script only as an environment variable."""
    assert "${{" not in SCRIPTS[key]


@pytest.mark.parametrize("key", SCRIPTS)
def test_every_script_is_readable_by_bash(key: tuple[str, str]) -> None:
    """Syntax alone; gh and make are not run here, they need GitHub and an environment of their own."""
    passes("bash", "-n", "-c", SCRIPTS[key])


@pytest.mark.parametrize(("head", "status"), [("bad", 0), ("stale", 1)])
@pytest.mark.parametrize("key", REPORTS)
def test_the_report_step_works_on_a_real_merge(
    key: tuple[str, str], head: str, status: int, repository: Repository, tmp_path: Path
) -> None:
    """As GitHub runs it, at the merge of head into base: stale results fail the step and are in the summary."""
    folder = tmp_path / "checkout"
    shutil.copytree(repository.folder, folder)
    checkout = Repository(folder)
    checkout.git("checkout", "-q", "--detach", "good")
    checkout.git("merge", "-q", "--no-ff", "-m", "merge", head)
    summary = tmp_path / "summary.md"
    path = f"{console_script(tmp_path)}:$PATH"
    script = f'export GITHUB_STEP_SUMMARY={summary} PATH="{path}"\n{SCRIPTS[key]}'
    result = checkout.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, check=False)
    assert result.returncode == status, result.stderr
    assert summary.read_text() == (folder / "report.md").read_text()
    assert ("## Stale results" in summary.read_text()) == (head == "stale")
    assert ("**regression**" in summary.read_text()) == (head == "bad")
    uploaded = next(step for (name, _), step in STEPS.items() if name == key[0] and "upload" in step.get("uses", ""))
    for name in uploaded["with"]["path"].split():
        assert (folder / name).is_file(), name


STUB = """#!/bin/bash
echo "$*" >> "$LOG"
case "$*" in
  *"/pulls "*) echo "$NUMBER" ;;
  *"run download"*) mkdir artifact && printf "${ARTIFACT:-the report\\n}" > artifact/report.md ;;
  *"/comments --jq"*) echo "$EXISTING" ;;
esac
"""


def comment(folder: Path, **more: str) -> Path:
    """Runs the script, with a stand-in for gh; what gh was asked for."""
    stub, log = folder / "bin/gh", folder / "log"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{stub.parent}:{os.environ['PATH']}",
        "LOG": str(log),
        "GH_REPO": "o/r",
        "RUN_ID": "9",
        "GITHUB_SERVER_URL": "https://github.example",
        "HEAD_SHA": "a" * 40,
        "HEAD": "someone:branch",
        **more,
    }
    script = SCRIPTS["comment", "Post the report"]
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return log


def test_a_comment_shows_no_more_than_text_whatever_made_the_artifact(tmp_path: Path) -> None:
    """It calls nobody, draws nothing, links nowhere, and is no longer than GitHub takes; names of stages stay."""
    hostile = (
        r"@a @@b @@@@ \377@c <img src=x> ![x](y) [x][y] https://evil.example \033[31m `train@pooled_cnn-holdout-1`\n"
    )
    comment(tmp_path, NUMBER="7", EXISTING="", ARTIFACT=hostile)
    said = (tmp_path / "body.md").read_text(errors="replace").rpartition("#artifacts).\n\n")[2]
    assert not re.search(r"(?<![A-Za-z0-9_])@", said)
    assert not any(active in said for active in ("<", "](", "][", "://", "\033"))
    assert "`train@pooled_cnn-holdout-1`" in said


def test_a_long_artifact_becomes_a_comment_that_github_takes(tmp_path: Path) -> None:
    """65,536 characters, once what calls somebody is spelt out."""
    comment(tmp_path, NUMBER="7", EXISTING="", ARTIFACT="@a " * 30_000)
    assert 60_000 <= len((tmp_path / "body.md").read_text()) < 65_536


@pytest.mark.parametrize(
    ("number", "existing", "expected"),
    [
        ("7", "", "--method POST repos/o/r/issues/7/comments"),
        ("7", "41", "--method PATCH repos/o/r/issues/comments/41"),
        ("", "", None),
        ("7; rm", "", None),
    ],
)
def test_the_comment_is_posted_once_then_updated(
    number: str, existing: str, expected: str | None, tmp_path: Path
) -> None:
    """The script itself, with a stand-in for gh, which needs GitHub: what it would post, where, and when not at all."""
    log = comment(tmp_path, NUMBER=number, EXISTING=existing)
    if expected is None:
        assert "POST" not in log.read_text()
        assert "PATCH" not in log.read_text()
    else:
        assert expected in log.read_text().splitlines()[-1]
        assert (tmp_path / "body.md").read_text().startswith("<!-- spira-report -->\n")
        assert "(https://github.example/o/r/actions/runs/9#artifacts)" in (tmp_path / "body.md").read_text()
        assert (tmp_path / "body.md").read_text().endswith("\nthe report\n")
