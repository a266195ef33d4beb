"""The findings of the probes as Markdown, what failed first."""

from collections.abc import Mapping
from typing import Any

from spira.evaluation.markdown import table

_ORDER = ("fail", "warn", "pass", "not run")
_OVERALL = {
    "fail": "**The probes FAIL this model**: {names}.",
    "warn": "**The probes warn**: {names}. None fails.",
    "pass": "All probes that were run pass.",
}


def probe_report(corpus: str, verdict: str, probes: Mapping[str, Mapping[str, Any]], confidence: float) -> str:
    """The page of the probes, as Markdown.

    Args:
        corpus: as ``origin`` says it.
        verdict: the worst of the probes' verdicts.
        probes: what ``catalogue.probe_all`` gives.
        confidence: level of the intervals, in (0, 1).
    """
    ordered = sorted(probes.items(), key=lambda item: _ORDER.index(item[1]["verdict"]))
    names = ", ".join(title(name) for name, probe in ordered if probe["verdict"] == verdict)
    rows = [[probe["verdict"], title(name), probe["question"], probe["why"]] for name, probe in ordered]
    rules = {
        probe["rule"]: [title(name) for name, other in probes.items() if other["rule"] == probe["rule"]]
        for _, probe in ordered
    }
    return (
        f"{_OVERALL[verdict].format(names=names)}\n\nCorpus: {corpus}. What could be predicted without hearing any "
        f"breath, and what does the model rely on? In brackets the {100 * confidence:g}% interval over resampled "
        "speakers.\n\n"
        + table(["verdict", "probe", "question", "found"], rows)
        + "\n\nRules:\n\n"
        + "\n".join(f"- {', '.join(titles)}: {rule}." for rule, titles in rules.items())
        + "\n"
    )


def title(name: str) -> str:
    """A probe's name in words: ``ward noise`` for ``ward_noise``."""
    return name.replace("_", " ")
