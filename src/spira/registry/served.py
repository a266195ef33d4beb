"""A name in the registry -> its package, in use: brought, held to its hash, and run by its own code."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from spira.registry import tags
from spira.registry.history import find_version
from spira.registry.packages import package_of
from spira.registry.scoring import by_its_own_code


def brought(root: Path, name: str, remote: str) -> Path:
    """The folder of the package that a stage, a version or a package's hash names; which it is, is said aloud.

    Raises:
        DataError: there is none, it cannot be brought, or it is not what was registered.
    """
    history = tags.shared_history(root, remote, tags.registry_name(root))
    version = find_version(history, name)
    folder = package_of(root, version)
    print(f"{history.registry} {version.record.version}, package {version.record.package[:12]}", file=sys.stderr)
    return folder


def words(options: Mapping[str, object]) -> list[str]:
    """Options as they are typed, by name: True is a flag, and what is None or False is left out."""
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    return [word for name, value in given.items() for word in ([name] if value is True else [name, str(value)])]


def run(package: Path, subcommand: str, arguments: Sequence[str]) -> tuple[int, str]:
    """(exit code, what it printed) of a subcommand of this checkout, in a process where the package's code scores."""
    command = by_its_own_code(package, [subcommand, "--package", str(package), *arguments])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def become(package: Path, subcommand: str, arguments: Sequence[str]) -> None:
    """The same in the place of this process, which ends with it."""
    command = by_its_own_code(package, [subcommand, "--package", str(package), *arguments])
    os.execv(command[0], command)
