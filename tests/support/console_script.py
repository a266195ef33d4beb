"""The command ``spira`` as pip writes it from pyproject.toml, on this checkout's code: no installation is needed."""

import sys
import tomllib
from pathlib import Path

from closures import ROOT


def console_script(folder: Path) -> Path:
    """The folder that has it, for PATH."""
    ((name, entry),) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items()
    module, function = entry.split(":")
    script = folder / "bin" / str(name)
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    script.chmod(0o755)
    return script.parent
