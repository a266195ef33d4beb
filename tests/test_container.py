"""The Containerfile holds what runs, of the versions that the repository names, for a user without a name."""

import json
import re
from itertools import chain

import yaml

from locked import pythons
from tiny import ROOT

LINES = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES if line and not line.startswith("#")]
COPIED = {source for word, rest in STEPS if word == "COPY" for source in rest.split()[:-1]}
CONTAINER = yaml.load((ROOT / ".github/workflows/weekly.yml").read_text(), yaml.BaseLoader)["jobs"]["container"]


def arguments(word: str) -> list[str]:
    """What follows a word, line by line."""
    return [rest for first, rest in STEPS if first == word]


def test_its_base_has_a_python_that_is_admitted_and_a_version() -> None:
    """The oldest, as everywhere; and no base that is another tomorrow by its name."""
    assert arguments("FROM") == ["${BASE}"]
    (base,) = [rest.removeprefix("BASE=") for rest in arguments("ARG") if rest.startswith("BASE=")]
    oldest = pythons((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[0]
    assert re.fullmatch(rf"python:{re.escape(oldest)}-slim-[a-z]+", base)
    assert not any("latest" in line for line in LINES)
    assert base in CONTAINER["strategy"]["matrix"]["base"]


def test_its_environment_is_the_locked_one() -> None:
    """Made by the Makefile, which refuses what has another hash; nothing else is installed from the index."""
    runs = "\n".join(arguments("RUN"))
    assert "make venv PYTHON=python3 VENV=/opt/spira" in runs
    assert "pip install" not in runs
    assert "PATH=/opt/spira/bin:$PATH" in " ".join(arguments("ENV"))


def test_what_the_stages_depend_on_is_in_it_and_nothing_that_is_not_copied() -> None:
    """All that dvc.yaml names but data; .dockerignore lets that through, and no more."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    needed = set(chain.from_iterable(stage.get("do", stage)["deps"] for stage in pipeline))
    code = {"src" if path.startswith("src/") else path for path in needed if not path.startswith(("data/", "${"))}
    assert code | {"dvc.yaml", "params.yaml", "pyproject.toml", "requirements-tools.txt"} <= COPIED
    assert [path for path in COPIED if not (ROOT / path).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    assert admitted == {re.sub(r"^requirements.*", "requirements*.txt", path) for path in COPIED}


def test_its_user_has_a_number_alone_and_its_command_is_a_stage() -> None:
    """What it needs of a name and of a home it brings along; nothing is made after the user is set."""
    assert [word for word, _ in STEPS][-2:] == ["USER", "CMD"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", arguments("USER")[0])
    environment = " ".join(arguments("ENV"))
    assert all(name in environment for name in ("LOGNAME=", "HOME=/tmp", "DVC_SITE_CACHE_DIR=/tmp/"))
    python, flag, module = json.loads(arguments("CMD")[0])
    assert (python, flag) == ("python", "-m")
    assert (ROOT / "src" / f"{module.replace('.', '/')}.py").is_file()


def test_it_is_built_and_run_every_week() -> None:
    """Nameless, read-only and without a network; and the committed bytes come out."""
    scripts = "\n".join(step["run"] for step in CONTAINER["steps"] if "run" in step).replace("\\\n", "")
    runs = [line for line in scripts.splitlines() if "podman run" in line]
    assert "podman build" in scripts
    assert len(runs) == 2
    for line in runs:
        assert all(flag in line for flag in ("--read-only", "--tmpfs /tmp", "--user 12345:12345", "--network none"))
    assert "diff --exit-code dvc.lock" in scripts
