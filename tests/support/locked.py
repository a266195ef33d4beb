"""The sha256 of every file of each pinned version, and what only a newer Python needs; `make hashes` writes both."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

_NEWER = r" ; python_full_version >= '3\.\d+'"  # the one marker there is: what the standard library lost since
PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def pythons(pyproject: str) -> list[str]:
    """The versions of Python that a pyproject.toml admits, oldest first: 3.11, 3.12 and 3.13 for ``>=3.11,<3.14``."""
    admitted = tomllib.loads(pyproject)["project"]["requires-python"]
    limits = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", admitted)
    assert limits, f"requires-python: must be >=3.x,<3.y, got {admitted}"
    return [f"3.{minor}" for minor in range(int(limits[1]), int(limits[2]))]


def pins(text: str) -> list[str]:
    """``name==version`` of each package that a requirements file pins."""
    return re.findall(r"^[\w.-]+==[^\s\\]+", text, re.MULTILINE)


def newer(text: str) -> list[str]:
    """The pins that only a newer Python installs, each with its marker."""
    return re.findall(rf"^[\w.-]+==\S+{_NEWER}", text, re.MULTILINE)


def every_python(text: str) -> list[str]:
    """The pins that every Python installs."""
    only = {pin.split(" ;")[0] for pin in newer(text)}
    return [pin for pin in pins(text) if pin not in only]


def head(text: str) -> str:
    """Its comments, and the file that it builds on."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith(("#", "-r")))


def with_hash(text: str, name: str, sha256: str) -> str:
    """The same with one more hash of a package, first, where it was not listed; the same text for another package."""
    if f"--hash=sha256:{sha256}" in text:
        return text
    return re.sub(rf"^({name}==\S+) \\$", rf"\1 \\\n    --hash=sha256:{sha256} \\", text, flags=re.MULTILINE)


def hashes(text: str, pin: str) -> list[str]:
    """The sha256 that are listed for a pin."""
    block = re.search(rf"^{re.escape(pin)}(?:{_NEWER})? \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE)
    return re.findall(r"sha256:(\w+)", block[1]) if block else []


def hashed(requirements: list[str]) -> str:
    """The same, each with the hashes of all its files, whatever system and whatever Python they are for."""
    found = _compiled(requirements, "--no-deps", "--generate-hashes")
    assert sorted(map(spelt, pins(found))) == sorted(map(spelt, pins("\n".join(requirements)))), (
        "uv left out a pin, or changed it"
    )
    return found


def _compiled(requirements: list[str], *options: str) -> str:
    """What uv makes of requirements, for the oldest Python that is admitted and every newer one."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal", "--no-header"),
        *("--no-annotate", "--python-version", pythons(PYPROJECT.read_text(encoding="utf-8"))[0], *options, "-"),
    ]
    return subprocess.run(command, input="\n".join(requirements), check=True, capture_output=True, text=True).stdout


def spelt(pin: str) -> str:
    """A name in its one spelling: ``ruamel.yaml.clib`` is ``ruamel-yaml-clib``."""
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


if __name__ == "__main__":
    report, *files = map(Path, sys.argv[1:])
    (taken,) = json.loads(report.read_text(encoding="utf-8"))["install"]
    name = taken["metadata"]["name"]
    locked: list[str] = []
    for file in files:
        before = file.read_text(encoding="utf-8")
        wanted = newer(_compiled([*locked, *every_python(before), *newer(before)]))
        here = [*every_python(before), *(pin for pin in wanted if pin not in locked)]
        locked += here
        text = head(before) + hashed(here)
        builds = [old for pin in pins(text) if pin.startswith(f"{name}==") for old in hashes(before, pin)]  # of others
        for sha256 in [*builds, taken["download_info"]["archive_info"]["hashes"]["sha256"]]:
            text = with_hash(text, name, sha256)
        file.write_text(text, encoding="utf-8")
