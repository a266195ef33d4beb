"""A table's rows -> how far each is from the first, on the same clips, and which differences are larger than chance.

Conventions: those of ``spira.evaluation.paired``. The first row is fixed before anything is known of the results;
the best is not, and would flatter every distance from it.
"""

from collections.abc import Mapping

from spira.compare.sides import Comparison
from spira.evaluation.markdown import Marked, code, inert
from spira.evaluation.paired import Difference, verdict


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
    """Which rows differ from the first by more than their paired interval, which do not, and which cannot be compared.

    Args:
        first: the row that the others are held against.
        rows: by row, what ``against`` says of it; without the first.
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
        f"Difference: AUC under `{condition}` less that of {code(first)} on the same clips, "
        f"with its {100 * confidence:g}% interval over other speakers and other trainings. "
        + "; ".join(parts)
        + "."
        + (chance if n_compared > 1 else "")
    )
