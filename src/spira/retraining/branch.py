"""The branch of a retraining: git's own state says how far it is, and nothing else does."""

from datetime import date
from pathlib import Path

from spira.base.errors import DataError
from spira.registry.tags import remote_exists
from spira.remote.synchronization import pull, synchronize
from spira.repository.git import git, object_name
from spira.retraining.body import BRANCHES, TRAILER, branch_name, message

# What a retraining writes, and so finds changed when it was killed.
OWN = ("dvc.lock", "data/", "README.md", "docs/explanation/plots/")


def require_ready(root: Path, remote: str) -> None:
    """Raises DataError where git does not know who commits, or has no such remote."""
    for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        try:
            git(root, "-c", "user.useConfigOnly=true", "var", name)
        except DataError as error:
            raise DataError(
                "git does not know who commits: git config user.name NAME and git config user.email ADDRESS"
            ) from error
    if not remote_exists(root, remote):
        raise DataError(f"no git remote {remote}: the branch is pushed there; git remote add {remote} <url>")


def begun(root: Path) -> str | None:
    """The branch of a retraining that is checked out; None on any other."""
    name = git(root, "rev-parse", "--abbrev-ref", "HEAD").decode().strip()
    return name if name.startswith(BRANCHES) else None


def changed(root: Path) -> list[str]:
    """Paths that are not as in the commit, or that git does not know."""
    return [path for _, path in _status(root)]


def _status(root: Path) -> list[tuple[bool, str]]:
    """(Whether the commit has it, a path that is not as in the commit.)"""
    listed = git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").decode(errors="replace")
    return [(not entry.startswith(("??", "A")), entry[3:]) for entry in listed.split("\0") if entry]


def require_clean(root: Path, *, but: tuple[str, ...] = ()) -> None:
    """Raises DataError, with the first path by name, where something is changed but what begins so."""
    odd = [(known, path) for known, path in _status(root) if not path.startswith(but or ("\0",))]
    if not odd:
        return
    (known, path), more = odd[0], f" and {len(odd) - 1} more" if len(odd) > 1 else ""
    if known:
        raise DataError(f"{path}{more}: changed and not committed; a retraining is of a commit: commit or restore it")
    raise DataError(
        f"{path}{more}: not in the commit; a retraining is of a commit: move it out of the repository. What is about "
        "people, such as feedback or a log, is never committed"
    )


def begin(root: Path, remote: str, today: date) -> str:
    """Checks out the day's branch: a new one here, or one that a killed run has left here or on the remote.

    Raises:
        DataError: a branch of this name has other commits.
    """
    head = _commit(root, "HEAD")
    number = 0
    while True:
        number += 1
        name = branch_name(today, number)
        tip = _tip(root, remote, name)
        merged = tip is not None and _is_ancestor(root, tip, head)
        if tip is None or (merged and not is_made(root, name, tip)):
            git(root, "switch", "--quiet", "--force-create", name)
            return name
        if not is_made(root, name, tip):
            raise DataError(f"{name}: a branch of this name has other commits; rename or delete it")
        if not merged:
            git(root, "switch", "--quiet", name)
            print(f"goes on with {name}: {synchronize(pull)}")
            return name


def _tip(root: Path, remote: str, name: str) -> str | None:
    """The branch's commit, brought from the remote where it is there alone."""
    ref = f"refs/heads/{name}"
    if found := object_name(root, ref):
        return found
    if on_remote(root, remote, name) is None:
        return None
    git(root, "fetch", "--quiet", "--no-tags", remote, f"{ref}:{ref}")
    return _commit(root, ref)


def on_remote(root: Path, remote: str, name: str) -> str | None:
    """The commit of the remote's branch of this name."""
    listed = git(root, "ls-remote", "--heads", remote, f"refs/heads/{name}").decode()
    return listed.split("\t")[0] if listed else None


def is_made(root: Path, name: str, commit: str = "HEAD") -> bool:
    """Whether the commit is the one that a retraining makes on this branch."""
    form = f"--format=%(trailers:key={TRAILER},valueonly)"
    return git(root, "log", "-1", form, commit).decode().strip() == name


def make(root: Path, name: str, corpus: str, reasons: list[str]) -> None:
    """Commits all that the run has written."""
    git(root, "add", "--all", "--", *(path for path in OWN if (root / path).exists()))
    git(root, "commit", "--quiet", "--file=-", given=message(corpus, name, reasons).encode())


def with_this_lock(root: Path, remote: str) -> str | None:
    """The remote's branch of an earlier retraining whose dvc.lock is the one that lies here."""
    refs = f"refs/remotes/{remote}/{BRANCHES}"
    git(root, "fetch", "--quiet", "--no-tags", "--prune", remote, f"+refs/heads/{BRANCHES}*:{refs}*")
    here = git(root, "hash-object", "dvc.lock").decode().strip()
    listed = git(root, "for-each-ref", "--format=%(refname)", refs).decode().split()
    same = [ref for ref in listed if object_name(root, f"{ref}:dvc.lock") == here]
    return same[-1].removeprefix(f"refs/remotes/{remote}/") if same else None


def leave(root: Path, name: str) -> str:
    """Goes back to where the run began, and the branch is gone; the name of what is checked out."""
    git(root, "checkout", "--quiet", "--force", "@{-1}")
    git(root, "branch", "--quiet", "--delete", "--force", name)
    return git(root, "rev-parse", "--abbrev-ref", "HEAD").decode().strip()


def send(root: Path, remote: str, name: str) -> str:
    """The branch is on the remote then; what was done."""
    if on_remote(root, remote, name) == _commit(root, "HEAD"):
        return f"{name} is on {remote} already"
    git(root, "push", "--quiet", remote, f"refs/heads/{name}:refs/heads/{name}")
    return f"{name} is pushed to {remote}"


def _commit(root: Path, name: str) -> str:
    return git(root, "rev-parse", f"{name}^{{commit}}").decode().strip()


def _is_ancestor(root: Path, old: str, new: str) -> bool:
    return git(root, "merge-base", old, new).decode().strip() == old
