"""The models of two revisions -> how each became better or worse, how head's differ, and which one is deployed."""

from collections.abc import Mapping

from spira.compare.committed import Distance
from spira.compare.probe_changes import Probes
from spira.compare.sides import Comparison
from spira.evaluation.markdown import Marked, code, inert, table
from spira.evaluation.paired import Difference, verdict


def deployed(compared: Comparison) -> str:
    """Which model the verdict is about, and whether it is another than before; empty where no commit says so."""
    base, head = (code(model) if model else "not named" for model in compared.models)
    if compared.models == (None, None):
        return ""
    if base == head:
        text = f"Deployed model: {head}."
    elif None in compared.models:
        text = f"Deployed model: {base} at base, {head} at head."
    else:
        text = f"**The deployed model changed**: base deploys {base}, head {head}."
    return text + (f" Why, at head: {inert(compared.head.because)}" if compared.head.because else "")


def models_section(compared: Comparison) -> str:
    """A row a model and condition, after what head itself says of how its models differ; empty of one model alone."""
    base, head = (side.models for side in compared.both)
    if base == head and len(head) < 2:
        return ""
    percent = f"{100 * compared.rules.confidence:g}%"
    rows = [row for model in dict.fromkeys((*head, *base)) for row in _rows(compared.between(model, model))]
    columns = ["model", "condition", "base: AUC", "head: AUC", "difference", f"{percent} paired interval", ""]
    words = [_distances(compared), "Each is paired with base's model of the same name.", table(columns, rows)]
    return "\n\n".join(["## Models", *filter(None, words)])


def _rows(pair: Comparison) -> list[list[str]]:
    """Of one model, a row a condition."""
    found, points = pair.differences(), pair.points()
    return [
        [
            _named(pair, str(pair.models[1])),
            condition,
            *cells([tree.get(condition, {}).get("auc") for tree in points], found.get(condition, {}).get("auc")),
        ]
        for condition in {**points[0], **points[1], **found}
    ]


def _named(pair: Comparison, model: str) -> str:
    """With the sides that deploy it."""
    where = [role for role, side in zip(("base", "head"), pair.both, strict=True) if side.deployed == model]
    return f"{model} (deployed at {' and '.join(where)})" if where else model


def _distances(compared: Comparison) -> str:
    """A sentence a pair of head's models; the condition that decides comes first."""
    pairs = {pair: found for pair, found in compared.head.distances.items() if {*pair} <= {*compared.head.metrics}}
    return "\n\n".join(
        f"At head, {code(first)} less {code(second)} on the same clips: AUC {_by_condition(found, compared.headline)}."
        for (first, second), found in pairs.items()
        if found
    )


def _by_condition(found: Mapping[str, Distance], headline: str) -> str:
    ordered = sorted(found.items(), key=lambda item: item[0] != headline)
    return ", ".join(f"{at.difference:+.3f} [{at.lo:+.3f}, {at.hi:+.3f}] under `{name}`" for name, at in ordered)


def cells(points: list[float | None], paired: Difference | None) -> list[str]:
    """Base, head, difference, interval and an arrow, which is bold where the interval excludes 0.

    Args:
        points: the metric at base and at head as each commit states it; what is paired speaks instead of them.
    """
    base, head = (paired.base, paired.head) if paired else points
    shown = ["–" if x is None else f"{x:.3f}" for x in (base, head)]
    if base is None or head is None:
        return [*shown, "–", "–", ""]
    difference = paired.difference if paired else head - base
    interval = f"[{paired.lo:+.3f}, {paired.hi:+.3f}]" if paired else "–"
    arrow = "↑ better" if difference > 0 else "↓ worse" if difference < 0 else "="
    sure = paired is not None and verdict(paired) in ("regression", "improvement")
    return [*shown, f"{difference:+.3f}", interval, Marked(f"**{arrow}**") if sure else arrow]


def probed_models(compared: Comparison) -> dict[str, tuple[Probes, Probes]]:
    """Base's probes and head's: first those of the deployed models, then of each other model of the same name."""
    base, head = compared.models
    found = {" -> ".join(dict.fromkeys(filter(None, (base, head)))): compared.probes()}
    others = [model for model in compared.head.probes if model != head and model in compared.base.probes]
    return found | {model: compared.between(model, model).probes() for model in others}
