"""`spira retrain` with real git and DVC: a branch, or nothing; killed anywhere, the same command finishes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from registered import Registered, dying
from spira.retraining import branch, corpus, run

Step = tuple[Any, str, bool]  # whose function, its name, whether it dies before it
TRAIN = ("retrain", "--force", "--from")


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is test_retraining_loop.py's: here are no models to be scored."""
    monkeypatch.setattr(run, "_page", lambda *_: "# what a reviewer reads\n")


def add_speakers(folder: Path, n: int = 2) -> None:
    with (folder / "metadata.csv").open("a") as file:
        for i in range(n):
            shutil.copy2(folder / "clip_00.wav", folder / f"new_{i}.wav")
            file.write(f"new_{i}.wav,control,n{i},F,40,train\n")


def name_of(work: Registered) -> str:
    """The branch of the retraining."""
    (name,) = [line for line in work.git("branch", "--format=%(refname:short)").split() if line.startswith("retrain/")]
    return name


def require_whole(work: Registered, n_speakers: int) -> None:
    """One commit of the new version, here and on both remotes; main is as it was."""
    name = name_of(work)
    assert work.git("rev-parse", f"{name}^") == work.git("rev-parse", "main") == work.git("rev-parse", "origin/main")
    assert work.git("rev-parse", name) == work.git("ls-remote", "origin", name).split("\t")[0] + "\n"
    changed = work.git("diff", "--name-only", "main", name).split()
    assert changed == ["data/metrics.json", "data/processor.txt", "data/raw/tiny.dvc", "dvc.lock"]
    assert work.git("show", f"{name}:data/metrics.json") == str(n_speakers + 1)
    assert work.git("status", "--porcelain") == ""
    other = work.clone(f"other{n_speakers}")
    other.git("switch", "-q", name)
    other.says("pull")
    assert len(list((other.folder / "data/raw/tiny").glob("*.wav"))) == n_speakers


def test_a_new_version_becomes_a_branch_with_one_commit(work: Registered, new: Path) -> None:
    """Files that are gone there are gone here; the message has the reason, and the last line what a person does."""
    add_speakers(new)
    (new / "clip_01.wav").unlink()
    table = (new / "metadata.csv").read_text().splitlines()
    (new / "metadata.csv").write_text("\n".join(row for row in table if not row.startswith("clip_01")) + "\n")
    said = work.says(*TRAIN, str(new))
    require_whole(work, 5)
    name = name_of(work)
    message = work.git("log", "-1", "--format=%B", name)
    assert message.startswith(
        f"retrain: tiny as of {name.removeprefix('retrain/')}\n\nWhy:\n- asked for by hand: --force"
    )
    assert said.splitlines()[-1] == (
        f"Nothing is promoted. Read it, merge {name}; then, there: spira gate, spira promote --why WHY"
    )
    commit = work.git("rev-parse", name).strip()
    assert (work.folder / f".ckpt/retrain/{commit}.md").read_text() == "# what a reviewer reads\n"
    assert not work.tags()


def test_nothing_new_leaves_no_commit_and_no_branch(work: Registered, new: Path) -> None:
    """And the branch that was checked out is again."""
    before = work.git("for-each-ref"), work.git("log", "--all", "--format=%H")
    assert "nothing is new: main has these results already; no commit, no branch" in work.says(*TRAIN, str(new))
    assert (work.git("for-each-ref"), work.git("log", "--all", "--format=%H")) == before
    assert work.git("rev-parse", "--abbrev-ref", "HEAD") == "main\n"
    assert "nothing is new" in work.says("retrain", "--force")  # as it lies in data/raw


def test_without_a_rule_that_holds_nothing_is_done(work: Registered, new: Path) -> None:
    """There is no champion, so no rule is known; nothing is trained, and --check, which was to say, says so by 4."""
    add_speakers(new)
    said = work.says("retrain", "--from", str(new))
    assert "nothing is known: new speakers, drift, age, feedback" in said
    asked = work.spira("retrain", "--check", "--json", "--from", str(new))
    assert asked.returncode == 4, asked.stdout + asked.stderr
    assert {rule["holds"] for rule in json.loads(asked.stdout)["rules"]} == {None}
    assert said.endswith("nothing was done: no rule says train; --force trains all the same\n")
    assert work.git("branch", "--format=%(refname:short)") == "main\n"


