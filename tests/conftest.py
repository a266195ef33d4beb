"""What several test files share and is slow to make."""

import pytest

from clone import Clone
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
