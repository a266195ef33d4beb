"""Google's ML Test Score of this repository, read from the marks of its tests; `make ml-test-score` prints it.

``@pytest.mark.ml_test_score("Data 1")`` says that a test does what the item asks, in every run: one point. With
``manual=True`` it does a part of it, or tries the tool of something that a person starts and looks at: half a point.
That a workflow names a command is no test of what comes of it. A section's score is the sum of its items', and the
score of all is the least section's.

Source:
    Breck et al., "The ML test score: a rubric for ML production readiness and technical debt reduction", 2017.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED = {  # what each item asks, in our words; and what is missing where it is not held in every run
    "Data 1": ("what may stand in the data is written down and checked", ""),
    "Data 2": ("every feature earns its place", "an ablation can be run; no result is kept"),
    "Data 3": ("no feature costs more than it is worth", "their time is measured by hand, not what they bring"),
    "Data 4": ("features keep to the rules of the house", ""),
    "Data 5": ("personal data is guarded on its whole way", ""),
    "Data 6": (
        "a new feature can be added quickly",
        "a page adds one, and a test types it; how long that takes nobody measures",
    ),
    "Data 7": ("the code of features is tested", ""),
    "Model 1": ("a model's settings are under version control and reviewed", ""),
    "Model 2": (
        "what is measured here agrees with what happens in use",
        "`spira feedback` compares the two; nobody uses the model yet",
    ),
    "Model 3": (
        "the settings were searched for",
        "a search is one command; that `weekly.yml` gives it is no finding, and nothing reads what it found",
    ),
    "Model 4": (
        "what an old model costs is known",
        "`spira staleness` measures it; no corpus with dates of several years was at hand",
    ),
    "Model 5": (
        "a simpler model is not as good",
        "the simplest model is compared by hand; nothing fails where it is as good, as on the demo corpus it is",
    ),
    "Model 6": ("it is good enough in each group that matters", ""),
    "Model 7": (
        "it is fair to those who are often left out",
        "a group that falls refuses a promotion, but not a gap that was always there; who is left out is not known",
    ),
    "Infrastructure 1": (
        "training repeats itself",
        "the test repeats it in one process; no cold start, and no other machine",
    ),
    "Infrastructure 2": ("the model's code has unit tests", ""),
    "Infrastructure 3": ("the whole path is tested together", ""),
    "Infrastructure 4": (
        "a model is evaluated before it is used",
        "",
    ),
    "Infrastructure 5": (
        "one example can be followed through the model",
        "the page has the sound and the score of the worst clips, and no step between them",
    ),
    "Infrastructure 6": (
        "a new model is tried on a few before all",
        "a challenger can be registered; nothing sends it a share of the requests",
    ),
    "Infrastructure 7": (
        "an old model can be brought back",
        "",
    ),
    "Monitoring 1": ("a change of what we depend on is noticed", ""),
    "Monitoring 2": ("what held in training holds of inputs in use", ""),
    "Monitoring 3": ("training and use compute the same features", ""),
    "Monitoring 4": ("the model in use is not too old", ""),
    "Monitoring 5": ("no number goes astray", ""),
    "Monitoring 6": (
        "it has not become slow or large",
        "the gate limits time and memory of a score and records them; a training's time is compared by nobody",
    ),
    "Monitoring 7": ("it is as good on what it meets in use", ""),
}
Holding = dict[str, list[tuple[str, float]]]  # by item: a test, and what it is worth


def holding(folder: Path = ROOT / "tests") -> Holding:
    """The tests that are marked with each item, in the order of files and lines."""
    found: Holding = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.ml_test_score":
                    (item,), manual = map(ast.literal_eval, mark.args), bool(mark.keywords)
                    found[item].append((f"{path.stem}::{node.name}", 0.5 if manual else 1.0))
    if unknown := found.keys() - ASKED.keys():
        raise SystemExit(f"no items of the ML Test Score: {', '.join(sorted(unknown))}")
    return found


def scores(found: Holding) -> dict[str, float]:
    """Of each section."""
    sums: dict[str, float] = defaultdict(float)
    for item in ASKED:
        sums[item.split()[0]] += max((worth for _, worth in found.get(item, [])), default=0)
    return dict(sums)


def page(found: Holding) -> str:
    """The table, as docs/explanation/ml-test-score.md has it."""
    rows = ["| item | asks that | held by | score | missing |", "| --- | --- | --- | --- | --- |"]
    for item, (asks, missing) in ASKED.items():
        tests = found.get(item, [])
        score = max((worth for _, worth in tests), default=0)
        names = ", ".join(f"`{name}`" for name, worth in tests if worth == score)
        rows.append(f"| {item} | {asks} | {names} | {score:g} | {missing if score < 1 else ''} |")
    of = scores(found)
    total = "; ".join(f"{section} {score:g}" for section, score in of.items())
    return "\n".join([*rows, "", f"{total}. **Score: {min(of.values()):g}**, the least of them, of 7."]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(holding()))
