"""DVC's own files that a killed run leaves so that no other starts: its rwlock, and dvc.lock half written."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.locks import NO_LOCKS
from spira.base.system_errors import naming
from spira.doctor.diagnosis import Finding, holders, lock_fault, released, stage_texts
from spira.doctor.repairs import aside, at_work, gone
from spira.repository.git import git, has_repository, object_name

RWLOCK = Path(".dvc/tmp/rwlock")
LOCK = Path("dvc.lock")


def repair_locks(root: Path) -> list[Finding]:
    """Both, each only where nobody who is alive could be holding or writing it."""
    return [*_repair_rwlock(root), *_repair_dvc_lock(root)]


def _repair_rwlock(root: Path) -> Iterator[Finding]:
    path = root / RWLOCK
    if not path.is_file():
        return
    with _held(root, path.with_name("rwlock.lock")) as ours, naming(path, "read"):
        if not ours:  # a DVC that is alive is just writing it
            return
        text, noted = path.read_text(encoding="utf-8", errors="replace"), path.stat().st_mtime
        named = holders(text)
        if named is None:
            yield _remove(root, path, text)
        elif killed := sorted(one for one in named if gone(one.pid, noted)):
            write_bytes(released(text, {one.pid for one in killed}).encode(), path)
            who = ", ".join(f"{one.pid} ({one.cmd})" for one in killed)
            yield Finding(f"{RWLOCK}: holds paths for processes that are no more: {who}", "released them")


def _remove(root: Path, path: Path, text: str) -> Finding:
    found = (
        f"{RWLOCK}: {'not what DVC writes' if text else 'empty'}, as a killed dvc leaves it, so that dvc refuses to run"
    )
    if who := at_work(root):
        return Finding(found, todo=f"wait until nothing runs here, then spira doctor; now there is {', '.join(who)}")
    if text:
        return Finding(found, f"moved it to {aside(root, path)}; nothing runs here that it could hold")
    path.unlink()
    return Finding(found, "removed it; nothing runs here that it could hold")


def _repair_dvc_lock(root: Path) -> Iterator[Finding]:
    path = root / LOCK
    if not path.is_file():
        return
    with naming(path, "read"):
        text = path.read_text(encoding="utf-8", errors="replace")
    if not (fault := lock_fault(text)):
        return
    found = f"{LOCK}: {fault}"
    if "merge" in fault:
        yield Finding(found, todo="git checkout --ours dvc.lock (or --theirs), then make repro")
    elif who := at_work(root):
        yield Finding(found, todo=f"wait until nothing runs here, then spira doctor; now there is {', '.join(who)}")
    else:
        try:
            before = _in_git(root)
        except DataError as error:
            yield Finding(f"{found}; and {error}", todo="let git work here, then spira doctor")
        else:
            yield Finding(found, _restore(root, path, text, before))


def _restore(root: Path, path: Path, half: str, before: str) -> str:
    """What was done: the text that was before, or else none, is there instead."""
    moved = f"; the half one is in {aside(root, path)}" if half.strip() else ""
    if not before:
        path.unlink(missing_ok=True)
        return f"removed it, for git has none: every stage is new to dvc{moved}"
    write_bytes(before.encode(), path)
    known = stage_texts(before)
    lost = [name for name, entry in stage_texts(half).items() if known.get(name) != entry]
    whose = f" of {', '.join(lost)}" if lost else ""
    return (
        f"brought back git's{moved}. Lost are the hashes{whose} of what ran since it was committed or staged: "
        "dvc repro finds such results in its run cache, or makes them anew"
    )


def _in_git(root: Path) -> str:
    """The index's dvc.lock, else HEAD's, the first that is whole; "" where git has none, or there is no git."""
    if not has_repository(root):
        return ""
    for name in (f":./{LOCK}", f"HEAD:./{LOCK}"):
        if known := object_name(root, name):
            text = git(root, "cat-file", "blob", known).decode(errors="replace")
            if not lock_fault(text):
                return text
    return ""


@contextmanager
def _held(root: Path, path: Path) -> Iterator[bool]:
    """Whether no DVC is writing its rwlock, and none will until the end of the block: by the guard that it takes.

    The guard is never made here: under ``core.hardlink_lock`` DVC would wait for it for ever.
    """
    with ExitStack() as until_the_end:
        taken = _taken(path, until_the_end)
        yield not at_work(root) if taken is None else taken


def _taken(path: Path, until_the_end: ExitStack) -> bool | None:
    """Whether the guard is ours; None where it says nothing: it is not there, a hard link, or no lock can be taken."""
    try:
        file = until_the_end.enter_context(path.open("r+"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True if path.stat().st_nlink == 1 else None
