"""git, started in one place: on the repository in the folder that is named, and with its own words where it refuses."""

import os
import subprocess
import sys
from pathlib import Path

from spira.base.errors import DataError

# By these git finds another repository than the folder's, as in a hook: ``git rev-parse --local-env-vars`` (2.39) but
# for GIT_CONFIG_PARAMETERS and GIT_CONFIG_COUNT, which hold settings: git hands those on to submodules, too.
WHICH_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_HOW_PATHS_MATCH = ("GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_LITERAL_PATHSPECS", "GIT_NOGLOB_PATHSPECS")


def environment_without_git() -> dict[str, str]:
    """This process's, without what would lead git, or a DVC, to another repository than the one it is started in."""
    dropped = {*WHICH_REPOSITORY, *_HOW_PATHS_MATCH}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def repository_root() -> Path:
    """The current folder; DataError where it is not this repository's root, which has the dvc.yaml."""
    root = Path.cwd()
    if not (root / "dvc.yaml").is_file():
        raise DataError(f"{root}: no dvc.yaml here; run from the repository's root")
    return root


def git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    """What git prints, in English; a warning of its goes to stderr.

    Raises:
        DataError: git failed, with its own words, or there is no git.
    """
    result = _run(folder, arguments, given)
    if result.returncode:
        raise DataError(f"git {' '.join(arguments[:2])}: {_words(result) or f'exit status {result.returncode}'}")
    if words := _words(result):
        print(words, file=sys.stderr)
    return result.stdout


def object_name(folder: Path, name: str) -> str | None:
    """The hash of what git knows by this name; None where there is nothing: exit status 1, or 128 without a word.

    Raises:
        DataError: git could not look, with its own words.
    """
    result = _run(folder, ("rev-parse", "--verify", "--quiet", "--end-of-options", name), None)
    if words := _words(result):
        if result.returncode not in (0, 1):
            raise DataError(f"git rev-parse {name}: {words}")
        print(words, file=sys.stderr)
    return None if result.returncode else result.stdout.decode().strip()


def refusal(folder: Path) -> str:
    """Why git does not work on the repository of the folder, in its own words; "" where it does, or there is none."""
    try:
        if has_repository(folder):
            git(folder, "rev-parse", "--git-dir")
    except DataError as error:
        return str(error)
    return ""


def has_repository(folder: Path) -> bool:
    """Whether there is one to be found, be it that git refuses to work on it."""
    return any((above / ".git").exists() for above in (folder, *folder.parents))


def _run(folder: Path, arguments: tuple[str, ...], given: bytes | None) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]  # a user's hooks have no say in our clones
    environment = environment_without_git() | {"LC_ALL": "C"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, input=given, capture_output=True, check=False)
    except OSError as error:
        raise DataError(f"git cannot be started in {folder}: {error.strerror}; is it installed?") from error


def _words(result: subprocess.CompletedProcess[bytes]) -> str:
    return result.stderr.decode(errors="replace").strip()
