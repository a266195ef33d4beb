"""The findings of the probes as Markdown, what failed first."""

from collections.abc import Mapping, Sequence
from typing import Any

from spira.evaluation.markdown import Marked, code, inert, table

_ORDER = ("fail", "warn", "pass", "not run")
_OVERALL = {
    "fail": "**The probes FAIL the model {model}**: {names}.",
    "warn": "**The probes warn of the model {model}**: {names}. None fails.",
    "pass": "All probes that were run pass the model {model}.",
}
_LONGEST = 2000  # characters of what was found; it holds names of columns, which somebody may have written
Probes = Mapping[str, Mapping[str, Any]]


def probe_report(corpus: str, models: Mapping[str, Mapping[str, Any]], confidence: float) -> str:
    """The page of the probes, as Markdown: a row a probe, a column a model.

    Args:
        corpus: as ``origin`` says it.
        models: what ``catalogue.probe_all`` gives.
        confidence: level of the intervals, in (0, 1).
    """
    first: Probes = next(iter(models.values()))["probes"]
    ordered = sorted(first, key=lambda name: min(_ORDER.index(found["verdict"]) for found in _by_model(models, name)))
    rows = [
        [
            title(name),
            *(found["verdict"] for found in _by_model(models, name)),
            first[name]["question"],
            _why(models, name),
        ]
        for name in ordered
    ]
    rules = {
        first[name]["rule"]: [title(other) for other in first if first[other]["rule"] == first[name]["rule"]]
        for name in ordered
    }
    return (
        "\n\n".join(_overall(model, found["verdict"], found["probes"], ordered) for model, found in models.items())
        + f"\n\nCorpus: {corpus}. What could be predicted without hearing any breath, and what does a model rely on? "
        f"In brackets the {100 * confidence:g}% interval over resampled speakers.\n\n"
        + table(["probe", *map(code, models), "question", "found"], rows)
        + "\n\nRules:\n\n"
        + "\n".join(f"- {', '.join(titles)}: {rule}." for rule, titles in rules.items())
        + "\n"
    )


def _by_model(models: Mapping[str, Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [found["probes"][name] for found in models.values()]


def _overall(model: str, verdict: str, probes: Probes, ordered: Sequence[str]) -> str:
    names = ", ".join(title(name) for name in ordered if probes[name]["verdict"] == verdict)
    return _OVERALL[verdict].format(model=code(model), names=names)


def _why(models: Mapping[str, Mapping[str, Any]], name: str) -> Marked:
    """What was found, once where it is the same for every model; else a line a model."""
    whys = {model: inert(found["probes"][name]["why"], _LONGEST) for model, found in models.items()}
    if len(set(whys.values())) == 1:
        return Marked(next(iter(whys.values())))
    return Marked("<br>".join(f"{code(model)}: {why}" for model, why in whys.items()))


def title(name: str) -> str:
    """A probe's name in words: ``ward noise`` for ``ward_noise``."""
    return name.replace("_", " ")
