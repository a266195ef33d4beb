"""`dvc` typed in a repository: what it and its stages say is seen as they say it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spira.base.errors import DataError
from spira.repository.git import environment_without_git


def dvc(root: Path, *arguments: str, held: Sequence[int] = ()) -> None:
    """Runs it to its end, with the output of this process.

    Args:
        held: descriptors that stay open in it, such as a lock's: it keeps others away though this process was killed.

    Raises:
        DataError: it failed; why, it has said.
    """
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=environment_without_git(),
        pass_fds=tuple(held),
        check=False,
    )
    if done.returncode:
        raise DataError(f"dvc {arguments[0]} failed (exit status {done.returncode}); why, it says above")
