"""Whether this Python has what the locked requirements name. Only the standard library, which is always there."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spira.base.system_errors import naming
from spira.doctor.diagnosis import Finding, pins, wrong_versions

PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest that pyproject.toml admits
REQUIREMENTS = ("requirements.txt", "requirements-tools.txt")
_N_NAMED = 5
_EXTENSION = """
import importlib.util, pathlib, torch
spec = importlib.util.find_spec("torchaudio")
file = pathlib.Path(spec.origin).parent / "lib/_torchaudio.abi3.so"
if torch.version.cuda is None and file.exists():
    file.unlink()
    print(file)
"""


def environment(root: Path) -> list[Finding]:
    """Another Python, packages that are missing or of another version, and a torchaudio that cannot be imported."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        here, oldest, newest = (f"{major}.{minor}" for major, minor in (sys.version_info[:2], *PYTHONS))
        found = f"{sys.executable}: Python {here}, must be {oldest} to {newest}"
        return [Finding(found, todo=f"rm -rf .venv && make venv PYTHON=/path/to/python{oldest}")]
    pinned: dict[str, str] = {}
    for name in REQUIREMENTS:
        with naming(root / name, "read"):
            pinned |= pins((root / name).read_text(encoding="utf-8"))
    if wrong := list(wrong_versions(pinned, _installed)):
        more = f" and {len(wrong) - _N_NAMED} more" if len(wrong) > _N_NAMED else ""
        found = f"{sys.prefix}: not the locked requirements: {'; '.join(wrong[:_N_NAMED])}{more}"
        return [Finding(found, todo="rm .venv/ready && make venv")]
    return _torchaudio()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torchaudio() -> list[Finding]:
    """Its wheel carries a CUDA extension, which cannot load beside a torch without CUDA; what we use does without."""
    if not (why := _fault("import torchaudio")[0]):
        return []
    found = f"torchaudio cannot be imported: {why}"
    _, removed = _fault(_EXTENSION)
    if removed and not _fault("import torchaudio")[0]:
        return [Finding(found, f"removed its extension, {removed}")]
    return [Finding(found, todo="rm -rf .venv && make venv")]


def _fault(program: str) -> tuple[str, str]:
    """The last line that a Python of this environment wrote as it failed, "" where it did not; and its output."""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    lines = ended.stderr.strip().splitlines() or [f"it ended with status {ended.returncode}"]
    return lines[-1] if ended.returncode else "", ended.stdout.strip()
