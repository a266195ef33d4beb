"""Clones of a small repository with data, as two people have them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from s3fs import S3FileSystem

from in_process import spira
from spira.repository.git import environment_without_git
from tiny import GIT_IDENTITY, ROOT

BIN = Path(sys.executable).parent


class Clone:
    """A git and DVC repository with this one's .dvc/config and one folder of data."""

    def __init__(self, folder: Path, key: dict[str, str] | None = None) -> None:
        self.folder, self.key = folder, key or {}

    def environment(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in environment_without_git().items() if not name.startswith("AWS_")}
        paths = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
        home = {"HOME": str(self.folder.parent), "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site")}
        return {**clean, **paths, **home, **GIT_IDENTITY, "DVC_NO_ANALYTICS": "1", **self.key, **more}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = self.environment(**environment)
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def do(self, *command: str) -> str:
        result = self.run(*command)
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def spira(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """In this process."""
        S3FileSystem.clear_instance_cache()  # a process has no connection of the one before
        return spira(self.folder, *arguments, environment=self.environment(**environment))

    def storage(self, command: str) -> str:
        done = self.spira(command)
        assert done.returncode == 0, f"spira {command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def refused(self, command: str, **environment: str) -> str:
        """The message of a command that must fail."""
        done = self.spira(command, **environment)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def point(self, prefix: str, url: str, read_timeout: int = 1) -> None:
        """Its remote is this server, which has so many seconds to answer."""
        local = f"['remote \"storage\"']\n    url = s3://bucket/{prefix}\n    endpointurl = {url}\n"
        (self.folder / ".dvc/config.local").write_text(local + f"    read_timeout = {read_timeout}\n")

    def data(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "data").glob("*"))}

    def cached(self, key: str) -> Path:
        return self.folder / ".dvc/cache" / key[key.index("files/md5") :]

    def copy(self, folder: Path, key: dict[str, str]) -> "Clone":
        shutil.copytree(self.folder, folder)
        return Clone(folder, key)


def start(folder: Path) -> Clone:
    """A repository with nothing but DVC and the remote's name."""
    clone = Clone(folder)
    clone.do("git", "init", "-q", "-b", "main")
    clone.do("dvc", "init", "-q")
    shutil.copy2(ROOT / ".dvc/config", folder / ".dvc/config")
    return clone


def make(folder: Path, files: dict[str, bytes]) -> Clone:
    """A repository whose one commit has these files in ``data``."""
    clone = start(folder)
    (folder / "data").mkdir()
    for name, content in files.items():
        (folder / "data" / name).write_bytes(content)
    clone.do("dvc", "add", "-q", "data")
    clone.do("git", "add", "-A")
    clone.do("git", "commit", "-q", "-m", "data")
    return clone
