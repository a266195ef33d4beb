"""What is unknown in the columns of the table of clips: no probe can clear it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from spira.base.array_types import Ints, Mask
from spira.clips.cells import NUMBERS, is_unknown, read_dates, read_numbers
from spira.probes.shortcut_models import typed
from spira.probes.study import Finding, ProbeParams, Study


def unreadable(study: Study, names: Sequence[str]) -> Finding | None:
    """``not run`` where a cell is neither a value nor unknown; None where every cell can be read."""
    for name in names:
        cells = study.columns.get(name, ())
        if name in NUMBERS:
            problems = read_numbers(name, cells).problems
        else:
            problems = read_dates(name, cells, day_first=False).problems if name == "recorded_on" else {}
        for place, problem in problems.items():
            unread = f"{len(problems)} of {len(cells)} cells cannot be read: {problem}, got {cells[place]!r}"
            return Finding("not run", f"not run: {unread}")
    return None


def empty_columns(study: Study, names: Sequence[str]) -> list[str]:
    """The columns that are missing, or unknown for every clip."""
    return [name for name in names if all(map(is_unknown, study.columns.get(name, ())))]


def unknown_values(study: Study, names: Sequence[str]) -> str:
    """Which columns are missing, and how much is unknown in the others; "" where all is known."""
    no_column = [f"`{name}`" for name in names if not study.columns.get(name, ())]
    parts = [f"no column {' or '.join(no_column)}"] if no_column else []
    for name in names:
        cells = study.columns.get(name, ())
        if n_unknown := sum(map(is_unknown, cells)):
            parts.append(f"`{name}` is unknown for {n_unknown} of {len(cells)} clips")
        if n_new := int(_new_words(study, name).sum()):
            parts.append(
                f"`{name}` has a value that no training clip has in {n_new} of {study.test_clips.size} test clips"
            )
    return "; ".join(parts)


def _new_words(study: Study, name: str) -> Mask:
    """The test clips with a word that none of their fold's training clips has, shape (n_clips,)."""
    new = np.zeros(study.labels.size, dtype=np.bool_)
    cells = study.columns.get(name, ())
    if not cells or name in NUMBERS or name == "recorded_on":  # a number or a date lies between others
        return new
    words = typed({name: cells})[name]
    if words.dtype == pl.String:
        for fold in study.folds:
            new |= fold.test & words.is_not_null().to_numpy() & ~np.isin(cells, np.array(cells)[fold.fit])
    return new


def may_hide_a_shortcut(study: Study, names: Sequence[str], p: ProbeParams) -> bool:
    """Whether a column is unknown so often that it could separate the classes though its known values do not.

    If every pair of a patient and a control of whom one is unknown were ordered rightly, and half of the other pairs,
    the AUC would be 0.5 plus half the share of those pairs: whether that is over ``p.shortcut_auc``, among all clips or
    among the test clips. There a word that no training clip has, such as a site's new spelling, counts as unknown.
    """
    everyone = np.arange(study.labels.size)
    nothing = np.zeros(study.labels.size, dtype=np.bool_)
    return any(
        could_hide_a_shortcut(_share_of_unknown_pairs(study, name, clips, new), p)
        for name in names
        for clips, new in ((everyone, nothing), (study.test_clips, _new_words(study, name)))
    )


def could_hide_a_shortcut(share: float, p: ProbeParams) -> bool:
    """Whether this share of the pairs of a patient and a control, all ordered rightly, would make an AUC a shortcut's.

    The other pairs are taken to be ordered by chance.
    """
    return 0.5 + share / 2 > p.shortcut_auc


def _share_of_unknown_pairs(study: Study, name: str, clips: Ints, new: Mask) -> float:
    cells = study.columns.get(name, ()) or [""] * study.labels.size
    known = ~np.array([is_unknown(cell) for cell in cells])[clips] & ~new[clips]
    labels = study.labels[clips]
    return 1 - float(known[labels == 0].mean() * known[labels == 1].mean())
