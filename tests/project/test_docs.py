"""Every command block of the README and docs/ runs, in order, on a clone with a tiny corpus: none goes stale.

A block of ```console holds commands, one a line. Where lines begin with ``$ `` the others are output: a command with an
error in its output must fail, and each line of the error must really be printed, but for its numbers and folders.
A block of ```diff is applied to the clone where it stands among them.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from s3fs import S3FileSystem

from in_process import dvc_here, spira
from pipeline_clone import Clone
from s3_servers import KEY, Server
from tiny import GIT_IDENTITY, ROOT, write_tiny_corpus

pytestmark = pytest.mark.pipeline
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_HERE = {
    "make test": "this suite",
    "make lock": "needs the package index for minutes",
    "spira staleness --out /tmp/staleness": "needs recordings of several months, and the tiny corpus has no dates",
}
# By path, as a reader finds them. Without probes and page: a third less.
THAT_TRAIN_OFTEN = {
    "README.md",
    "docs/explanation/real-voices.md",
    "docs/getting-started/experiments.md",
    "docs/how-to/bring-a-corpus.md",
    "docs/how-to/extend.md",
    "docs/how-to/mistakes.md",
}
# Typed once a week: they train, sweep and report for minutes, or only run again what the suite itself runs.
LONG = {
    "CONTRIBUTING.md",
    "docs/explanation/architecture.md",
    "docs/explanation/real-voices.md",
    "docs/getting-started/experiments.md",
    "docs/how-to/extend.md",
    "docs/how-to/promote.md",
    "docs/how-to/pull-requests.md",
    "docs/reference/probes.md",
}
FEW_TRIALS = "sed -i 's/_trials: 12/_trials: 2/; s/_startup: 5/_startup: 1/'"
GRU = "dvc exp run --name gru -S models.networks=[gru] -S train.max_epochs=1"
# Of mistakes.md, one that DVC refuses and one that a stage does; `dvc exp run` takes thrice as long for the others.
AS_TYPED = {"dvc exp run -S train.lrr=0.001", "dvc exp run -S train.lr=nan"}
# Pages that say `dvc repro` or `dvc exp run` to the code as it is: in this process, which has imported it all.
WITH_THIS_CODE = {"README.md", "docs/how-to/bring-a-corpus.md", "docs/how-to/mistakes.md"}
# A page that changes the code, which a process of its own must read.
WITH_OTHER_CODE = {"docs/how-to/extend.md"}
ERROR = re.compile(r"^(ParamError|DataError|ERROR|refused|params\.yaml:)")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass
class Command:
    """A line to type, and what the page says comes back."""

    line: str
    output: list[str] = field(default_factory=list)
    typed: str = ""  # into the command

    @property
    def fails(self) -> bool:
        return any(ERROR.match(line) for line in self.output)


def commands(page: str) -> list[Command]:
    """Every command of a page's console blocks, comments cut off, and ``git apply`` for every diff."""
    found: list[Command] = []
    for kind, block in re.findall(r"^```(console|diff)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        if kind == "diff":
            found.append(Command("git apply", typed=block))
            continue
        prompted = block.startswith("$ ")
        for line in filter(None, block.splitlines()):
            if not prompted or line.startswith("$ "):
                found.append(Command(re.sub(r"\s{2,}#.*", "", line.removeprefix("$ "))))
            else:
                found[-1].output.append(line)
    return found


class Reader:
    """Somebody who types what a page says, in a clone that ran once, beside an S3 server."""

    def __init__(self, folder: Path, server: Server, *, remote: bool, page: str) -> None:
        self.folder, self.server, self.page = folder, server, page
        home = folder.parent / "home"
        write_tiny_corpus(home / "my-recordings", home / "my-noise")
        environment_folder = (
            folder.parent / "environment"
        )  # stands for .venv, ready and newer than what it is made from
        environment_folder.mkdir()
        (environment_folder / "bin").symlink_to(Path(sys.executable).parent)
        (environment_folder / "ready").touch()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            **GIT_IDENTITY,
            **KEY,
            "HOME": str(home),
            "MAKEFLAGS": f"VENV={environment_folder}",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DVC_NO_ANALYTICS": "1",
        }
        if remote:  # as `dvc remote modify --local` writes it, which storage.md types
            local = f"['remote \"storage\"']\n    url = s3://bucket/dvc\n    endpointurl = {server.url}\n"
            (folder / ".dvc/config.local").write_text(local)

    def repro_with(self, settings: list[str]) -> subprocess.CompletedProcess[str]:
        """What ``dvc exp run -S`` writes, and then its stages without the experiment around them."""
        apply_overrides(self.folder / "params.yaml", settings)
        return self.type("dvc repro")

    def type(self, line: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        for written, meant in {
            "s3://<bucket>/<path>": "s3://bucket/dvc",
            "https://<server>": self.server.url,
            "spira drift data/raw/demo": "spira drift data/raw/tiny",  # beside itself, as on the page
            "train.max_epochs=15": "train.max_epochs=1",
            "seeds=[1,2,3,4]": "seeds=[1,2]",  # one more, as on the page, which starts from three
            "spira sweep": f"{FEW_TRIALS} experiments/gate.yaml && spira sweep",
            "do sleep 5": "do sleep 1",
            # ends with its training; the next of the page, of the same network, goes on to the metrics
            GRU: f"{GRU} train",
        }.items():
            line = line.replace(written, meant)
        if self._runs_here(line):
            command, *arguments = shlex.split(line)
            S3FileSystem.clear_instance_cache()  # a process has no connection of the one before
            here = {"dvc": dvc_here, "spira": spira}[command]
            result = here(self.folder, *arguments, environment=self.environment)
            return subprocess.CompletedProcess(line, result.returncode, result.stdout + result.stderr)
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=typed,
            text=True,
            check=False,
            timeout=300,
        )

    def _runs_here(self, line: str) -> bool:
        """Whether the line is one command that this process can do as well, and no shell has a part in it."""
        if line in AS_TYPED or not re.fullmatch(r"(dvc|spira) (?!serve\b)[^~$*|&;<>]*", line):
            return False
        runs_stages = re.match(r"dvc (repro|exp run)\b", line)
        return self.page in WITH_THIS_CODE if runs_stages else self.page not in WITH_OTHER_CODE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("rclone", tmp_path_factory.mktemp("docs_storage") / "objects")
    yield server
    server.kill()


