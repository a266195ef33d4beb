"""Points of the ROC curve agree with scikit-learn's and with a search; predictive values with counted people."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, roc_curve

from score_studies import floats, ints, studies, weighted_studies
from spira.base.array_types import Floats, Ints
from spira.evaluation.operating_points import operating_points, predictive_values


@given(weighted_studies(), st.integers(1, 19))
@settings(deadline=None)
def test_points_agree_with_scikit_learn(study: tuple[Ints, Floats, Ints], twentieths: int) -> None:
    """Searched among roc_curve's points, weights and ties among them; sums differ by rounding, hence 1e-12."""
    labels, scores, weights = study
    at = twentieths / 20
    fpr, tpr, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    ours = operating_points(labels, scores, at, at, weights[None].astype(np.float64))
    expected = {
        "sensitivity_at_specificity": max(tpr[1 - fpr >= at - 1e-12]),
        "specificity_at_sensitivity": max(1 - fpr[tpr >= at - 1e-12]),
        "average_precision": average_precision_score(labels, scores, sample_weight=weights),
    }
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert_allclose(ours[name], [value], rtol=0, atol=1e-12, err_msg=name)


def test_ten_controls_allow_one_false_alarm_at_nine_tenths() -> None:
    """By hand: 1 - 1/10 is 0.9 although not as floats; the patients above the second-highest control are found."""
    controls = [i / 10 for i in range(10)]
    labels, scores = ints([0] * 10 + [1] * 4), floats([*controls, 0.95, 0.85, 0.75, 0.05])
    of = {name: float(value) for name, value in operating_points(labels, scores, 0.9, 0.75).items()}
    assert of["sensitivity_at_specificity"] == 0.5
    assert of["specificity_at_sensitivity"] == 0.8


@given(studies())
@settings(deadline=None)
def test_turning_the_question_about_swaps_the_points(study: tuple[Ints, Floats]) -> None:
    """Controls sought by 1 - score: their sensitivity is our specificity. (Eighths: exact.)"""
    labels, scores = study[0], np.round(study[1] * 8) / 8
    ours, turned = operating_points(labels, scores, 0.7, 0.7), operating_points(1 - labels, 1 - scores, 0.7, 0.7)
    assert_allclose(turned["specificity_at_sensitivity"], ours["sensitivity_at_specificity"], atol=1e-12)


def test_predictive_values_are_counted_people() -> None:
    """Of 1,000 with 50 patients, 0.8 and 0.9: 40 of 135 called are patients, 855 of 865 others are none."""
    of = predictive_values(np.float64(0.8) * np.ones(1), np.ones(1) * 0.9, [0.05, 0.5])
    assert of["ppv_at_0.05"][0] == pytest.approx(40 / 135)
    assert of["npv_at_0.05"][0] == pytest.approx(855 / 865)
    assert of["ppv_at_0.5"][0] == pytest.approx(0.8 / 0.9)


def test_a_call_that_is_never_made_has_no_value() -> None:
    """Where everybody is classified as patient, no control's call is known; where nobody is, no patient's."""
    everybody = predictive_values(np.ones(1), np.zeros(1), [0.2])
    assert everybody["ppv_at_0.2"][0] == pytest.approx(0.2)
    assert isnan(everybody["npv_at_0.2"][0])
    assert isnan(predictive_values(np.zeros(1), np.ones(1), [0.2])["ppv_at_0.2"][0])