def test_what_lies_in_data_raw_is_taken_where_no_folder_is_named(work: Registered) -> None:
    """A corpus that is edited in place, as `dvc add` takes it."""
    add_speakers(work.folder / "data/raw/tiny")
    work.says("retrain", "--force")
    require_whole(work, 6)


STEPS: list[Step] = [
    (branch, "begin", False),
    (corpus, "mirror", True),
    (corpus, "mirror", False),
    (run, "bring", False),
    (run, "write_bytes", True),  # after dvc repro
    (branch, "make", True),
    (branch, "make", False),
    (run, "push_all", True),  # after the page
    (run, "push_all", False),
    (branch, "send", False),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{'before' if step[2] else 'after'} {step[1]}")
def test_what_was_killed_is_finished_by_the_same_command(
    step: Step, work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SIGKILL; whatever was done, one branch with one commit comes of it."""
    add_speakers(new)
    die_at(step, work, [*TRAIN, str(new)], monkeypatch)
    work.says(*TRAIN, str(new))
    require_whole(work, 6)
    said = work.says(*TRAIN, str(new))  # once more does nothing more
    assert f"{name_of(work)} has its commit already" in said
    assert "is on origin already" in said


def die_at(step: Step, work: Registered, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step[0], step[1], dying(getattr(step[0], step[1]), before=step[2]))
        working = get_context("fork").Process(target=work.spira, args=command)
        with warnings.catch_warnings(action="ignore"):  # of a fork beside threads: this one only starts git and DVC
            working.start()
        working.join()
        assert working.exitcode == -signal.SIGKILL


@pytest.mark.pipeline
def test_killed_in_the_middle_of_a_stage_it_waits_for_that_and_then_goes_on(work: Registered, new: Path) -> None:
    """Real processes: the stage of a killed run holds the lock; once that is killed too, the same command finishes."""
    (work.folder / "train.py").write_text(SLOW + (work.folder / "train.py").read_text())
    work.git("commit", "-qam", "a slow stage")
    work.git("push", "-q", "origin", "main")
    add_speakers(new)
    waits = work.folder.parent / "waits"
    environment = work.environment() | {"WAITS": str(waits)}
    command = [sys.executable, "-m", "spira", *TRAIN, str(new)]
    with subprocess.Popen(command, cwd=work.folder, env=environment, start_new_session=True) as running:
        until = time.monotonic() + 60
        while not waits.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        running.kill()
    assert "another retraining, or the stages of one that was killed, run here" in work.refuses(*TRAIN, str(new))
    os.killpg(running.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while "wait" in (said := work.spira(*TRAIN, str(new)).stderr):  # until the system has ended them
        assert time.monotonic() < until, said
    require_whole(work, 6)


SLOW = """\
import os, time
from pathlib import Path
if waits := os.environ.get("WAITS"):
    Path(waits).touch()
    time.sleep(60)
"""


def test_a_killed_copy_leaves_no_part_of_a_file(work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a metadata.csv that names recordings which are not there yet."""
    add_speakers(new)
    part = work.folder / "data/raw/tiny/new_0.wav.part"
    die_at((corpus, "_copy", True), work, [*TRAIN, str(new)], monkeypatch)
    part.write_bytes(b"half")
    assert (work.folder / "data/raw/tiny/metadata.csv").read_text() != (new / "metadata.csv").read_text()
    work.says(*TRAIN, str(new))
    assert not part.exists()
    require_whole(work, 6)


def test_on_a_runner_that_forgets_its_branches_the_remotes_is_taken_up(work: Registered, new: Path) -> None:
    """Killed between the push and the pull request, then checked out anew elsewhere."""
    work.says("push")
    add_speakers(new)
    work.says(*TRAIN, str(new))
    other = work.clone("runner")
    other.says("pull")
    assert f"goes on with {name_of(work)}" in other.says(*TRAIN, str(new))
    assert other.git("rev-parse", "HEAD") == work.git("rev-parse", "HEAD")
    assert len(list((other.folder / "data/raw/tiny").glob("*.wav"))) == 6


def test_a_commit_of_an_earlier_retraining_is_not_taken_for_the_one_to_be_made(
    work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the start of a week's run, which begins at the merged commit of the week before."""
    add_speakers(new)
    work.says(*TRAIN, str(new))
    work.git("switch", "-q", "main")
    work.git("merge", "-q", "--ff-only", "@{-1}")
    work.git("push", "-q", "origin", "main")
    (new / "metadata.csv").write_text((new / "metadata.csv").read_text() + "clip_01.wav,patient,s98,F,40,train\n")
    monkeypatch.setattr(branch, "branch_name", lambda _, number: f"retrain/2099-01-0{number}")
    die_at((branch, "begin", False), work, [*TRAIN, str(new)], monkeypatch)
    work.says(*TRAIN, str(new))
    assert work.git("rev-parse", "--abbrev-ref", "HEAD") == "retrain/2099-01-01\n"
    assert work.git("rev-parse", "HEAD^") == work.git("rev-parse", "main")


def test_results_that_wait_on_another_branch_are_not_made_twice(
    work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week later nobody has merged yet: no second pull request, and main lies as it did."""
    add_speakers(new)
    work.says(*TRAIN, str(new))
    first = name_of(work)
    work.git("switch", "-q", "main")
    work.git("branch", "-D", first)
    monkeypatch.setattr(branch, "branch_name", lambda _, number: f"retrain/2099-01-0{number}")
    said = work.says(*TRAIN, str(new))
    assert f"nothing is new: {first} has these results already; no commit, no branch" in said
    assert work.git("branch", "--format=%(refname:short)") == "main\n"
    assert work.git("status", "--porcelain") == ""
    assert len(list((work.folder / "data/raw/tiny").glob("*.wav"))) == 4
    work.git("push", "-q", "origin", "--delete", first)  # that was given up, so it is made again
    work.says(*TRAIN, str(new))
    assert name_of(work) == "retrain/2099-01-01"


def test_a_second_retraining_of_a_day_has_its_own_branch(work: Registered, new: Path) -> None:
    """Once the first one is merged; another person's branch of that name is not touched."""
    add_speakers(new)
    work.says(*TRAIN, str(new))
    first = name_of(work)
    work.git("switch", "-q", "main")
    work.git("merge", "-q", "--ff-only", first)
    add_speakers(new, 3)
    table = (new / "metadata.csv").read_text().splitlines()
    (new / "metadata.csv").write_text("\n".join(dict.fromkeys(table)) + "\n")
    work.says(*TRAIN, str(new))
    assert work.git("rev-parse", "--abbrev-ref", "HEAD") == f"{first}-2\n"
    work.git("switch", "-q", "main")
    work.git("branch", "-D", f"{first}-2", first)
    work.git("push", "-q", "origin", "--delete", f"{first}-2", first)
    work.git("switch", "-q", "-c", first)
    work.git("commit", "-q", "--allow-empty", "-m", "mine")
    work.git("switch", "-q", "main")
    assert f"{first}: a branch of this name has other commits" in work.refuses(*TRAIN, str(new))


def test_what_is_not_ready_is_refused_by_name_before_any_work(work: Registered, new: Path) -> None:
    """A changed file, no remote, a folder that is no corpus, the corpus itself, nobody to commit as."""
    refuses = work.refuses
    assert f"{new}/..: has no metadata.csv" in refuses(*TRAIN, f"{new}/..").replace(str(new.parent), f"{new}/..")
    assert "must lie apart from" in refuses(*TRAIN, "data/raw/tiny")
    (work.folder / "train.py").write_text("changed")
    assert "train.py: changed and not committed; a retraining is of a commit" in refuses(*TRAIN, str(new))
    work.git("checkout", "-q", "train.py")
    (work.folder / "notes.txt").write_text("")
    (work.folder / "feedback.csv").write_text("id,label,known_on\n")
    for added in (False, True):  # of people: nothing says that it is to be committed
        if added:
            work.git("add", "feedback.csv")
        said = refuses(*TRAIN, str(new))
        assert "feedback.csv and 1 more: not in the commit; a retraining is of a commit: move it out of the" in said
        assert "commit it" not in said
        assert "is never committed" in said
    work.git("rm", "-qf", "feedback.csv")
    (work.folder / "notes.txt").unlink()
    work.git("remote", "rename", "origin", "upstream")
    assert "no git remote origin: the branch is pushed there" in refuses(*TRAIN, str(new))
    assert work.git("branch", "--format=%(refname:short)") == "main\n"


def test_without_a_name_for_git_it_is_refused(work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not after hours of training."""
    without = {name: value for name, value in work.environment().items() if not name.startswith("GIT_")}
    monkeypatch.setattr(work, "environment", lambda: without | {"GIT_CONFIG_NOSYSTEM": "1"})
    assert "git does not know who commits: git config user.name NAME" in work.refuses(*TRAIN, str(new))


def test_the_output_of_a_stage_cannot_be_updated(work: Registered) -> None:
    """The demo is made by `synthesize`."""
    stages = (work.folder / "dvc.lock").read_text().replace("path: data/package", "path: data/raw/tiny")
    (work.folder / "dvc.lock").write_text(stages)
    work.git("commit", "-qam", "as the demo")
    assert "data/raw/tiny: the corpus tiny is made by a stage of dvc.yaml" in work.refuses("retrain", "--force")


def test_a_stage_that_fails_can_be_mended_or_given_up(work: Registered, new: Path) -> None:
    """The message has both ways; the new version of the corpus is asked for again."""
    table = (new / "metadata.csv").read_text()
    (new / "metadata.csv").write_text(table + "broken\n")
    said = work.refuses(*TRAIN, str(new))
    assert "dvc repro failed" in said
    assert f"or give up: git checkout --force @{{-1}}, git branch -D {name_of(work)}, dvc checkout" in said
    (work.folder / "train.py").write_text("changed")  # no part of a retraining
    assert "train.py: changed and not committed" in work.refuses(*TRAIN, str(new))
    work.git("checkout", "-q", "train.py")
    (new / "metadata.csv").write_text(table)
    add_speakers(new)
    work.says(*TRAIN, str(new))
    require_whole(work, 6)


def test_what_is_drawn_is_committed_and_a_picture_that_fails_stops_nothing(work: Registered, new: Path) -> None:
    """The README's numbers are those of the new results, or stderr says that they are not."""
    (work.folder / "docs").mkdir()
    (work.folder / "docs/draw_plots.py").write_text("raise SystemExit('no font')\n")
    (work.folder / "docs/write_readme.py").write_text(
        "open('README.md', 'w').write(open('data/metrics.json').read())\n"
    )
    (work.folder / "README.md").write_text("5")
    work.git("add", "-A")
    work.git("commit", "-q", "-m", "pictures")
    add_speakers(new)
    done = work.spira(*TRAIN, str(new))
    assert done.returncode == 0, done.stderr
    assert "docs/draw_plots.py failed, so what it draws is of before: make plots" in done.stderr
    assert work.git("show", "HEAD:README.md") == "7"


def test_two_at_once_are_one_too_many(work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told to wait."""
    said = list[str]()
    before = corpus.bring

    def second(*arguments: Any) -> None:
        said.append(work.refuses(*TRAIN, str(new)))
        before(*arguments)

    monkeypatch.setattr(run, "bring", second)
    work.spira(*TRAIN, str(new))
    assert "another retraining, or the stages of one that was killed, run here; wait" in said[0]


GH = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  "pr list"*) cat "$LOG.url" 2>/dev/null ;;
  "pr create"*) echo https://example.org/pull/7 | tee "$LOG.url" ;;
esac
"""


def test_a_pull_request_is_opened_once_and_without_gh_the_command_is_said(
    work: Registered, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for gh, which needs GitHub."""
    add_speakers(new)
    command = [*TRAIN, str(new), "--pull-request"]
    bins, log = work.folder.parent / "bin", work.folder.parent / "log"
    bins.mkdir()
    environment = work.environment()
    paths = [path for path in environment["PATH"].split(os.pathsep) if not (Path(path) / "gh").exists()]
    found = environment | {"PATH": os.pathsep.join([str(bins), *paths]), "LOG": str(log)}
    monkeypatch.setattr(work, "environment", lambda: found)
    said = work.refuses(*command)
    assert "gh is not installed, so no pull request was opened; all else is done" in said
    assert f"gh pr create --head {name_of(work)} --title 'retrain: tiny as of " in said
    require_whole(work, 6)
    (bins / "gh").write_text(GH)
    (bins / "gh").chmod(0o755)
    assert "pull request: https://example.org/pull/7" in work.says(*command)
    assert "the pull request is there already: https://example.org/pull/7" in work.says(*command)
    assert log.read_text().count("pr create") == 1
    assert "--body-file .ckpt/retrain/" in log.read_text()
