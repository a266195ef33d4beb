"""The baseline's fit: scikit-learn's optimum of a weighted loss, selected on speakers that were not fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from spira.base.array_types import Floats
from spira.base.errors import DataError
from spira.baselines.regression import (
    Choice,
    ClipStatistics,
    fit,
    held_out_fits,
    inner_folds,
    log_loss,
    select,
    validation_groups,
)
from tiny import statistics_params

P = statistics_params()


def clips(n_speakers: int = 24, shift: float = 1.0, views: int = 3, seed: int = 0) -> ClipStatistics:
    """Two clips a speaker, every other speaker a patient; the first number of ``small`` differs by ``shift``.

    ``large`` is ten times as wide and is noise alone.
    """
    rng, n = np.random.default_rng(seed), 2 * n_speakers
    labels = np.repeat(np.arange(n_speakers) % 2, 2)
    clean = rng.normal(size=(n, 4)) + shift * labels[:, None] * np.eye(4)[0]
    small = np.repeat(clean, views, axis=0) + 0.1 * rng.normal(size=(n * views, 4))
    speakers = [f"s{i // 2}" for i in range(n) for _ in range(views)]
    weights = np.tile([0.5, *[0.5 / (views - 1)] * (views - 1)], n)
    return ClipStatistics(
        {"small": small, "large": rng.normal(size=(n * views, 40))}, labels.repeat(views), speakers, weights
    )


def test_the_fit_is_the_optimum_of_the_weighted_loss() -> None:
    """By scipy, from the definition: half the squared weights, and C times the sum of weighted log losses."""
    given = clips()
    got = fit(given, "small", 0.3)
    x = given.blocks["small"]
    centre = np.average(x, axis=0, weights=given.weights)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=given.weights))
    assert_allclose(got.centre, centre)
    assert_allclose(got.spread, spread)
    z, sign = (x - centre) / spread, 2 * given.labels - 1

    def objective(w: Floats) -> float:
        losses = np.logaddexp(0, -sign * (z @ w[:-1] + w[-1]))
        return float(w[:-1] @ w[:-1] / 2 + 0.3 * (given.weights * losses).sum())

    expected = minimize(objective, np.zeros(5), tol=1e-10).x
    assert_allclose([*got.weight, got.bias], expected, atol=2e-3)


def test_a_penalty_means_the_same_whatever_the_number_of_views() -> None:
    """Each rendering three times, with a third of its weight: the same model. Weights that sum to 3: another one."""
    given = clips()
    thrice = ClipStatistics(
        {"small": given.blocks["small"].repeat(3, axis=0)},
        given.labels.repeat(3),
        [speaker for speaker in given.speakers for _ in range(3)],
        given.weights.repeat(3) / 3,
    )
    assert_allclose(fit(thrice, "small", 0.1).weight, fit(given, "small", 0.1).weight, atol=1e-6)
    heavier = replace(thrice, weights=3 * thrice.weights)
    assert np.abs(fit(heavier, "small", 0.1).weight).max() > 1.1 * np.abs(fit(given, "small", 0.1).weight).max()


def test_a_number_that_never_differs_changes_nothing() -> None:
    """It is divided by 1 and not by 0."""
    given = clips()
    wider = replace(given, blocks={"small": np.c_[given.blocks["small"], np.full(len(given.labels), 7.0)]})
    got = fit(wider, "small", 0.1)
    assert got.spread[-1] == 1.0
    assert got.weight[-1] == 0.0
    assert_allclose(got.weight[:-1], fit(given, "small", 0.1).weight)


def test_the_loss_is_the_weighted_log_loss() -> None:
    """By hand: probabilities of the right class, and finite for a clip that is wrong by a hundred logits."""
    given = clips()
    model = fit(given, "small", 0.1)
    probability = 1 / (1 + np.exp(-model.logits(given.blocks["small"])))
    right = np.where(given.labels == 1, probability, 1 - probability)
    assert log_loss(model, given, "small") == pytest.approx(-np.average(np.log(right), weights=given.weights))
    sure = replace(model, bias=1000.0)
    assert log_loss(sure, given, "small") == pytest.approx(500, rel=0.02)


def test_inner_folds_hold_out_each_rendering_once_and_no_speaker_is_divided() -> None:
    """With both classes on either side."""
    given = clips()
    folds = list(inner_folds(given, P))
    assert len(folds) == P.n_inner_folds
    assert_array_equal(np.sum(folds, axis=0), 1)
    speakers = np.asarray(given.speakers)
    for held_out in folds:
        assert not set(speakers[held_out]) & set(speakers[~held_out])
        assert set(given.labels[held_out]) == set(given.labels[~held_out]) == {0, 1}
    other = list(inner_folds(given, statistics_params(seed=1)))
    assert not np.array_equal(folds, other)


def test_the_better_block_is_selected_on_speakers_that_were_not_fitted_to() -> None:
    """Noise of forty numbers fits the training clips better than the one that matters, and is not selected."""
    given = clips(shift=3.0)
    choices = select(given, P)
    assert [(c.block, c.inverse_penalty) for c in choices] == [(b, c) for b in P.blocks for c in P.inverse_penalties]
    assert min(choices, key=lambda choice: choice.loss).block == "small"
    nothing = clips(shift=0.0)
    noise = min((c for c in select(nothing, P) if c.block == "large"), key=lambda choice: choice.loss)
    assert noise.loss > 0.69 > log_loss(fit(nothing, "large", noise.inverse_penalty), nothing, "large")


def test_the_seed_and_the_threads_change_no_bit_of_a_fit() -> None:
    """Nothing is drawn but the inner folds; BLAS with one thread or two."""
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            given = clips()
            found.append((select(given, P), fit(given, "large", 0.1)))
    assert found[0][0] == found[1][0]
    assert_array_equal(found[0][1].weight, found[1][1].weight)


def test_a_validation_speaker_is_held_out_once_and_is_in_all_other_fits() -> None:
    """By fitting the same from the definition; both classes are spread over the groups."""
    training, other = clips(), clips(9, seed=1)
    validation = replace(other, speakers=[f"v{name}" for name in other.speakers])
    fits = held_out_fits(training, validation, Choice("small", 0.1, 0.0), 4)
    assert_array_equal(np.sum([group for group, _ in fits], axis=0), 1)
    speakers = np.asarray(validation.speakers)
    for group, got in fits:
        assert set(validation.labels[group]) == {0, 1}
        assert not set(speakers[group]) & set(speakers[~group])
        assert_array_equal(got.weight, fit(training.joined(validation.subset(~group)), "small", 0.1).weight)
    assert len({got.weight.tobytes() for _, got in fits}) == 4
    assert len(validation_groups(clips(2), 4)) == 2


@pytest.mark.parametrize(("n_speakers", "n_folds"), [(4, 2), (6, 3)])
def test_a_small_corpus_has_fewer_inner_folds(n_speakers: int, n_folds: int) -> None:
    """As many as the rarer class has speakers."""
    given = clips(n_speakers)
    assert len(list(inner_folds(given, P))) == n_folds
    assert len(select(given, P)) == 6


def test_one_speaker_of_a_class_is_refused_by_name() -> None:
    """Without scikit-learn's traceback."""
    with pytest.raises(DataError, match=r"baseline\.statistics: .* two patients and two controls .*, got 1 and 2; add"):
        select(clips(3), P)
    with pytest.raises(DataError, match="training needs clips of both classes, patient and control, got one"):
        fit(replace(clips(4), labels=np.ones(24, dtype=np.int64)), "small", 0.1)
