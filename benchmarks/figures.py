"""The figures of docs/explanation/reliability.md: a JSON file that the benchmark writes, and the page's table."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from spira.base.arithmetic import processor

ROOT = Path(__file__).parents[1]
FILE, PAGE = ROOT / "docs/explanation/reliability.json", ROOT / "docs/explanation/reliability.md"
_TABLE = re.compile(r"^\| promise \|.*?\n\n", re.MULTILINE | re.DOTALL)


class Figure(TypedDict):
    """What a check measured, where and of what."""

    promise: str
    figure: str
    kept: bool
    commit: str  # as git describes it; "not noted" of a figure from before it was
    processor: str


def here(written: tuple[Path, ...] = (FILE, PAGE)) -> tuple[str, str]:
    """(commit, processor) of what is measured now; where more than what is written differs from the commit, it says so.

    Args:
        written: files of the repository into which the figures go.
    """
    commit = _git("describe", "--always", "--abbrev=7")
    apart = [f":(exclude){path.relative_to(ROOT)}" for path in written]
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *apart)
    return f"{commit}-dirty" if changed else commit, processor()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def read(path: Path = FILE) -> dict[str, Figure]:
    """By check, in the order of the page."""
    found: dict[str, Figure] = json.loads(path.read_text(encoding="utf-8"))
    return found


def renew(check: str, figure: Figure, path: Path = FILE, page: Path = PAGE) -> None:
    """Puts the figure in place of the check's last one, in the file and on the page."""
    every = read(path) | {check: figure}
    path.write_text(json.dumps(every, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    page.write_text(_TABLE.sub(lambda _: table(every) + "\n", page.read_text(encoding="utf-8"), 1), encoding="utf-8")


def table(figures: Mapping[str, Figure]) -> str:
    """As the page has it."""
    rows = ["| promise | figure | | measured at |", "| --- | --- | --- | --- |", *map(row, figures.values())]
    return "".join(f"{line}\n" for line in rows)


def row(of: Figure) -> str:
    kept = "kept" if of["kept"] else "BROKEN"
    where = ", ".join(dict.fromkeys((of["commit"], of["processor"])))
    return f"| {of['promise']} | {of['figure']} | {kept} | {where} |"
