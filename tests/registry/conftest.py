"""What the tests of the registry share."""

import pytest

from packaged import Packaged
from registered import Registered, registered


@pytest.fixture(scope="session")
def made(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """Nothing is promoted in it; tests that do work in copies."""
    return registered(tmp_path_factory.mktemp("registry"), packaged)
