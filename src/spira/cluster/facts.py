"""What decides the numbers that a process computes, beside its input: compared before another process may compute."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import NamedTuple

from spira.base.arithmetic import processor, require, variables
from spira.base.errors import DataError
from spira.base.files import hash_file
from spira.base.params import load

REQUIREMENTS = Path("requirements.txt")
PACKAGE = Path(__file__).parents[1]
_MOST_NAMED = 3


class Facts(NamedTuple):
    """Of one process; where two have the same, they compute the same."""

    code: Mapping[str, str]  # hash by file of this package
    settings: Mapping[str, str]  # versions, variables of the arithmetic, and what torch computes with


def locked_packages() -> tuple[str, ...]:
    """The names in requirements.txt, on which every stage depends.

    Raises:
        DataError: it is not there.
    """
    try:
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{REQUIREMENTS}: no such file; run from the repository's root") from error
    return tuple(line.partition("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#")))


def facts(packages: Iterable[str], programs: Iterable[str] = ()) -> Facts:
    """Those of this process, once it has imported what it computes with.

    Under ``arithmetic: portable`` processors may differ, under ``native`` their model is among the facts.

    Args:
        packages: whose versions decide what is computed.
        programs: likewise, where they are on the PATH; each answers to ``-version``.

    Raises:
        ParamError: this processor cannot do what ``arithmetic: portable`` asks for.
    """
    require()
    portable = load("arithmetic", str) == "portable"
    settings = {"Python": platform.python_version()} | {name: _version(name) for name in packages}
    settings |= {name: _program(name) for name in programs}
    settings |= {name: os.environ.get(name, "not set") for name in variables("portable")}
    settings |= {} if portable else {"the processor": processor()}
    code = {path.relative_to(PACKAGE.parent).as_posix(): hash_file(path) for path in sorted(PACKAGE.rglob("*.py"))}
    return Facts(code, settings | _torch())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _program(name: str) -> str:
    """The first line that it says of its version."""
    if (found := which(name)) is None:
        return "not on the PATH"
    said = subprocess.run([found, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0] or f"silent, with exit status {said.returncode}"


def _torch() -> dict[str, str]:
    """Nothing where this process has not imported it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    return {"torch's device": device, "torch's instructions": torch.backends.cpu.get_cpu_capability()}


def differences(here: Facts, there: Facts) -> str:
    """What differs, in words; "" where nothing does. What only one of them has imported is no difference."""
    files = sorted(name for name in {*here.code, *there.code} if here.code.get(name) != there.code.get(name))
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    found = [f"{', '.join(files[:_MOST_NAMED])}{more} differ in their code"] if files else []
    both = [name for name in here.settings if name in there.settings]
    found += [
        f"{name} is {there.settings[name]} there and {here.settings[name]} here"
        for name in both
        if here.settings[name] != there.settings[name]
    ]
    return "; ".join(found)
