"""A pull request of a branch, by GitHub's own program; or what a person types instead."""

import shlex
import subprocess
from pathlib import Path

from spira.base.errors import DataError


def open_pull_request(root: Path, branch: str, title: str, page: Path) -> str:
    """Opens one, unless the branch has had one; what was done.

    Args:
        page: what its reviewer reads.

    Raises:
        DataError: there is no gh, or it failed; with the command to type.
    """
    there = _gh(root, "pr", "list", "--head", branch, "--state", "all", "--json", "url", "--jq", ".[0].url // empty")
    create = ["pr", "create", "--head", branch, "--title", title, "--body-file", str(page.relative_to(root))]
    typed = f"gh {shlex.join(create)}"
    if there is None:
        raise DataError(f"gh is not installed, so no pull request was opened; all else is done. Where it is: {typed}")
    if there.returncode == 0 and there.stdout.strip():
        return f"the pull request is there already: {there.stdout.strip()}"
    opened = _gh(root, *create)
    if opened is None or opened.returncode:
        words = " ".join((opened or there).stderr.split())
        raise DataError(f"gh pr create: {words}; all else is done. To type it by hand: {typed}")
    return f"pull request: {opened.stdout.strip()}"


def _gh(root: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """None where there is no gh."""
    try:
        return subprocess.run(["gh", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
