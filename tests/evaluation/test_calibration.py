"""Calibration agrees with scikit-learn and with planted truth, and what cannot be known is not made up."""

from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from score_studies import as_clips, floats, ints, studies, weighted_studies
from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.calibration import calibrated, calibrators_by_fold
from spira.evaluation.calibrators import (
    calibrator,
    expected_error,
    intercept,
    log_odds,
    reliability,
    slope,
    squared_error,
    temperature,
)
from spira.evaluation.params import CalibrationParams

TEMPERATURE = CalibrationParams(method="temperature", n_bins=10)
ISOTONIC = CalibrationParams(method="isotonic", n_bins=10)


def planted(n_clips: int, heat: float, shift: float, seed: int) -> tuple[Ints, Floats]:
    """(labels, scores): log odds z are true, and scored expit(z * heat + shift)."""
    rng = np.random.default_rng(seed)
    odds = 1.5 * rng.standard_normal(n_clips)
    labels = (rng.uniform(size=n_clips) < expit(odds)).astype(np.int64)
    return labels, np.asarray(expit(odds * heat + shift))


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found_again(heat: float) -> None:
    """20,000 clips whose log odds were multiplied by it: within 5 %; then the slope is 1 and the error near 0."""
    labels, scores = planted(20_000, heat, 0.0, 1)
    assert temperature(labels, scores) == pytest.approx(heat, rel=0.05)
    assert slope(labels, scores) == pytest.approx(1 / heat, rel=0.05)
    after = calibrator(labels, scores, TEMPERATURE)(scores)
    assert slope(labels, after) == pytest.approx(1, rel=0.05)
    assert expected_error(labels, after, 10) < 0.02


def test_a_planted_shift_is_the_intercept() -> None:
    """Scores a unit of log odds too low: 1 must be added, within 0.06 (20,000 clips); isotonic takes it away."""
    labels, scores = planted(20_000, 1.0, -1.0, 2)
    assert intercept(labels, scores) == pytest.approx(1, abs=0.06)
    assert abs(intercept(labels, calibrator(labels, scores, ISOTONIC)(scores))) < 0.06


@given(weighted_studies())
@settings(deadline=None)
def test_the_brier_score_is_scikit_learns(study: tuple[Ints, Floats, Ints]) -> None:
    """With weights and without; rounding alone differs."""
    labels, scores, weights = study
    assert_allclose(squared_error(labels, scores), brier_score_loss(labels, scores), atol=1e-12)
    weighed = squared_error(labels, scores, weights[None].astype(np.float64))
    assert_allclose(weighed, [brier_score_loss(labels, scores, sample_weight=weights)], atol=1e-12)


@given(studies())
@settings(deadline=None)
def test_reliability_is_scikit_learns_curve_and_the_error_is_its_distance(study: tuple[Ints, Floats]) -> None:
    """Same bins, edges and ends among the scores; every clip in one of them."""
    labels, scores = study
    said, are, counts = reliability(labels, scores, 8)
    share, mean = calibration_curve(labels, scores, n_bins=8)
    assert_allclose(said, mean, atol=1e-12)
    assert_allclose(are, share, atol=1e-12)
    assert counts.sum() == labels.size
    assert expected_error(labels, scores, 8) == pytest.approx(np.average(np.abs(mean - share), weights=counts))


def test_the_expected_error_by_hand() -> None:
    """Two bins: 0.2 said and 1 of 2 patients, 0.9 said and 2 of 2: (2 * 0.3 + 2 * 0.1) / 4."""
    error = expected_error(ints([0, 1, 1, 1]), floats([0.1, 0.3, 0.9, 0.9]), 2)
    assert error == pytest.approx(0.2)


def test_slope_and_intercept_solve_their_equations() -> None:
    """Both are where the likelihood is flat: residuals sum to 0, and for the slope also times the log odds."""
    labels, scores = planted(300, 1.7, 0.4, 3)
    odds, added = logit(scores), intercept(labels, scores)
    assert np.sum(labels - expit(odds + added)) == pytest.approx(0, abs=1e-6)
    steep = slope(labels, scores)
    free = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], labels)
    residuals = labels - expit(odds * steep + free.intercept_[0])
    assert np.sum(residuals * odds) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_the_fits_agree_with_scipy_and_scikit_learn(seed: int) -> None:
    """To nine decimals where theirs stop there, and the temperature to six: what is written has six."""
    labels, scores = planted(60 * 4**seed, 0.5 + seed, seed - 1.5, seed)
    odds, signs = log_odds(scores), 2 * labels - 1
    found = minimize_scalar(
        lambda heat: np.mean(np.logaddexp(0, -signs * odds / np.exp(heat))), bounds=(-3, 3), options={"xatol": 1e-10}
    )
    assert temperature(labels, scores) == pytest.approx(np.exp(found.x), rel=1e-6)
    added = brentq(lambda added: np.mean(expit(odds + added) - labels), -99, 99, xtol=1e-12)
    assert intercept(labels, scores) == pytest.approx(added, abs=1e-9)
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(odds[:, None], labels)
    assert slope(labels, scores) == pytest.approx(line.coef_[0, 0], abs=1e-9)


