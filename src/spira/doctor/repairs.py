"""Before a repair: whether a process still works here, and where to move a file that may exist nowhere else."""

import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

ASIDE = Path(".dvc/aside")  # ignored by git, and no part of DVC's temporary files
_CLOCKS = 60.0  # seconds by which the clock of processes and that of files may differ


def aside(root: Path, path: Path) -> Path:
    """Moves a file to a folder of its own under ``.dvc/aside``, with the folders that it lay in; its new place."""
    for n in count():
        with suppress(FileExistsError):
            (root / ASIDE / str(n)).mkdir(parents=True)
            break
    to = root / ASIDE / str(n) / (path.relative_to(root) if path.is_relative_to(root) else path.name)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, to)
    return to.relative_to(root)


def gone(pid: int, noted: float) -> bool:
    """The process that had this number when it was noted, in seconds since the epoch, is no more.

    A killed one that nobody has waited for is no more; one that started since then is another.
    """
    try:
        process = psutil.Process(pid)
        return bool(process.status() == psutil.STATUS_ZOMBIE or process.create_time() > noted + _CLOCKS)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def at_work(root: Path) -> list[str]:
    """DVC and the programs of this package that run in the repository, by number; not this one."""
    found = []
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["cwd", "cmdline"]):
        cwd, cmdline = (
            process.info["cwd"],
            process.info["cmdline"] or [],
        )  # a zombie has none
        if process.pid not in own and cwd and Path(cwd).is_relative_to(root) and _ours(cmdline):
            found.append(f"{process.pid} ({' '.join(cmdline)[-60:]})")
    return found


def _ours(cmdline: list[str]) -> bool:
    return any(Path(word).name == "dvc" or word.startswith("spira.") for word in cmdline[:6])
