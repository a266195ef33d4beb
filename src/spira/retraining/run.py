"""Train again on the corpus's new version: a branch with the results, the evidence about them, and no promotion.

After any step the machine may die. Where the branch is, whether its commit is made, its page written, its bytes and
itself pushed, is seen by looking; so the same command does what is left.
"""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

from spira.base.arithmetic import processor
from spira.base.errors import DataError, visible
from spira.base.files import write_bytes
from spira.base.locks import alone
from spira.doctor.diagnosis import lines
from spira.doctor.dvc_locks import repair_locks
from spira.registry.gate import gate
from spira.registry.packages import PACKAGE, outs_at, push_all
from spira.registry.reviewed import reviewed
from spira.registry.tags import registry_name, shared_history
from spira.repository.git import git
from spira.retraining import branch as branches
from spira.retraining.body import BY_HAND, body, day_in, gate_section, title, why_in
from spira.retraining.checked import Checked, checked
from spira.retraining.corpus import Place, as_it_is_now, bring, place, require_folder
from spira.retraining.dvc_command import dvc
from spira.retraining.pull_request import open_pull_request

FOLDER = Path(".ckpt/retrain")  # ignored by git; the page of each commit
_BUSY = "another retraining, or the stages of one that was killed, run here; wait"
_MADE_ON = Path("data/processor.txt")
_DRAWN = ("docs/draw_plots.py", "docs/write_readme.py")  # `make plots`


class Asked(NamedTuple):
    """Who asks for what."""

    root: Path
    remote: str  # of git
    given: Path | None  # the folder with the new version
    monitoring: Path | None  # the folder with the reports
    today: date
    force: bool
    pull_request: bool


def look(asked: Asked) -> Checked:
    """Every rule, by what can be looked at; nothing is changed."""
    history = shared_history(asked.root, asked.remote, registry_name(asked.root))
    with as_it_is_now(asked.root, asked.given) as corpus:
        return checked(asked.root, history, corpus, asked.monitoring, asked.today)


def retrain(asked: Asked) -> str:
    """Leaves a branch with new results and a page about them; what was done, and what a person does next.

    Raises:
        DataError: something is not ready, or a step failed; the same command then goes on.
    """
    root = asked.root
    with alone(root / FOLDER / "lock", "retraining", _BUSY) as lock:
        branches.require_ready(root, asked.remote)
        corpus = place(root)
        if asked.given is not None:
            require_folder(corpus, asked.given)
        name = branches.begun(root)
        made = name is not None and branches.is_made(root, name)
        branches.require_clean(root, but=branches.OWN if name and not made else ())
        if name and made:
            return f"{name} has its commit already; another retraining begins on another branch\n" + _finish(
                asked, corpus, name
            )
        found = look(asked)
        print(visible(found.text(), lines=True), flush=True)
        if name is None and not (found.train or asked.force):
            return "nothing was done: no rule says train; --force trains all the same"
        name = name or branches.begin(root, asked.remote, asked.today)
        if not branches.is_made(root, name) and (known := _train(asked, corpus, name, found.reasons, lock)):
            return f"nothing is new: {known} has these results already; no commit, no branch"
        return _finish(asked, corpus, name)


def _train(asked: Asked, corpus: Place, name: str, reasons: list[str], lock: int) -> str | None:
    """The branch that has these results already; None where they are new, and committed."""
    root = asked.root
    give_up = f"or give up: git checkout --force @{{-1}}, git branch -D {name}, dvc checkout"
    if findings := repair_locks(root):  # that a killed run left
        print(lines(findings), flush=True)
    try:
        bring(root, corpus, asked.given)
        dvc(root, "repro", held=[lock])
    except DataError as error:
        raise DataError(f"{error}. Mend it, then the same command goes on; {give_up}") from error
    changed = branches.changed(root)
    if not changed:
        return branches.leave(root, name)
    if twin := branches.with_this_lock(root, asked.remote):  # its pull request waits, or was closed
        branches.leave(root, name)
        dvc(root, "checkout", "--quiet")
        return twin
    if "dvc.lock" in changed:
        write_bytes(f"{processor()}\n".encode(), root / _MADE_ON)
        _draw(root)
    branches.make(root, name, corpus.name, reasons)
    return None


def _draw(root: Path) -> None:
    """The plots and the README's numbers, where the repository has them; no picture is worth a training."""
    for program in _DRAWN:
        if (root / program).is_file() and subprocess.run([sys.executable, program], cwd=root, check=False).returncode:
            print(f"{program} failed, so what it draws is of before: make plots", file=sys.stderr)


def _finish(asked: Asked, corpus: Place, name: str) -> str:
    """From the commit on: the page, the bytes, the branch, the pull request."""
    root = asked.root
    commit = git(root, "rev-parse", "HEAD").decode().strip()
    page = root / FOLDER / f"{commit}.md"
    if not page.is_file():
        write_bytes(_page(asked, corpus.name, name).encode(), page)
    said = [push_all(root, outs_at(root, commit)[PACKAGE]), branches.send(root, asked.remote, name)]
    if asked.pull_request:
        said.append(open_pull_request(root, name, title(corpus.name, day_in(name)), page))
    return "\n".join(
        [
            *said,
            f"what a reviewer reads: {page.relative_to(root)}",
            f"Nothing is promoted. Read it, merge {name}; then, there: spira gate, spira promote --why WHY",
        ]
    )


def _page(asked: Asked, corpus: str, name: str) -> str:
    root = asked.root
    verdict = gate(root, shared_history(root, asked.remote, registry_name(root)))
    review, _, _ = reviewed(root, "HEAD^", "HEAD", from_remote=False, gate=gate_section(verdict))
    reasons = why_in(git(root, "log", "-1", "--format=%b", "HEAD").decode(errors="replace")) or [BY_HAND]
    return body(corpus, name, reasons, verdict, review)
