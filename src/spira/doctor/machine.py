"""What DVC needs of a machine and does not name where it lacks: git's consent, a user's name, locks, names in UTF-8."""

import fcntl
import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from spira.base.locks import NO_LOCKS
from spira.base.utf8 import locale_encoding
from spira.doctor.diagnosis import Finding
from spira.doctor.repairs import at_work
from spira.repository.git import refusal

_DVC_LOCKS = (".dvc/tmp/lock", ".dvc/tmp/rwlock.lock")
_N_NAMED = 5


def machine(root: Path) -> Iterator[Finding]:
    """What keeps dvc from running, or makes it see other names than elsewhere; in a moment where there is nothing."""
    if why := refusal(root):
        yield Finding(why, todo="do what it says there, then spira doctor")
    yield from _user()
    yield from _locks(root)
    if (encoding := locale_encoding()) != "utf-8":
        yield Finding(
            f"the locale's encoding is {encoding}: without export PYTHONUTF8=1, a dvc that make does not start takes "
            "names of files for text in it, and hashes a corpus otherwise than elsewhere"
        )


def names(root: Path) -> Iterator[Finding]:
    """Files of the corpora whose names are not UTF-8: DVC ends in "surrogates not allowed"."""
    wrong = []
    for folder, folders, files in os.walk(os.fsencode(root / "data/raw")):
        for name in (*folders, *files):
            try:
                name.decode()
            except UnicodeDecodeError:
                wrong.append(os.fsdecode(os.path.join(folder, name)))  # noqa: PTH118 - bytes
    if wrong:
        shown = ", ".join(str(Path(name).relative_to(root)) for name in sorted(wrong)[:_N_NAMED])
        found = f"{len(wrong)} names in data/raw are not UTF-8, which dvc cannot keep: {shown}"
        yield Finding(found, todo="rename them; where they are Latin-1: convmv -r -f latin1 -t utf8 --notest data/raw")


def _user() -> Iterator[Finding]:
    """DVC names a folder of its own after the user, and looks for settings in the user's home."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        found = f"user id {os.getuid()} has no name, and dvc asks for one: getpwuid(): uid not found: {os.getuid()}"
        yield Finding(found, todo="export LOGNAME=me, any name will do; docker run --env LOGNAME=me")
    home = os.path.expanduser("~")  # noqa: PTH111 - Path's raises where there is none
    if home == "~":
        yield Finding("HOME is not set, and dvc looks for settings there", todo="export HOME=/tmp, or another folder")
        return
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "dvc/config")
    try:
        settings.stat()
    except PermissionError:
        found = f"{settings}: closed to user id {os.getuid()}, and dvc looks there for settings"
        yield Finding(found, todo="export HOME=/tmp, or another folder that is open to this user")
    except OSError:  # most have none
        return


def _locks(root: Path) -> Iterator[Finding]:
    """On a file system without locks DVC needs its other kind, hard links; a killed dvc leaves those behind."""
    left = [path for name in _DVC_LOCKS if (path := root / name).exists()]
    lacking = _lacking(root / ".dvc")
    if not lacking and not any(path.stat().st_nlink > 1 for path in left) and not _mentions_hard_links(root):
        return
    names = " ".join(str(path.relative_to(root)) for path in left)
    if not _by_hard_links(root):
        if lacking:
            found = f"{root}: no locks on this file system ({lacking}): dvc ends in 'Unable to acquire lock'"
            todo = "dvc config --local core.hardlink_lock true" + (f" && rm {names}" if left else "")
            yield Finding(found, todo=todo)
    elif left and not at_work(root):
        found = f"{names}: left by a killed dvc, or from before core.hardlink_lock was set, so that dvc waits for ever"
        yield Finding(found, todo=f"rm {names}, unless a dvc of another machine works in this folder")


def _lacking(folder: Path) -> str:
    """What the system says where files in the folder cannot be locked; "" where they can."""
    try:
        with TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return os.strerror(error.errno or 0) if error.errno in NO_LOCKS else ""
    return ""


def _mentions_hard_links(root: Path) -> bool:
    """Reading DVC's settings as DVC does takes longer than all else here."""
    files = [path for name in ("config", "config.local") if (path := root / ".dvc" / name).is_file()]
    return any(b"hardlink_lock" in path.read_bytes() for path in files)


def _by_hard_links(root: Path) -> bool:
    from dvc.config import Config
    from dvc.exceptions import DvcException

    try:
        return bool(Config(str(root / ".dvc"))["core"].get("hardlink_lock", False))
    except DvcException:  # it says what is wrong itself
        return False
