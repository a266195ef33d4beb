"""A clone of this checkout on the tiny corpus, and the real command line in it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from in_process import dvc_here
from spira.repository.git import environment_without_git
from tiny import GIT_IDENTITY, ROOT, tiny_params, write_tiny_corpus


class Clone:
    """A clone of this checkout as it stands, with the tiny corpus in it."""

    def __init__(self, folder: Path, stages: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.stages = stages  # that its first ``dvc repro`` ran

    @staticmethod
    def made(folder: Path) -> "Clone":
        """A new one, reproduced and committed."""
        clone = Clone.filled(folder)
        clone.stages = tuple(clone.dvc("repro"))
        clone.commit("results")
        return clone

    @staticmethod
    def filled(folder: Path) -> "Clone":
        """A new one, in which nothing has run."""
        clone = Clone(folder)
        clone._fill()
        return clone

    def copy(self, name: str) -> "Clone":
        """The same beside it, with a cache of its own: a second instead of the twenty of ``dvc repro``."""
        shutil.copytree(self.folder, self.folder.parent / name, symlinks=True)
        shutil.rmtree(self.folder.parent / name / ".dvc/tmp", ignore_errors=True)
        return Clone(self.folder.parent / name, self.stages)

    def anew(self, name: str) -> "Clone":
        """The same beside it, without what Python and numba have compiled: as a fresh clone is."""
        clone = self.copy(name)
        for folder in list(clone.folder.rglob("__pycache__")):
            shutil.rmtree(folder)
        return clone

    def _fill(self) -> None:
        folder = self.folder
        folder.mkdir(exist_ok=True)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file() and name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        write_tiny_corpus(folder / "data/raw/tiny", folder / "data/raw/tiny_noise")
        (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
        self.git("init", "-q", "-b", "main")
        self.dvc("add", "-q", "data/raw/tiny", "data/raw/tiny_noise")
        self.commit("a tiny corpus")

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**environment_without_git(), **GIT_IDENTITY, "PATH": path, "DVC_NO_ANALYTICS": "1"}
        for name in ("PYTHONPATH", "NUMBA_CACHE_DIR"):  # a user has none
            environment.pop(name, None)
        return environment

    def run(
        self, *command: str, check: bool = True, set_: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment() | dict(set_ or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}\n{result.stderr}"
        return result

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def dvc(self, *arguments: str) -> list[str]:
        """The stages that a dvc command ran, in their order."""
        return ran(self.run("dvc", *arguments).stdout)

    def dvc_here(self, *arguments: str) -> list[str]:
        """The same in this process, and by this checkout's code: half of the time, where no process is tested."""
        result = dvc_here(self.folder, *arguments, environment=self.environment())
        assert result.returncode == 0, f"{' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
        return ran(result.stdout)

    def rest(self) -> None:
        """Freezes and commits what comes after ``evaluate``, as ``dvc freeze`` does: a run is a third shorter."""
        dvc_yaml = self.folder / "dvc.yaml"
        stages = re.sub(
            r"^  (alter|probe|report|package):$", r"\g<0>\n    frozen: true", dvc_yaml.read_text(), flags=re.MULTILINE
        )
        dvc_yaml.write_text(stages)
        self.commit("four stages rest")

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)


def ran(output: str) -> list[str]:
    return re.findall(r"^Running stage '([\w@-]+)'", output, re.MULTILINE)
