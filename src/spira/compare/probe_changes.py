"""The probes of two revisions -> which fail now and did not, and whose verdict is another."""

from collections.abc import Mapping
from typing import Any

from spira.evaluation.markdown import code, inert, table

Probes = Mapping[str, Mapping[str, Any]]  # of data/probes.json, by name; {} of a commit from before there were any


def newly_failing(base: Probes, head: Probes) -> list[str]:
    """Names of the probes that fail at head and did not at base, in head's order; none where base had no probes."""
    if not base:
        return []
    return [name for name in head if _verdict(head, name) == "fail" != _verdict(base, name)]


def regression(base: Probes, head: Probes) -> str:
    """The verdict that newly failing probes make, each with what it found; empty where there is none."""
    names = newly_failing(base, head)
    if not names:
        return ""
    lines = [
        f"- {code(name)} ({inert(_verdict(base, name))} at base): {inert(head[name].get('why', ''))}" for name in names
    ]
    return (
        "**regression**: what could be known without hearing any breath. Probes that fail at head and did not at "
        "base, whatever the AUC:\n\n" + "\n".join(lines)
    )


def probes_section(models: Mapping[str, tuple[Probes, Probes]]) -> str:
    """Every probe whose verdict differs, by model; empty where no side has probes or all agree.

    Args:
        models: base's probes and head's, by what the model is called.
    """
    rows = [
        [model, name, _verdict(base, name), _verdict(head, name), head.get(name, {}).get("why", "–")]
        for model, (base, head) in models.items()
        for name in {**base, **head}
        if _verdict(base, name) != _verdict(head, name)
    ]
    return "## Probes\n\n" + table(["model", "probe", "base", "head", "head found"], rows) if rows else ""


def _verdict(probes: Probes, name: str) -> str:
    return str(probes.get(name, {}).get("verdict", "–"))
