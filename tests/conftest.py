"""What several test files share and is slow to make."""

import pytest

from two_revisions import Repository, build


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Made once; its tests only read it."""
    return build(tmp_path_factory.mktemp("two_revisions"))
