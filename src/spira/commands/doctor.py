"""doctor: the repository's state -> repaired, and what a person must do.

``spira doctor``: exit status 1 where a person must act. ``--locks`` repairs only what keeps dvc from running,
in a fraction of a second, and is silent where there is nothing.

Nothing is deleted that may exist nowhere else: what is damaged goes to .dvc/aside. Nothing is touched that a process
which is alive may hold.
"""

# What is not of the standard library is imported where it is used: without it, this still says so.
import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spira.base.errors import DataError
from spira.base.program import exit_on_error

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


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m spira.commands.doctor", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--locks", action="store_true", help="only what keeps dvc from running; at once")
    asked = parser.parse_args(arguments)
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise DataError(f"{root}: no dvc.yaml here; run from the repository's root")
    try:
        from spira.doctor.diagnosis import lines
        from spira.doctor.dvc_locks import repair_locks
        from spira.doctor.machine import machine
    except ImportError as error:
        raise DataError(f"{sys.executable}: {error.name} is not installed; make venv, then make doctor") from error
    findings = [*machine(root), *repair_locks(root)] if asked.locks else doctor(root)
    if findings:
        print(lines(findings))
    elif not asked.locks:
        print("healthy: nothing to repair, nothing to do")
    return int(any(finding.todo for finding in findings))


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main(sys.argv[1:]))
