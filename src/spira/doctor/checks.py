"""What a person has to see to: half-written files, a disk without space, results that are out of date, a remote."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from spira.base.errors import DataError
from spira.base.files import PART
from spira.doctor.diagnosis import Finding, only_absent, space
from spira.doctor.repairs import at_work
from spira.remote.transfer import UNSET, explain_faults

SECONDS = 10  # until a remote that says nothing counts as unreachable


def repair_leftovers(root: Path) -> list[Finding]:
    """Files under a temporary name, which a killed run left; while something runs here, they may be its own."""
    left = sorted((root / "data").rglob(f"*{PART}"))
    if not left or at_work(root):
        return []
    for path in left:
        path.unlink()
    names = ", ".join(str(path.relative_to(root)) for path in left)
    return [Finding(f"half-written by a killed run: {names}", "removed; under its own name a file is always whole")]


def disk(root: Path, repo: Any) -> list[Finding]:
    sizes = [out.meta.size or 0 for out in repo.index.outs if out.meta and not out.stage.is_data_source]
    if not (fault := space(shutil.disk_usage(root).free, sizes)):
        return []
    return [Finding(f"{root}: {fault}", todo="free some; `dvc gc --workspace` drops other revisions' data")]


def staleness(repo: Any) -> Iterator[Finding]:
    """Stages whose parameters, code or data are not those that dvc.lock names."""
    with explain_faults("dvc status"):
        status = repo.status()
    absent = sorted(name for name, changes in status.items() if only_absent(changes))
    stale = sorted(status.keys() - set(absent))
    if stale:
        found = f"dvc.lock: not of the parameters, code or data that are here, for {', '.join(stale)}"
        yield Finding(found, todo="make repro; or git checkout what you did not mean to change")
    elif absent:
        yield Finding(f"no data here of {', '.join(absent)}: spira pull brings them, make repro makes them")


def remote(root: Path) -> list[Finding]:
    """Nothing where none is set up."""
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "1")
    pool = ThreadPoolExecutor(1)
    try:
        why = pool.submit(_unreachable, root).result(SECONDS)
    except Late:
        why = f"it has not answered in {SECONDS} s"
    pool.shutdown(wait=False, cancel_futures=True)
    return [
        Finding(f"the remote cannot be reached: {why}", todo="see docs/how-to/storage.md; local work goes on")
    ] * bool(why)


def _unreachable(root: Path) -> str:
    """Why; "" where it answers or none is set up."""
    try:
        with Repo(str(root)) as repo:
            name = repo.config["core"].get("remote")
            if not name or UNSET in repo.config["remote"].get(name, {}).get("url", UNSET):
                return ""
            fs_remote = repo.cloud.get_remote(name)
            with explain_faults(f"remote {name}"):
                fs_remote.fs.ls(fs_remote.path.partition("/")[0] if fs_remote.fs.protocol == "s3" else fs_remote.path)
    except (DataError, DvcException) as error:
        return str(error).partition("\n")[0]
    return ""
