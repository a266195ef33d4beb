"""A registry's history -> a table and JSON: versions, stages, when, by whom, by which gate, from what."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from spira.registry.history import Event, History
from spira.registry.record import STAGES, Gate

_SHORT = 8  # digits of a hash that are shown
_DID = {"register": "registered", "assign": "promoted to", "withdraw": "withdrawn as"}


def listing(history: History) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "registry": history.registry,
        "in_use": {stage: history.in_use(stage) for stage in STAGES},
        "versions": [_version(history, event) for event in history.versions.values()],
        "history": [_event(event) for event in history.events],
        "problems": list(history.problems),
    }


def _version(history: History, event: Event) -> dict[str, Any]:
    record = event.record
    return {
        "version": record.version,
        "stages": [stage for stage in STAGES if history.in_use(stage) == record.version],
        "commit": record.commit,
        "package": record.package,
        "model": record.gate.model if record.gate else None,
        "corpus": record.gate.corpus if record.gate else None,
        "when": _when(event),
        "by": record.by,
        "why": record.why,
        "gate": record.gate.model_dump(mode="json") if record.gate else None,
        "lineage": record.lineage.model_dump(mode="json") if record.lineage else None,
    }


def _event(event: Event) -> dict[str, Any]:
    record = event.record
    return {
        "tag": event.tag.name,
        "object": event.tag.object,
        "action": record.action,
        "version": record.version,
        "stage": record.stage,
        "when": _when(event),
        "by": record.by,
        "tagger": event.tag.tagger,
        "why": record.why,
        "against": record.gate.against if record.gate else None,
    }


def _when(event: Event) -> str:
    """As the maker's clock said, in UTC."""
    return datetime.fromtimestamp(event.tag.when, UTC).strftime("%Y-%m-%d %H:%M:%S")


def text(history: History) -> str:
    """The same for a terminal."""
    tree = listing(history)
    rows = [
        ["version", "in use as", "model", "package", "commit", "clips", "params", "code", "requirements", "metrics"]
    ]
    for version in reversed(tree["versions"]):
        lineage = version["lineage"] or {}
        hashes = [str(lineage.get(name, "–"))[:_SHORT] for name in ("clips", "params", "code", "requirements")]
        metrics = _intervals(lineage.get("metrics", {}))
        first = [version["version"], ", ".join(version["stages"]) or "–", version["model"] or "–"]
        rows.append([*first, version["package"][:_SHORT], version["commit"][:_SHORT], *hashes, metrics or "–"])
    events = [["when (UTC)", "what", "by", "why"]]
    for event in reversed(tree["history"]):
        what = f"{event['version']} {_DID[event['action']]} {event['stage'] or ''}".strip()
        what += f", compared with {event['against']}" if event["against"] and event["action"] == "assign" else ""
        events.append([event["when"], what, event["by"], event["why"]])
    none = f"registry {history.registry}: no version yet; spira promote makes the first"
    return f"Registry {history.registry}\n\n{columns(rows)}\n\n{columns(events)}" if len(rows) > 1 else none


def _intervals(metrics: Mapping[str, float]) -> str:
    """``auc_noisy 0.858 [0.705, 0.938]``: the metrics that have an interval."""
    named = [name for name in metrics if f"{name}_lo" in metrics and f"{name}_hi" in metrics]
    return ", ".join(f"{n} {metrics[n]:.3f} [{metrics[f'{n}_lo']:.3f}, {metrics[f'{n}_hi']:.3f}]" for n in named)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def gate_text(gate: Gate) -> str:
    """The checks as a table for a terminal; the last line says whether the model may be promoted."""
    against = f"the champion {gate.against}" if gate.against else "the baselines and the best shortcut: no champion yet"
    lines = [
        f"Registry {gate.registry}, commit {gate.commit[:_SHORT]}, model {gate.model or '?'}, against {against}.",
        "",
        columns([[check.name, check.verdict, check.reason] for check in gate.checks]),
        "",
        "may be promoted" if gate.passed else f"refused: {', '.join(gate.refused_by)}",
    ]
    return "\n".join(lines)


def lineage_text(tree: Mapping[str, Any]) -> str:
    """What ``lineage`` found, a line a fact."""
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines += [f"{key}:", *(f"  {name}: {_short(inner)}" for name, inner in value.items())]
        elif isinstance(value, list):
            lines += [f"{key}:", *(f"  {_short(inner)}" for inner in value)]
        else:
            lines.append(f"{key}: {_short(value)}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    return ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else str(value)
