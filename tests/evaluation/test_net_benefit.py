"""Net benefit is what Vickers and Elkin wrote, counted by hand and computed another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import confusion_matrix

from score_studies import floats, ints, studies
from spira.base.array_types import Floats, Ints
from spira.evaluation.net_benefit import decision_curve, net_benefit


def test_net_benefit_by_hand() -> None:
    """Of ten, three of four patients and one of six controls called at 0.2: 3/10 - 1/10 * 0.25."""
    labels = ints([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    scores = floats([0.9, 0.5, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert net_benefit(labels, scores, 0.2) == pytest.approx(0.3 - 0.1 * 0.25)


@given(studies())
@settings(deadline=None, max_examples=30)
def test_the_curve_agrees_with_the_published_formula(study: tuple[Ints, Floats]) -> None:
    """As the package dcurves has it: sens * prev - (1 - spec) * (1 - prev) * p / (1 - p)."""
    labels, scores = study
    curve = decision_curve(labels, np.stack([scores, 1 - scores]))
    prevalence = labels.mean()
    for i in (0, 9, 49, 89, 98):
        p = curve["threshold"][i]
        expected = []
        for seed_scores in (scores, 1 - scores):
            (right, alarms), (misses, hits) = confusion_matrix(labels, seed_scores >= p, labels=[0, 1])
            sensitivity, specificity = hits / (hits + misses), right / (right + alarms)
            expected.append(sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * p / (1 - p))
        assert curve["model"][i] == pytest.approx(np.mean(expected), abs=1e-9)
        assert curve["everybody"][i] == pytest.approx(prevalence - (1 - prevalence) * p / (1 - p), abs=1e-9)


def test_a_perfect_detector_is_worth_its_patients_and_a_constant_one_everybody() -> None:
    """The share of patients at every threshold that 0 and 1 straddle; and calling all until 0.4, then none."""
    labels = ints([0, 0, 0, 1])
    assert_allclose(decision_curve(labels, labels[None].astype(np.float64))["model"], 0.25)
    curve = decision_curve(labels, np.full((1, 4), 0.405))
    assert_array_equal(curve["model"][:40], curve["everybody"][:40])
    assert_array_equal(curve["model"][40:], curve["nobody"][40:])