def as_printed(line: str) -> str:
    """Without what differs between clones: numbers and folders."""
    return re.sub(r"\d+", "N", re.sub(r"(/[\w.@-]+)+/", "/", line)).strip()


@pytest.mark.ml_test_score("Data 6", manual=True)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page_name(page), marks=[pytest.mark.long] if page_name(page) in LONG else [])
        for page in PAGES
    ],
)
def test_every_command_on_the_page_does_what_it_says(
    page: Path, reproduced: Clone, server: Server, tmp_path: Path
) -> None:
    """Typed in order, each succeeds, or fails with the very words on the page."""
    folder = tmp_path / "spira"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    if page_name(page) in THAT_TRAIN_OFTEN:
        Clone(folder).rest()
    reader = Reader(folder, server, remote=page.name != "mistakes.md", page=page_name(page))
    for command in commands(page.read_text()):
        if command.line in NOT_HERE or (_needs_corpus(command.line) and "SPIRA_CORPUS" not in os.environ):
            continue
        if page.name == "mistakes.md" and "exp run" in command.line and command.line not in AS_TYPED:
            result = reader.repro_with([word for word in shlex.split(command.line)[3:] if word != "-S"])
        else:
            result = reader.type(command.line, command.typed)
        said = f"{page_name(page)}: {command.line}\n{result.stdout}"
        assert (result.returncode != 0) == command.fails, said
        printed = {as_printed(line) for line in result.stdout.splitlines()}
        for line in command.output:
            assert not ERROR.match(line) or as_printed(line) in printed, f"{line!r} is not in\n{said}"


def _needs_corpus(line: str) -> bool:
    return any(name in line for name in ("SPIRA_CORPUS", "coswara", "everyday"))


def test_the_pages_are_found_and_have_commands() -> None:
    """The parser sees what a reader sees: a hundred commands would not vanish unnoticed."""
    by_page = {page_name(page): commands(page.read_text()) for page in PAGES}
    assert all(by_page.values()), by_page
    assert sum(command.fails for command in by_page["docs/how-to/mistakes.md"]) >= 10


def test_a_command_that_stopped_working_is_seen() -> None:
    """Prompt, comment and output are distinguished."""
    page = "```console\n$ dvc repro   # all\nParamError: a.yaml:3: no\n```\n```console\nmake push    # to S3\n```\n"
    assert commands(page) == [Command("dvc repro", ["ParamError: a.yaml:3: no"]), Command("make push")]
