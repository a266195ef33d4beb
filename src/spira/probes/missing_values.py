"""How much of a column of the table of clips is known: what is not can neither be judged nor cleared."""

from collections.abc import Sequence

import numpy as np

from spira.base.array_types import Ints
from spira.clips.cells import NUMBERS, is_unknown, read_dates, read_numbers
from spira.probes.study import Found, ProbeParams, Study


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
        if n_new := len(_new_words(study, name)):
            said.append(f"`{name}` of {n_new} of {study.judged.size} judged clips is that of no clip learnt from")
    return "; ".join(said)


def _new_words(study: Study, name: str) -> set[int]:
    """The judged clips of whose word nothing could be learnt; a number or a date lies between others."""
    cells = np.array(study.columns.get(name, ()))
    if not cells.size or name in NUMBERS or name == "recorded_on" or all(map(_is_number, cells)):
        return set()
    new = set[int]()
    for fold in study.folds:
        new |= {
            int(i) for i in np.flatnonzero(fold.test & ~np.isin(cells, cells[fold.fit])) if not is_unknown(cells[i])
        }
    return new


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return is_unknown(cell)


def may_hide_a_shortcut(study: Study, names: Sequence[str], p: ProbeParams) -> bool:
    """Whether so much is unknown that a column could tell patients from controls, though what is known tells nothing.

    Were every pair of a patient and a control of whom one is unknown put in order, and of the others every second, the
    AUC would be 0.5 and half the share of those pairs: whether that is over ``p.shortcut_auc``, among all clips or
    among those who are judged. A judged clip's word that was not learnt from, such as a site's new spelling, counts as
    unknown there.
    """
    return any(
        0.5 + _pairs_unknown(study, name, clips, new) / 2 > p.shortcut_auc
        for name in names
        for clips, new in ((np.arange(study.labels.size), set[int]()), (study.judged, _new_words(study, name)))
    )


def _pairs_unknown(study: Study, name: str, clips: Ints, new: set[int]) -> float:
    cells = study.columns.get(name, ())
    known = np.array([bool(cells) and not is_unknown(cells[clip]) and clip not in new for clip in clips])
    labels = study.labels[clips]
    return 1 - float(known[labels == 0].mean() * known[labels == 1].mean())
