"""A subcommand of ``spira`` in this process: one of its own takes a second or more to start."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from spira.base.errors import DataError, ParamError
from spira.commands.spira import run


def spira(folder: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What came of it, as of a process in the folder with this environment; how a process ends, test_spira.py tests."""
    said, complaints = StringIO(), StringIO()
    with (
        chdir(folder),
        patch.dict(os.environ, environment, clear=True),
        redirect_stdout(said),
        redirect_stderr(complaints),
    ):
        try:
            status = run(arguments)
        except (DataError, ParamError) as error:
            status = 1
            complaints.write(f"{type(error).__name__}: {error}\n")
    return subprocess.CompletedProcess(arguments, status, said.getvalue(), complaints.getvalue())
