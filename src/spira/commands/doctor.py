"""doctor: the repository's state -> repaired, and what a person must do.

Nothing is deleted that may exist nowhere else: what is damaged goes to .dvc/aside. Nothing is touched that a process
which is alive may hold.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.doctor.diagnosis import Finding


def doctor(root: Path) -> "list[Finding]":
    """Everything; what is DVC's only where the environment is whole."""
    from spira.doctor.dvc_locks import repair_locks
    from spira.doctor.environment import environment
    from spira.doctor.machine import machine, names

    findings = list(machine(root))
    if any(finding.todo for finding in findings):
        return findings
    findings += [*repair_locks(root), *environment(root), *names(root)]
    if any(finding.todo for finding in findings):
        return findings
    from dvc.repo import Repo

    from spira.doctor.cache import Stores
    from spira.doctor.checks import disk, remote, repair_leftovers, staleness
    from spira.remote.transfer import explain_faults

    findings += repair_leftovers(root)
    with explain_faults("dvc"), Repo(str(root)) as repo:
        findings += Stores(root, repo, partial(_bring, repo)).repaired()
        findings += disk(root, repo)
    with explain_faults("dvc"), Repo(str(root)) as repo:  # anew: what was repaired is read again
        findings += staleness(repo)
    return findings + remote(root)


def _bring(repo: Any, oid: str) -> None:
    """Asks the remote only once something is missing."""
    from spira.remote.transfer import connect, explain_faults, find

    remote, where = find(repo, "doctor")
    with explain_faults(where):
        connect(repo.cache.local, remote).bring(oid)


@click.command
@click.option("--locks", is_flag=True, help="Only what keeps dvc from running; at once, and silent where all is well.")
def command(*, locks: bool) -> int:
    """Repair what a crash or a disk left; say what is left to do.

    Locks, dvc.lock, DVC's cache, the data, the environment and the remote are looked at. Nothing is deleted that may
    exist nowhere else: what is damaged goes to .dvc/aside.

    \b
    Example:
      spira doctor

    Exit codes: 0 healthy, or repaired; 1 a person must act, as the lines with TO DO say.
    """
    from spira.doctor.diagnosis import lines
    from spira.doctor.dvc_locks import repair_locks
    from spira.doctor.machine import machine

    root = repository_root()
    findings = [*machine(root), *repair_locks(root)] if locks else doctor(root)
    if findings:
        click.echo(lines(findings))
    elif not locks:
        click.echo("healthy: nothing to repair, nothing to do")
    return int(any(finding.todo for finding in findings))
