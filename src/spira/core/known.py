"""How much of a column of the table of clips is known: what is not can neither be judged nor cleared."""

from collections.abc import Sequence

import numpy as np

from spira.core.cells import NUMBERS, is_unknown, read_dates, read_numbers
from spira.core.metrics import Ints
from spira.core.probing import Found, ProbeParams, Study


def unreadable(study: Study, names: Sequence[str]) -> Found | None:
    """An answer where a column holds what is neither a value nor unknown; None where every cell can be read."""
    for name in names:
        cells = study.columns.get(name, ())
        if name in NUMBERS:
            problems = read_numbers(name, cells).problems
        else:
            problems = read_dates(name, cells, day_first=False).problems if name == "recorded_on" else {}
        for place, problem in problems.items():
            unread = f"{len(problems)} of {len(cells)} cells cannot be read: {problem}, got {cells[place]!r}"
            return Found("not run", f"not run: {unread}")
    return None


def absent(study: Study, names: Sequence[str]) -> list[str]:
    """The columns that tell nothing of any clip."""
    return [name for name in names if all(map(is_unknown, study.columns.get(name, ())))]


def lacks(study: Study, names: Sequence[str]) -> str:
    """Which columns there are not, and what is unknown in the others; "" where all is known."""
    no_column = [f"`{name}`" for name in names if not study.columns.get(name, ())]
    said = [f"no column {' or '.join(no_column)}"] if no_column else []
    for name in names:
        cells = study.columns.get(name, ())
        if n_unknown := sum(map(is_unknown, cells)):
            said.append(f"`{name}` is unknown for {n_unknown} of {len(cells)} clips")
    return "; ".join(said)


def may_hide_a_shortcut(study: Study, names: Sequence[str], p: ProbeParams) -> bool:
    """Whether so much is unknown that a column could tell patients from controls, though what is known tells nothing.

    Were every pair of a patient and a control of whom one is unknown put in order, and of the others every second, the
    AUC would be 0.5 and half the share of those pairs: whether that is over ``p.shortcut_auc``, among all clips or
    among those who are judged.
    """
    return any(
        0.5 + _pairs_unknown(study, name, clips) / 2 > p.shortcut_auc
        for name in names
        for clips in (np.arange(study.labels.size), study.judged)
    )


def _pairs_unknown(study: Study, name: str, clips: Ints) -> float:
    cells = study.columns.get(name, ())
    known = np.array([bool(cells) and not is_unknown(cells[clip]) for clip in clips])
    labels = study.labels[clips]
    return 1 - float(known[labels == 0].mean() * known[labels == 1].mean())
