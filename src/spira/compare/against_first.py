"""A table's rows -> how far each is from the first, on the same clips, and which differences are larger than chance.

Conventions: those of ``spira.evaluation.paired``. The first row is fixed before anything is known of the results;
the best is not, and would flatter every distance from it. A row has a line a model, which is held against the first
row's model of the same name, so that a setting's effect is on one model; a name that the first row has not, and the
first row's other models, are held against the model that it deploys.
"""

from collections.abc import Mapping

from spira.compare.sides import Comparison, Side
from spira.evaluation.markdown import Marked, code, inert
from spira.evaluation.paired import Difference, verdict


def held_against(first: Side, model: str, *, own: bool) -> str | None:
    """The model of the first row against which a line's model is held; None for the line that all are held against.

    Args:
        model: of the line.
        own: whether the line is the first row's.
    """
    if own:
        return None if model == first.deployed else first.deployed
    return model if model in first.models else first.deployed


def against(compared: Comparison) -> Difference | str:
    """Head's AUC less base's under the headline condition; why not, where the two cannot be paired."""
    if reason := compared.why_not():
        return reason
    found = compared.differences().get(compared.headline, {}).get("auc")
    return found or f"{compared.headline} was not scored by both"


def signed(difference: Difference) -> str:
    """``+0.014 [-0.040, +0.068]``, bold where the interval excludes 0 and other trainings are allowed for."""
    text = f"{difference.difference:+.3f} [{difference.lo:+.3f}, {difference.hi:+.3f}]"
    return Marked(f"**{text}**") if verdict(difference) in ("regression", "improvement") else text


def conclusion(first: str, rows: Mapping[str, Difference | str], condition: str, confidence: float) -> str:
    """Which lines differ from the first row by more than their paired interval, which do not, which cannot be compared.

    Args:
        first: the row that the others are held against.
        rows: by line, what ``against`` says of it.
    """
    groups: dict[str, list[str]] = {}
    for row, difference in rows.items():
        key = difference if isinstance(difference, str) else verdict(difference)
        groups.setdefault(key, []).append(code(row))
    better, worse, neither, one_training = (
        groups.pop(key, []) for key in ("improvement", "regression", "no evidence", "no verdict")
    )
    parts = [
        f"{', '.join(names)}: {words}"
        for names, words in (
            (better, "better by more than its interval"),
            (worse, "worse by more than its interval"),
            (neither, "no difference larger than its interval"),
            (one_training, "no verdict, since a row with one training may owe its AUC to its seed"),
            *((names, f"not comparable, {inert(reason)}") for reason, names in groups.items()),
        )
        if names
    ]
    n_compared = len(better) + len(worse) + len(neither)
    chance = f" Were all {n_compared} truly 0, {n_compared * (1 - confidence):.2g} would exceed its interval by chance."
    return (
        f"Difference: AUC under `{condition}` less that of {code(first)} on the same clips, by the model of the same "
        f"name or else the one that is deployed there, with its {100 * confidence:g}% interval over other speakers "
        "and other trainings. " + "; ".join(parts) + "." + (chance if n_compared > 1 else "")
    )
