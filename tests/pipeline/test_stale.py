"""Which stages DVC would run again after a change: never a training for a plot, a page or a metric."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo

from faults import flipped
from pipeline_clone import Clone

pytestmark = pytest.mark.pipeline

EVALUATING = {"evaluate", "package", "probe", "report"}  # cheap, and of the same bytes where a comment changed
AFTER_A_CHANGE_OF = {
    "README.md": set[str](),
    "docs/how-to/storage.md": set(),
    "docs/draw_plots.py": set(),
    "experiments/ablation.yaml": set(),
    "src/spira/commands/compare.py": set(),
    "src/spira/compare/plots.py": set(),
    "src/spira/doctor/checks.py": set(),
    "src/spira/repository/git.py": set(),
    "src/spira/sweeps/plots.py": set(),
    "docs/card.yaml": {"report"},
    "src/spira/plots/charts.py": {"report"},
    "src/spira/report/page.html": {"report"},
    "src/spira/report/page.py": {"report"},
    "src/spira/report/plots.py": {"report"},
    "src/spira/stages/report.py": {"report"},
    "src/spira/evaluation/curves.py": EVALUATING,
    "src/spira/evaluation/markdown.py": EVALUATING,
    "src/spira/evaluation/metrics.py": EVALUATING,
    "src/spira/probes/summary.py": {"check", "probe"},
    "src/spira/scorer/answer.py": {"package"},
    "src/spira/stages/evaluate.py": {"evaluate"},
    # and where it must: a module that trains, one that renders features, one of a subfolder
    "src/spira/training/loop.py": {"check", "train@pooled_cnn-holdout-1"},
    "src/spira/features/spectra.py": {"alter", "check", "featurize", "fit@statistics-holdout", "package", "probe"},
    "src/spira/baselines/statistics.py": {"alter", "fit@statistics-holdout", "package", "predict"},
    "src/spira/ingest/containers/ogg.py": {"check", "ingest", "ingest_noise", "package"},
}


@pytest.fixture(scope="module")
def folder(reproduced: Clone) -> Iterator[Path]:
    clone = reproduced.copy("stale")
    yield clone.folder
    shutil.rmtree(clone.folder)


def stale(folder: Path) -> set[str]:
    """The stages of which `dvc status` says that something is not as it was."""
    with Repo(str(folder)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}  # before it, the way from here to dvc.yaml


def changed_dependencies(folder: Path) -> dict[str, list[str]]:
    """The dependencies of each stage that `dvc status` calls modified, from the clone's root; it says nothing else."""
    found: dict[str, list[str]] = {}
    with Repo(str(folder)) as repo:
        for name, changes in repo.status().items():
            (change,) = changes
            assert change.keys() == {"changed deps"}
            assert set(change["changed deps"].values()) == {"modified"}
            found[name.rpartition(":")[2]] = list(change["changed deps"])
    return found


def test_what_a_change_of_a_file_makes_dvc_run(folder: Path) -> None:
    """Law 2: a comment in each of them, and the stages of which `dvc status` says that it, or its folder, is modified.

    Many at once: no two of them lie under one dependency, else neither would be the only name that fits.
    """
    assert changed_dependencies(folder) == {}
    found: dict[str, set[str]] = {}
    for names in one_a_folder(AFTER_A_CHANGE_OF):
        before = {name: (folder / name).read_bytes() for name in names}
        for name, content in before.items():
            (folder / name).write_bytes(content + b"\n# another\n")
        found |= {name: set() for name in names}
        for stage, dependencies in changed_dependencies(folder).items():
            for dependency in dependencies:
                (name,) = [name for name in names if Path(name).is_relative_to(dependency)]
                found[name].add(stage)
        for name, content in before.items():
            (folder / name).write_bytes(content)
    assert found == AFTER_A_CHANGE_OF
    assert changed_dependencies(folder) == {}


def one_a_folder(names: Iterable[str]) -> list[list[str]]:
    """The names in a few lists, in each of which a package has one: `dvc status` takes seconds."""
    lists: list[dict[tuple[str, ...], str]] = []
    for name in names:
        package = Path(name).parts[:3]
        fitting = next((other for other in lists if package not in other), None)
        if fitting is None:
            lists.append(fitting := {})
        fitting[package] = name
    return [list(one.values()) for one in lists]


def test_what_python_and_numba_compile_is_no_dependency(folder: Path) -> None:
    """Their files lie in the folders that stages depend on: gone, another's or new, no stage is stale."""
    caches = sorted((folder / "src").rglob("__pycache__"))
    assert {path.suffix for cache in caches for path in cache.iterdir()} >= {".nbi", ".nbc"}
    for cache in caches:
        (cache / "loop.cpython-311.pyc").touch()
        for path in cache.iterdir():
            path.write_bytes(b"of another version")
    assert stale(folder) == set()
    for cache in caches:
        shutil.rmtree(cache)
    assert stale(folder) == set()


def test_a_new_file_in_a_folder_that_is_a_dependency_is_seen(folder: Path) -> None:
    """No import names it yet, but DVC cannot know: the stages that have the folder run again."""
    new = folder / "src/spira/models/cpu/new.py"
    new.write_text("")
    assert stale(folder) == {
        "alter",
        "check",
        "fit@statistics-holdout",
        "package",
        "predict",
        "train@pooled_cnn-holdout-1",
    }
    new.unlink()


def test_a_flipped_bit_is_refused_by_the_stage_that_dvc_starts(folder: Path) -> None:
    """DVC sees nothing, and starts it: of a folder the file is named, by the list in DVC's cache; then all is well."""
    clone, name = Clone(folder), "data/features/train/views-0.npy"
    again = ("dvc", "repro", "--single-item", "--force", "train@pooled_cnn-holdout-1")
    with flipped(folder / name, 4321):
        assert stale(folder) == set()
        refused = clone.run(*again, check=False)
    assert refused.returncode != 0
    assert f"DataError: {name}: damaged, or changed by another than the stage that wrote it" in refused.stderr
    assert clone.dvc(*again[1:]) == ["train@pooled_cnn-holdout-1"]
    assert stale(folder) == set()
