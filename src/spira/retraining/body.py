"""The words of a retraining: the commit's message, and the page that its reviewer reads."""

from collections.abc import Sequence
from datetime import date

from spira.evaluation.markdown import Marked, code, inert, table
from spira.registry.record import Gate

BRANCHES, TRAILER = "retrain/", "Retrain-Branch"
_MOST = 60_000  # characters; GitHub takes 65,536 in a pull request
_LONGEST = 1000  # characters of a reason
BY_HAND = "asked for by hand: --force"


def title(corpus: str, day: str) -> str:
    """The commit's and the pull request's first line."""
    return f"retrain: {corpus[:40]} as of {day}"


def branch_name(day: date, number: int) -> str:
    """Of the first retraining of a day, or a later one."""
    return f"{BRANCHES}{day.isoformat()}" + (f"-{number}" if number > 1 else "")


def day_in(branch: str) -> str:
    """Its date."""
    return branch.removeprefix(BRANCHES)[:10]


def message(corpus: str, branch: str, reasons: Sequence[str]) -> str:
    """The commit's message: which rules held, and the branch, by which the commit is known to be whole."""
    why = "\n".join(f"- {reason}" for reason in (reasons or [BY_HAND]))
    return f"{title(corpus, day_in(branch))}\n\nWhy:\n{why}\n\n{TRAILER}: {branch}\n"


def why_in(text: str) -> list[str]:
    """The reasons in a message that ``message`` made."""
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def gate_section(gate: Gate) -> str:
    """The gate's verdict on the commit's package, against the champion."""
    against = f"the champion {gate.against}" if gate.against else "baselines and shortcuts, for there is no champion"
    refused = ", ".join(gate.refused_by)
    said = "**The package may be promoted**" if gate.passed else f"**The gate refuses the package**: {refused}"
    rows = [[check.name, check.verdict, Marked(inert(check.reason, _LONGEST))] for check in gate.checks]
    return f"## The gate\n\n{said}. It was held against {against}.\n\n{table(['check', 'verdict', 'reason'], rows)}"


def body(corpus: str, branch: str, reasons: Sequence[str], gate: Gate, review: str) -> str:
    """The page of a pull request: why, what the gate says, and the review with the gate's checks in it.

    Args:
        reasons: the rules that held.
        review: with ``gate_section`` among its sections.
    """
    verdict = "passes" if gate.passed else "refuses"
    lines = [
        f"Trained anew on {code(corpus)} as it was on {day_in(branch)}. The gate {verdict} the package. Nothing is "
        "promoted by this: after the review, a person merges, asks `spira gate` and types `spira promote`.",
        "## Why",
        "\n".join(f"- {inert(reason, _LONGEST)}" for reason in reasons),
        review,
    ]
    return cut("\n\n".join(lines))


def cut(text: str) -> str:
    """At most as long as a pull request takes, and it says where it was cut."""
    if len(text) <= _MOST:
        return text
    return f"{text[:_MOST]}\n\nCut here: `spira review` prints all of it.\n"
