"""What the tests of a retraining share: a small repository, and DVC in this process."""

import shutil
import warnings
from pathlib import Path

import pytest
from dvc.cli import main

from registered import Registered
from retrained import small_repository
from spira.base.errors import DataError
from spira.retraining import corpus, run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """Nothing is promoted in it; tests work in copies."""
    return small_repository(tmp_path_factory.mktemp("retraining"))


@pytest.fixture
def work(small: Registered, tmp_path: Path) -> Registered:
    return small.copy(tmp_path / "copy")


@pytest.fixture
def new(work: Registered) -> Path:
    """A folder with the corpus that the repository has, to be changed and handed in."""
    folder = work.folder.parent / "export"
    shutil.copytree(work.folder / "data/raw/tiny", folder)
    return folder


@pytest.fixture(autouse=True)
def dvc_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the time of each step; a process of its own is what the end-to-end test starts."""

    def dvc(_: Path, *arguments: str, held: object = ()) -> None:  # noqa: ARG001
        with warnings.catch_warnings(action="ignore"):  # DVC's own, which the suite would make errors
            status = main(list(arguments))
        if status:
            raise DataError(f"dvc {arguments[0]} failed (exit status {status})")

    for module in (corpus, run):
        monkeypatch.setattr(module, "dvc", dvc)
