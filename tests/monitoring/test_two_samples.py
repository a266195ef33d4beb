"""Tests of two samples: against independent references, exact under shuffling, and seldom wrong where nothing moved."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ks_2samp
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from spira.monitoring.two_samples import (
    _N_FOLDS,
    _aucs,
    _discrepancies,
    classifier,
    draw_folds,
    holm,
    mean_discrepancy,
    one_number,
    standardized,
)


def shuffled(labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permuted(np.tile(labels, (n, 1)), axis=1)


def samples(seed: int, shift: float = 0.0, n: int = 60, m: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n + m, 6))
    values[n:, 2] += shift
    return values, np.repeat([0, 1], [n, m])


def test_holm_is_the_books_example() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm(np.full(4, 0.9)) == 1.0).all()
    p = np.random.default_rng(0).uniform(size=50)
    assert (holm(p) >= false_discovery_control(p) - 1e-12).all()  # Holm is the stricter of the two


def test_one_number_finds_a_shift_more_surely_than_kolmogorov_and_smirnov() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=200), rng.normal(1.0, size=50)
    assert one_number(old, new) < ks_2samp(old, new).pvalue < 1e-3
    assert one_number(old, rng.permutation(old)) == pytest.approx(1.0)
    assert one_number(np.ones(30), np.ones(20)) == 1.0


def test_standardizing_ignores_who_is_in_which_sample() -> None:
    values, _ = samples(0)
    order = np.random.default_rng(1).permutation(len(values))
    assert standardized(values)[order] == pytest.approx(standardized(values[order]))
    constant = np.column_stack([values, np.ones(len(values))])
    assert (standardized(constant)[:, -1] == 0).all()
    assert np.abs(standardized(np.vstack([values, np.full(6, 1e9)]))).max() == 5


def test_the_discrepancy_is_that_of_its_definition() -> None:
    values, is_new = samples(3)
    kernel = rbf_kernel(values, gamma=0.1)
    old, new = is_new == 0, is_new == 1
    expected = kernel[np.ix_(new, new)].mean() + kernel[np.ix_(old, old)].mean() - 2 * kernel[np.ix_(new, old)].mean()
    assert _discrepancies(kernel, is_new[None])[0] == pytest.approx(expected)


def test_the_classifier_is_scikit_learns_ridge() -> None:
    values, is_new = samples(4, shift=1.0)
    folds = draw_folds(len(values), np.random.default_rng(0))
    found = classifier(values, is_new, shuffled(is_new, 199, np.random.default_rng(1)), folds)
    said = np.empty(len(values))
    for fold in range(_N_FOLDS):
        said[folds == fold] = (
            Ridge(1.0).fit(values[folds != fold], is_new[folds != fold]).predict(values[folds == fold])
        )
    assert found.auc == pytest.approx(roc_auc_score(is_new, said))
    assert found.weights == pytest.approx(Ridge(1.0).fit(values, is_new).coef_)
    assert int(np.argmax(np.abs(found.weights))) == 2
    assert _aucs(said[None], is_new[None].astype(float))[0] == pytest.approx(roc_auc_score(is_new, said))


def test_the_folds_are_as_large_as_each_other() -> None:
    counts = np.bincount(draw_folds(52, np.random.default_rng(0)))
    assert sorted(counts) == [10, 10, 10, 11, 11]


@pytest.mark.parametrize("shift", [0.0, 1.2])
def test_false_alarms_are_as_rare_as_p_says_and_a_shift_is_found(shift: float) -> None:
    n_draws, alarms = 120, np.zeros(2)
    for seed in range(n_draws):
        values, is_new = samples(seed, shift)
        rng = np.random.default_rng(seed)
        shuffles = shuffled(is_new, 199, rng)
        own = standardized(values)
        found = classifier(own, is_new, shuffles, draw_folds(len(own), rng)).p, mean_discrepancy(own, is_new, shuffles)
        alarms += np.array(found) <= 0.05
    shares = alarms / n_draws
    assert (shares <= 0.11).all() if shift == 0 else (shares >= 0.9).all(), shares  # 5 % and three standard errors
