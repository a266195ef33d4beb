"""Write the committed results and the graph of the stages into README.md: a part of `make plots`.

They stand between ``<!-- NAME: make plots -->`` and ``<!-- end -->``; every other line is a person's.
"""

import re
import subprocess
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = ("condition", "clean", "noisy")  # with the head; `noisy_controls` takes a page to explain
COLUMNS = ("condition", "model", "AUC", "sensitivity", "specificity")  # more would not fit on a line
WIDTH = 120


def main() -> None:
    path = ROOT / "README.md"
    report = (ROOT / "data/report/report.md").read_text(encoding="utf-8")
    blocks = {"results": results(report), "stages": picture(edges())}
    path.write_text(renewed(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def renewed(readme: str, blocks: dict[str, str]) -> str:
    """The README with each block between its marks."""
    for name, block in blocks.items():
        first, last = f"<!-- {name}: make plots -->\n", "<!-- end -->"
        around = re.split(f"{first}.*?{last}", readme, flags=re.DOTALL)
        if len(around) != 2:
            raise SystemExit(f"README.md: must have the marks of {name!r} once, got {len(around) - 1}")
        readme = f"{first}{block}{last}".join(around)
    return readme


def results(report: str) -> str:
    """What the report opens with, its prose on lines that fit and of its table the columns that do."""
    *prose, table = report.partition("\n## ")[0].strip().split("\n\n")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    kept = [rows[0].index(name) for name in COLUMNS]
    lines = ["| " + " | ".join(row[i] for i in kept) + " |" for row in rows if row[0] in ROWS or row[0].startswith("-")]
    return "\n\n".join([*map(_wrapped, prose), "\n".join(lines)]) + "\n"


def _wrapped(prose: str) -> str:
    return textwrap.fill(prose, WIDTH, break_long_words=False, break_on_hyphens=False)


def edges() -> set[tuple[str, str]]:
    """Which stage needs which before it, as DVC knows it; the trainings as one."""
    dot = subprocess.run(["dvc", "dag", "--dot"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {(one.split("@")[0], other.split("@")[0]) for one, other in re.findall(r'"([^"]+)" -> "([^"]+)"', dot)}


def picture(of: Iterable[tuple[str, str]]) -> str:
    """The stages' names and arrows; those that follow from others are left out."""
    after: dict[str, set[str]] = defaultdict(set)
    for one, other in of:
        after[one].add(other)
    reached = {one: _reached(one, after) for one in list(after)}
    arrows = [
        (one, other)
        for one, others in after.items()
        for other in others
        if not any(other in reached.get(between, set()) for between in others)
    ]
    arrows.sort(key=lambda arrow: (-len(reached[arrow[0]]), arrow))  # who has the most behind it is first
    return "\n".join(["```mermaid", "flowchart LR", *(f"\t{one} --> {other}" for one, other in arrows), "```"]) + "\n"


def _reached(name: str, after: Mapping[str, set[str]]) -> set[str]:
    """All that needs the named stage, directly or not."""
    return after.get(name, set()).union(*(_reached(other, after) for other in after.get(name, set())))


if __name__ == "__main__":
    main()
