"""`spira drift`: what it says of a log and of a folder, its exit codes and its files."""

import json
from datetime import date
from pathlib import Path

import pytest

from packaged import Packaged
from populations import draw
from spira.commands.spira import run
from spira.population.log import append
from spira.population.people import Answered
from spira.scorer.contents import require_whole
from untrained_package import write_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("package"))


def log(path: Path, package: Path, n: int, shift: float) -> Path:
    for number, person in enumerate(draw(5, n, {"level_db": shift})):
        kept = Answered(
            package=require_whole(package),
            inference=f"{number:032x}",
            day=date(2026, 11, 1 + number % 28),
            score=person.score,
            diagnosis=person.diagnosis,
            recordings=person.recordings,
        )
        append(kept, path)
    return path


@pytest.mark.parametrize(
    ("n", "shift", "status", "verdict"), [(40, 0.0, 0, "none"), (40, 3.0, 3, "drift"), (5, 9.0, 4, "too few")]
)
def test_the_exit_code_is_the_verdict(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int, shift: float, status: int, verdict: str
) -> None:
    path = log(tmp_path / "log", package, n, shift)
    assert run(["drift", "--log", str(path), "--package", str(package), "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert (found["schema_version"], found["verdict"], found["package"]) == (1, verdict, require_whole(package))


def test_a_folder_of_recordings_and_the_three_files(
    packaged: Packaged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The corpus beside itself; no name of a recording or a speaker is written anywhere."""
    asked = ["drift", str(packaged.recordings), "--package", str(packaged.package("statistics"))]
    assert run([*asked, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "**no drift**" in said
    assert (tmp_path / "out/drift.md").read_text() == said
    assert json.loads((tmp_path / "out/drift.json").read_text())["verdict"] == "none"
    page = (tmp_path / "out/drift.html").read_text()
    assert "<svg" in page
    assert not [text for text in (said, page) if "clip_0" in text]


def test_wrong_usage_is_said(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drift", "--package", str(package)]) == 2
    assert run(["drift", "a", "--log", "b"]) == 2
    assert run(["drift", "a", "--since", "2026-11-01"]) == 2
    assert "a folder has no days" in capsys.readouterr().err


def test_a_log_of_nobody_is_too_few_and_says_why(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a promotion, when all answers are of the package before."""
    path = log(tmp_path / "log", package, 5, 0.0)
    path.write_text(path.read_text().replace(require_whole(package), "f" * 64))
    assert run(["drift", "--log", str(path), "--package", str(package)]) == 4
    assert "5 answers are of other packages" in capsys.readouterr().out
