"""What several test files share and is slow to make."""

from collections.abc import Iterator

import pytest
import torch

from pipeline_clone import Clone
from two_revisions import Repository, build


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Made once; its tests only read it."""
    return build(tmp_path_factory.mktemp("two_revisions"))


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Reproduced once; each test file works in a copy."""
    folder = tmp_path_factory.mktemp("clones") / "reproduced"
    folder.mkdir()
    return Clone.made(folder)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks too small to share: two threads that wait for each other take several times as long."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
