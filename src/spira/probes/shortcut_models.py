"""The cheap models that a shortcut is tried with: lines and small trees, chosen by people who do not judge.

Each is fitted on a fold's training and validation clips and scores that fold's test clips, so that it and the model
are judged by the same people.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.clips.cells import NUMBERS, is_unknown, read_dates, read_numbers, require_read
from spira.evaluation.metrics import auc
from spira.probes.study import Fold, ProbeParams


def matrix(columns: Mapping[str, Sequence[str]]) -> Floats:
    """Columns of a table as numbers, shape (n_clips, n_columns): a number as itself, a word as a 1 in its own column.

    What is unknown is the mean of what is known, and a 1 in a column of its own: a gap may tell as much as a value.

    Raises:
        DataError: an age or another of ``cells.NUMBERS`` is neither a number nor unknown.
    """
    parts = [part for name, cells in columns.items() for part in _column(name, cells)]
    return np.stack(parts, axis=1)


def _column(name: str, cells: Sequence[str]) -> Iterator[Floats]:
    absent = np.array([is_unknown(cell) for cell in cells])
    known = require_read(read_numbers(name, cells), cells) if name in NUMBERS else [_number(cell) for cell in cells]
    if all(value is not None or gap for value, gap in zip(known, absent, strict=True)) and not absent.all():
        values = np.array([np.nan if value is None else value for value in known])
        yield np.where(absent, np.nanmean(values), values)
    else:
        words = sorted({cell for cell, gap in zip(cells, absent, strict=True) if not gap})
        yield from (np.array([cell == word for cell in cells], dtype=np.float64) for word in words)
    yield absent.astype(np.float64)


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def calendar(cells: Sequence[str]) -> dict[str, list[str]]:
    """A column of dates as ``day``, counted, and ``weekday``; "" where unknown.

    Raises:
        DataError: one is neither a date nor unknown, or may be two dates.
    """
    days = require_read(read_dates("recorded_on", cells, day_first=False), cells)
    return {
        "day": ["" if day is None else str(day.toordinal()) for day in days],
        "weekday": ["" if day is None else day.strftime("%A") for day in days],
    }


def out_of_fold(x: Floats, labels: Ints, speakers: Sequence[str], folds: Sequence[Fold], p: ProbeParams) -> Floats:
    """The score of each tested clip by the best of the cheap models, shape (n_judged,), clips in their order.

    Args:
        x: shape (n_clips, n_columns).
        labels: shape (n_clips,).
        speakers: of each clip.
    """
    scores = np.full(labels.size, np.nan)
    for fold in folds:
        members = [who for who, own in zip(speakers, fold.fit, strict=True) if own]
        chosen = best(x[fold.fit], labels[fold.fit], members, p)
        scores[fold.test] = fitted(chosen, x[fold.fit], labels[fold.fit])(x[fold.test])
    return scores[np.any([fold.test for fold in folds], axis=0)]


def best(x: Floats, labels: Ints, speakers: Sequence[str], p: ProbeParams) -> Any:
    """The one of the cheap models that does best on people whom it was not fitted on, all of them from these clips."""
    tried = list(models(p))
    parts = inner_folds(labels, speakers, p.n_inner_folds, p.seed)
    if len(tried) == 1 or any(np.unique(labels[parts == part]).size < 2 for part in np.unique(parts)):
        return tried[0]  # too few people to choose by
    found = []
    for model in tried:
        scores = np.zeros(labels.size)
        for part in range(p.n_inner_folds):
            own = parts == part
            scores[own] = fitted(model, x[~own], labels[~own])(x[own])
        found.append(float(auc(labels, scores)))
    return tried[int(np.argmax(found))]


def inner_folds(labels: Ints, speakers: Sequence[str], n_folds: int, seed: int) -> Ints:
    """The fold of each clip: a speaker's clips in one, each class dealt out evenly."""
    rng = np.random.default_rng(seed)
    part_of: dict[str, int] = {}
    for label in (0, 1):
        members = sorted({who for who, of in zip(speakers, labels, strict=True) if of == label})
        part_of |= {members[i]: place % n_folds for place, i in enumerate(rng.permutation(len(members)))}
    return np.array([part_of[who] for who in speakers])


def models(p: ProbeParams) -> Iterator[Any]:
    """Unfitted, the simplest first: it wins a tie."""
    from sklearn.linear_model import LogisticRegression  # a second, which `check` need not wait for
    from sklearn.tree import DecisionTreeClassifier

    for penalty in sorted(p.inverse_penalties):
        yield LogisticRegression(C=penalty, class_weight="balanced", max_iter=10_000)
    for depth in p.tree_depths:
        yield DecisionTreeClassifier(
            max_depth=depth, min_samples_leaf=p.tree_leaf, class_weight="balanced", random_state=p.seed
        )


def fitted(model: Any, x: Floats, labels: Ints) -> Any:
    """A function from rows to the probability of `patient`, fitted on these rows brought to one scale."""
    from sklearn.base import clone

    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)  # a column that never differs says nothing
    solved = clone(model).fit((x - centre) / spread, labels)
    return lambda rows: solved.predict_proba((rows - centre) / spread)[:, 1]
