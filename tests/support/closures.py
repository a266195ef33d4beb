"""Which files of this package a stage imports, directly or not; `make deps` writes them into dvc.yaml.

A folder stands for all that is in it, where the stage imports all of it. A cheap stage names a folder already where it
imports two files of it: it runs again, for seconds, when another file there changes, and dvc.yaml is a third shorter.
"""

import re
from collections.abc import Iterator, Set
from pathlib import Path

from spira.package.closure import SOURCE, closure

ROOT = Path(__file__).parents[2]
STAGES = sorted(path.stem for path in (SOURCE / "spira/stages").glob("*.py"))
# What a needless run costs. ingest decodes every recording, featurize renders every clip under every condition, train
# and the two stages that score run the network: hours, of a corpus that is worth it. Each of these depends on exactly
# what it imports, so that a plot, a page or a metric never costs one. The others take seconds: check reads params.yaml,
# split and evaluate read tables, ingest_noise has a few recordings, synthesize makes the demo alone, and what probe and
# report do grows with the test clips. When what they write has not changed, nothing after them runs again.
EXACT = ("alter", "featurize", "ingest", "predict", "train")


def code_deps(stage: str) -> list[str]:
    """The stage's own module and all that it imports, as dvc.yaml names them."""
    files = closure(SOURCE / f"spira/stages/{stage}.py")
    named = _named(files, SOURCE / "spira", from_two=stage not in EXACT)
    return sorted(path.relative_to(ROOT).as_posix() for path in named)


def _named(files: Set[Path], folder: Path, *, from_two: bool) -> Iterator[Path]:
    """Each of the files in the folder, or a folder instead of them, which stands for more where ``from_two``."""
    for entry in folder.iterdir():
        inside = {file for file in files if file.is_relative_to(entry)}
        if inside and (inside == expanded(entry) or (from_two and len(inside) > 1 and entry.name != "stages")):
            yield entry
        elif inside:
            yield from _named(inside, entry, from_two=from_two)


def expanded(path: Path) -> set[Path]:
    """The file, or all files in the folder that DVC takes for its content."""
    return {file for file in [path, *path.rglob("*")] if file.is_file() and "__pycache__" not in file.parts}


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
