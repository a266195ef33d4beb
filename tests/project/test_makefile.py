"""The Makefile makes and checks; what it lists exists, and what `spira` does has no second name there."""

import re
import subprocess

import pytest

from spira.commands.spira import SUBCOMMANDS
from tiny import ROOT

ENVIRONMENT = ".venv/ready"


def make(*arguments: str) -> str:
    """What it prints, with the environment taken for made."""
    command = ["make", f"--old-file={ENVIRONMENT}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


LISTED = re.findall(r"^  make ([a-z-]+)", make("help"), re.MULTILINE)
BENCHES = re.findall(r"^  make (bench-[a-z-]+) +(.*)$", make("bench"), re.MULTILINE)


def test_the_help_is_grouped_by_purpose() -> None:
    """The first section is what everybody types."""
    sections = re.findall(r"^([A-Z][a-z ]+):\n((?:  make .+\n)+)", make("help"), re.MULTILINE)
    assert [heading for heading, _ in sections] == ["Run and check", "The environment", "What is committed", "Measure"]
    assert re.findall(r"^  make (\S+)", sections[0][1], re.MULTILINE)[:2] == ["repro", "test"]


@pytest.mark.parametrize("target", LISTED)
def test_every_target_that_is_listed_is_one(target: str) -> None:
    make("--dry-run", target)


def test_no_target_repeats_a_subcommand() -> None:
    """`spira` has one name for each thing."""
    assert not {*LISTED} & {*SUBCOMMANDS}


def test_every_benchmark_is_listed_with_what_it_measures() -> None:
    assert len(BENCHES) >= 11
    for target, summary in BENCHES:
        assert len(summary) > 20
        assert "make" not in summary
        (file,) = re.findall(r"^python (benchmarks/\w+\.py)", make("--dry-run", target), re.MULTILINE)
        assert (ROOT / file).is_file()
        assert f"`make {target}`" in (ROOT / file).read_text().partition("\n")[0]


def test_every_benchmark_that_is_written_somewhere_is_one() -> None:
    """A page or a docstring that says `make bench-...` names a target."""
    folders = [ROOT / name for name in ("docs", "benchmarks", "src", "tests", "experiments")]
    files = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.*"))]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".md", ".py", ".yaml")]
    written = {target for text in texts for target in re.findall(r"make (bench-[a-z][a-z-]*[a-z])", text)}
    assert len(written) >= len(BENCHES)
    assert written <= {"bench-quick", *(target for target, _ in BENCHES)}


def test_a_run_repairs_first_and_says_last_whether_the_committed_bytes_came_out() -> None:
    """Trainings run side by side where more than one at once is asked for."""
    one, three = (make("--dry-run", "repro", f"JOBS={jobs}").splitlines() for jobs in (1, 3))
    assert one == ["spira doctor --locks", "dvc repro", "spira changes", "spira reproduced"]
    assert three == [one[0], "spira train-parallel '3'", *one[1:]]
