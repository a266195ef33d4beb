"""Which files of this package a stage imports, directly or not; `make deps` writes them into dvc.yaml."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
STAGES = sorted(path.stem for path in (SOURCE / "spira/stages").glob("*.py"))


def imported(module: Path) -> set[str]:
    """Dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
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


def code_deps(stage: str) -> list[str]:
    """The stage's own module, all that it imports and the templates beside it, as dvc.yaml names them."""
    files = closure(SOURCE / f"spira/stages/{stage}.py")
    files |= {template for file in files for template in file.parent.glob("*.html")}
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def rewritten(dvc_yaml: str) -> str:
    """The same text with each stage's dependencies on code, and no other line, as the imports have them."""
    for stage in STAGES:
        block = re.search(rf"^  {stage}:\n(?:    .*\n|\n)*", dvc_yaml, re.MULTILINE)
        if block is None:
            continue
        kept = re.sub(r"^    - src/.*\n", "", block[0], flags=re.MULTILINE)
        head, found, tail = kept.partition("    - requirements.txt\n")
        if not found:
            head, found, tail = kept.partition("    deps:\n")
        written = "".join(f"    - {dep}\n" for dep in code_deps(stage))
        dvc_yaml = dvc_yaml.replace(block[0], head + found + written + tail)
    return dvc_yaml


if __name__ == "__main__":
    path = ROOT / "dvc.yaml"
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
