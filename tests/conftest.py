"""What several test files share and is slow to make.

torch, DVC and the stages are imported where they are used: xdist's own process, for which the workers wait, uses none.
"""

from spira.base import arithmetic

arithmetic.settle()  # before NumPy and torch are loaded: golden numbers are portable ones

import gc
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from spira.repository.git import WHICH_REPOSITORY

if TYPE_CHECKING:
    from packaged import Packaged
    from pipeline_clone import Clone
    from two_revisions import Repository

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core: neither it nor what it starts takes another's
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)

# Of thousands of files: no test cuts the power, and one whose disk fails puts that in its place.
os.fsync = lambda fd: None  # noqa: ARG005
gc.disable()  # until all is collected: else half of the time goes into looking for garbage among modules and tests
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes import the same modules: compiled once
# nohup leaves the first ignored, a shell that runs this behind it the second; all that is started would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in WHICH_REPOSITORY:  # set by git where a hook of it runs the suite: tests would commit to that repository
    os.environ.pop(name, None)


# Minutes each. The first makes the clone that most of the others copy; the second needs none, and so does not wait.
LONGEST = (
    "tests/pipeline/test_kfold_pipeline.py",
    "tests/remote/test_storage.py",
    "tests/sweeps/test_sweep.py",
    "tests/pipeline/test_pipeline.py",
    "tests/project/test_docs.py::test_every_command_on_the_page_does_what_it_says[README.md]",
    "tests/training/",
    "tests/base/test_arithmetic.py",
)


class ByFileOrPage(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests share what is slow to make, so one worker runs them; the pages of test_docs.py share little."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith("tests/project/test_docs.py") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrPage:
    return ByFileOrPage(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that the workers end together."""

    def rank(item: pytest.Item) -> int:
        files = [n for n, name in enumerate(LONGEST) if item.nodeid.startswith(name)]
        return files[0] if files else len(LONGEST) + ("pipeline" not in item.keywords)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: from here on, garbage is looked for among the rest."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a GPU its tests are skipped; they fail on a machine that is there for them."""
    import torch

    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        if os.environ.get("SPIRA_REQUIRE_CUDA"):
            pytest.fail("SPIRA_REQUIRE_CUDA is set, and torch finds no CUDA device")
        pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of all workers."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> "Repository":
    """Made once, by the first worker that wants it; each works in a copy, in which its tests leave ``main`` clean."""
    from two_revisions import Repository, build

    made, folder = shared / "two_revisions", tmp_path_factory.mktemp("repository") / "copy"
    with FileLock(shared / "two_revisions.lock"):
        if not made.is_dir():
            made.with_suffix(".part").mkdir()
            build(made.with_suffix(".part")).folder.rename(made)
    shutil.copytree(made, folder, symlinks=True)
    return Repository(folder)


@pytest.fixture(scope="session")
def reproduced(shared: Path) -> "Clone":
    """Reproduced once, by the first worker that wants it; each test file works in a copy of its own."""
    from pipeline_clone import Clone

    folder, stages = shared / "clones/reproduced", shared / "clones/stages.json"
    with FileLock(shared / "clones.lock"):
        if not stages.is_file():
            folder.mkdir(parents=True)
            stages.write_text(json.dumps(Clone.made(folder).stages))
    return Clone(folder, tuple(json.loads(stages.read_text())))


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> "Packaged":
    """Packed once, by the first worker that wants it; its tests only read it."""
    from packaged import Packaged, made

    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "packaged"
    with FileLock(root.with_suffix(".lock")):
        if not (root / "packages").is_dir():
            root.mkdir()
            made(root)
    return Packaged(root)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A stage that ran in this process took the smallest numbers for zero; the next test has them back."""
    yield
    import torch

    torch.set_flush_denormal(False)


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingest takes a corpus that is too small to be split: tests that look at three recordings need no more."""
    from spira.stages import ingest

    monkeypatch.setattr(ingest, "require_learnable", lambda *_: None)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks too small to share: two threads that wait for each other take several times as long."""
    yield from _threads(1)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Also where the test runs on one core."""
    yield from _threads(2)


def _threads(n_threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    yield
    torch.set_num_threads(before)
