"""Two samples of people -> whether they are of one population: tests whose false alarms are as rare as they say.

The unit is the person. Recordings of one person are alike, so that a test over recordings alarms where nothing moved.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import cramervonmises_2samp, rankdata

from spira.base.array_types import Floats, Ints

_N_FOLDS = 5
_RIDGE = 1.0  # of a person's weight, against numbers of deviation 1


class Classifier(NamedTuple):
    """Whether a linear classifier can say which of the two samples a person is from."""

    auc: float  # on people whom it was not fitted on; 0.5 is guessing
    p: float  # the share of shuffled samples in which the AUC is as high
    weights: Floats  # (n_numbers,), of the standardised numbers, fitted on all


def one_number(reference: Floats, new: Floats) -> float:
    """The p of Cramér and von Mises' test of one number, whose samples have shapes (n,) and (m,).

    It sees a shift, a spread and a tail alike; for a shift it needs fewer people than that of Kolmogorov and Smirnov.

    Source:
        Anderson, "On the distribution of the two-sample Cramér-von Mises criterion", 1962.
    """
    if np.ptp(np.concatenate([reference, new])) == 0:
        return 1.0
    return float(cramervonmises_2samp(reference, new, method="asymptotic").pvalue)


def holm(p: Floats) -> Floats:
    """The p values, shape (n,), adjusted for being n: one of them is at most alpha by chance with at most alpha.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(adjusted, 1.0)
    return found


def standardized(values: Floats) -> Floats:
    """Each column by its median and interquartile range, clipped at five of them; shape (n, n_numbers) both.

    By both samples together, so that shuffling who is in which changes nothing.
    """
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    spread = np.where(high > low, (high - low) / 1.349, np.std(values, axis=0))
    return np.asarray(np.clip((values - middle) / np.where(spread > 0, spread, 1.0), -5, 5))


def mean_discrepancy(values: Floats, is_new: Ints, shuffles: Ints) -> float:
    """The p of the maximum mean discrepancy between two samples of several numbers.

    Args:
        values: standardised, shape (n, n_numbers).
        is_new: 1 or 0 by person, shape (n,).
        shuffles: the same, shuffled: shape (n_shuffles, n).

    Source:
        Gretton et al., "A kernel two-sample test", 2012; Gaussian kernel as wide as the median distance.
    """
    squares = (values**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * values @ values.T, 0)
    width = np.median(distances[np.triu_indices_from(distances, 1)])
    kernel = np.exp(-distances / max(width, 1e-12))
    found = _discrepancies(kernel, np.concatenate([is_new[None], shuffles]))
    return _share_as_high(found)


def _discrepancies(kernel: Floats, labels: Ints) -> Floats:
    """The biased estimate by each labelling, shape (n_labellings,)."""
    weights = labels / labels.sum(axis=1, keepdims=True) - (1 - labels) / (1 - labels).sum(axis=1, keepdims=True)
    return np.asarray(((weights @ kernel) * weights).sum(axis=1))


def classifier(values: Floats, is_new: Ints, shuffles: Ints, folds: Ints) -> Classifier:
    """Least squares with a ridge, on five folds; the same folds whoever is in which sample.

    Args:
        values: standardised, shape (n, n_numbers).
        is_new: 1 or 0 by person, shape (n,).
        shuffles: the same, shuffled: shape (n_shuffles, n).
        folds: by person, 0 to 4, drawn without a look at ``is_new``.

    Source:
        Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", 2017; with the AUC in place of the accuracy, for
        the samples differ in size.
    """
    labels = np.concatenate([is_new[None], shuffles]).astype(np.float64)
    with_one = np.column_stack([values, np.ones(len(values))])
    said = np.empty_like(labels)
    for fold in range(_N_FOLDS):
        out, kept = folds == fold, folds != fold
        said[:, out] = labels[:, kept] @ (_solution(with_one[kept]).T @ with_one[out].T)
    aucs = _aucs(said, labels)
    weights = _solution(with_one) @ labels[0]
    return Classifier(float(aucs[0]), _share_as_high(aucs), weights[:-1])


def draw_folds(n: int, rng: np.random.Generator) -> Ints:
    """A fold for each of n people, in sizes that differ by one at most."""
    return rng.permutation(np.arange(n) % _N_FOLDS)


def _solution(values: Floats) -> Floats:
    """The matrix that gives a fit's weights from its labels, shape (n_numbers, n); the last number is the constant."""
    penalty = _RIDGE * np.eye(values.shape[1])
    penalty[-1, -1] = 0
    return np.asarray(np.linalg.solve(values.T @ values + penalty, values.T))


def _aucs(said: Floats, labels: Floats) -> Floats:
    """By row, how often a person of the new sample is ranked above one of the other; shape (n_rows,)."""
    n_new = labels.sum(axis=1)
    ranks = (rankdata(said, axis=1) * labels).sum(axis=1)
    return np.asarray((ranks - n_new * (n_new + 1) / 2) / (n_new * (labels.shape[1] - n_new)))


def _share_as_high(found: Floats) -> float:
    """The p of the first value among all: itself counts."""
    return float((found >= found[0] - 1e-12).mean())