@pytest.mark.parametrize(("scores", "limit"), [([0.1, 0.2, 0.8, 0.9], 0.05), ([0.9, 0.8, 0.2, 0.1], 20)])
def test_a_temperature_without_an_optimum_is_a_limit(scores: list[float], limit: float) -> None:
    """Separable clips ask for a temperature of 0, clips that are ordered the wrong way for an infinite one."""
    assert temperature(ints([0, 0, 1, 1]), floats(scores)) == pytest.approx(limit)


def test_the_slope_of_nearly_separable_clips_is_found() -> None:
    """One clip out of order among 2000: steep, finite, and as scikit-learn finds it."""
    rng = np.random.default_rng(0)
    odds = np.abs(rng.standard_normal(2000)) * np.repeat([-1, 1], 1000)
    labels = np.repeat([0, 1], 1000)
    labels[500] = 1
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(odds[:, None], labels)
    assert slope(labels, np.asarray(expit(odds))) == pytest.approx(line.coef_[0, 0], rel=1e-9)


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1], [0.4] * 4, [0.1, 0.5, 0.5, 0.9]])
def test_a_slope_that_is_infinite_or_anything_is_not_made_up(scores: list[float]) -> None:
    """Separated, separated the wrong way, all the same, and separated but for a tie."""
    assert isnan(slope(ints([0, 0, 1, 1]), floats(scores)))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_score_that_says_nothing_has_slope_0(one: float, other: float) -> None:
    """Where the fit starts at its optimum there is no step that is better, and no warning either."""
    assume(abs(one - other) > 0.01)
    assert slope(ints([0, 1, 0, 1]), floats([one, other, other, one])) == pytest.approx(0, abs=1e-4)


@given(studies())
@settings(deadline=None, max_examples=40)
def test_every_study_has_finite_everything_but_the_slope(study: tuple[Ints, Floats]) -> None:
    """Scores of exactly 0 and 1 among them; both maps stay in [0, 1] and keep the order."""
    labels, scores = study
    assert np.isfinite([intercept(labels, scores), temperature(labels, scores)]).all()
    for p in (TEMPERATURE, ISOTONIC):
        after = calibrator(labels, scores, p)(scores)
        assert ((after >= 0) & (after <= 1)).all()
        assert (np.diff(after[np.argsort(scores)]) >= -1e-12).all()
        slope(labels, after)


def test_no_temperature_is_better() -> None:
    """Searched: the log loss of the clips it was fitted to is least there."""
    labels, scores = planted(400, 2.0, 0.3, 5)
    best = log_loss(labels, calibrator(labels, scores, TEMPERATURE)(scores))
    assert all(log_loss(labels, expit(log_odds(scores) / heat)) >= best - 1e-9 for heat in np.geomspace(0.1, 15, 200))


def test_one_class_has_no_calibration() -> None:
    """A sentence, before a line is fitted through nothing."""
    with pytest.raises(DataError, match="calibration: needs patients and controls"):
        calibrator(ints([1, 1]), floats([0.2, 0.3]), TEMPERATURE)


def test_each_fold_and_seed_has_its_own_map() -> None:
    """Fold b's validation labels turned about move nothing of fold a's; seed 2, twice as sure, comes out the same."""
    labels, scores = planted(400, 1.0, 0.0, 6)
    folds = ["a", "b"] * 200
    both = np.stack([scores, np.asarray(expit(2 * logit(scores)))])
    clips = as_clips(labels, both, folds=folds)
    after = calibrated(clips, calibrators_by_fold(clips, TEMPERATURE))
    assert_allclose(after[0], after[1], atol=1e-5)
    own = np.asarray(folds) == "a"
    other = calibrators_by_fold(as_clips(np.where(own, labels, 1 - labels), both, folds=folds), TEMPERATURE)
    moved = calibrated(clips, other)
    assert_array_equal(moved[:, own], after[:, own])
    assert not np.allclose(moved[:, ~own], after[:, ~own])
