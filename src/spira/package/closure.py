"""Which files of this package a module imports, directly or not, and which distributions they need."""

import ast
import re
from collections.abc import Iterable, Set
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SOURCE = Path(__file__).parents[2]


def imported(module: Path) -> set[str]:
    """Dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def own(module: Path) -> set[Path]:
    """Files of this package that a module imports."""
    files = {SOURCE / f"{name.replace('.', '/')}.py" for name in imported(module)}
    return {file for file in files if file.is_file()}


def closure(module: Path) -> set[Path]:
    """The module and all of this package that it imports, directly or not."""
    found, new = {module}, {module}
    while new:
        new = set().union(*(own(file) for file in new)) - found
        found |= new
    return found


def distributions(modules: Iterable[Path]) -> set[str]:
    """The installed distributions that these modules import, and all that those need, by canonical name."""
    known = packages_distributions()
    names = {name.partition(".")[0] for module in modules for name in imported(module)}
    found: set[str] = set()
    new: set[str] = {canonicalize_name(one) for name in names for one in known.get(name, []) if name != "spira"}
    while new:
        found |= new
        new = {needed for name in new for needed in _needed(name)} - found
    return found


def _needed(distribution: str) -> set[str]:
    wanted = map(Requirement, requires(distribution) or ())
    return {canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}


def locked(requirements: str, names: Set[str]) -> str:
    """The lines of a requirements file, hashes included, of these distributions alone."""
    blocks = re.findall(r"^[A-Za-z0-9][^\n]*(?:\n[ \t]+[^\n]*)*\n", requirements, re.MULTILINE)
    return "".join(block for block in blocks if canonicalize_name(block.partition("==")[0].split("[")[0]) in names)
