"""Simple models of a shortcut: logistic regressions and small trees, chosen by cross-validation over speakers.

Each is fitted on a fold's training and validation clips and scores that fold's test clips, so that it and the model are
compared on the same people.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from spira.base.array_types import Floats, Ints
from spira.clips.cells import NUMBERS, is_unknown, read_dates, read_numbers, require_read
from spira.probes.study import Fold, ProbeParams

_N_SEEDS = 2**32  # that scikit-learn takes


def typed(columns: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Columns of numbers where every known cell is a finite number, else of words; null where unknown.

    Raises:
        DataError: an age or another of ``cells.NUMBERS`` is neither a number nor unknown.
    """
    return pl.DataFrame([_typed(name, cells) for name, cells in columns.items()])


def _typed(name: str, cells: Sequence[str]) -> pl.Series:
    if name in NUMBERS:
        return pl.Series(name, require_read(read_numbers(name, cells), cells), pl.Float64)
    words = pl.Series(name, [None if is_unknown(cell) else cell for cell in cells], pl.String)
    numbers = words.cast(pl.Float64, strict=False)
    return numbers if numbers.is_finite().fill_null(value=False).eq(words.is_not_null()).all() else words


def calendar(cells: Sequence[str]) -> pl.DataFrame:
    """``day``, counted, and ``weekday``, a word, of each date; null where unknown.

    Raises:
        DataError: one is neither a date nor unknown, or may be two dates.
    """
    dates = pl.Series(require_read(read_dates("recorded_on", cells, day_first=False), cells), dtype=pl.Date)
    return pl.DataFrame({"day": dates.dt.epoch("d").cast(pl.Float64), "weekday": dates.dt.to_string("%A")})


def encoder() -> Any:
    """A transformer from a table to numbers.

    An unknown number becomes the mean of the known ones, and a 1 in a column of its own: a gap may say as much as a
    value. A word becomes a 1 in its own column, and an unknown word is one more word.
    """
    from sklearn.compose import ColumnTransformer  # a second, which `check` need not wait for
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    numbers = SimpleImputer(add_indicator=True, keep_empty_features=True)
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [
            ("numbers", numbers, lambda table: [name for name, kind in table.schema.items() if kind.is_numeric()]),
            ("words", words, lambda table: [name for name, kind in table.schema.items() if not kind.is_numeric()]),
        ]
    )


def models(p: ProbeParams) -> Iterator[Any]:
    """Unfitted, the simplest first: it wins a tie."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    for penalty in sorted(p.inverse_penalties):
        yield LogisticRegression(C=penalty, class_weight="balanced", max_iter=10_000)
    for depth in p.tree_depths:
        yield DecisionTreeClassifier(
            max_depth=depth, min_samples_leaf=p.tree_leaf, class_weight="balanced", random_state=p.seed % _N_SEEDS
        )


def scaled(model: Any) -> Any:
    """The model on columns that are all brought to one scale."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline([("scale", StandardScaler()), ("model", model)])


def best(x: Floats, labels: Ints, speakers: Sequence[str], p: ProbeParams) -> Any:
    """The simple model with the highest mean AUC on held-out speakers of these clips, fitted on all of them."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    candidates = list(models(p))
    n_fewest = min(len({who for who, own in zip(speakers, labels == label, strict=True) if own}) for label in (0, 1))
    if n_fewest < p.n_inner_folds:
        return scaled(candidates[0]).fit(x, labels)
    folds = StratifiedGroupKFold(p.n_inner_folds, shuffle=True, random_state=p.seed % _N_SEEDS)
    search = GridSearchCV(scaled(None), {"model": candidates}, scoring="roc_auc", cv=folds)
    return search.fit(x, labels, groups=speakers)


def out_of_fold(
    table: pl.DataFrame, labels: Ints, speakers: Sequence[str], folds: Sequence[Fold], p: ProbeParams
) -> Floats:
    """The score of each test clip by the best simple model of its fold, shape (n_test_clips,), in the clips' order.

    Args:
        table: a row a clip, of numbers and words.
        labels: shape (n_clips,).
        speakers: of each clip.
    """
    scores = np.full(labels.size, np.nan)
    for fold in folds:
        encode = encoder().fit(table.filter(fold.fit))
        x = encode.transform(table)
        model = best(
            x[fold.fit], labels[fold.fit], [who for who, own in zip(speakers, fold.fit, strict=True) if own], p
        )
        scores[fold.test] = model.predict_proba(x[fold.test])[:, 1]
    return scores[np.any([fold.test for fold in folds], axis=0)]
