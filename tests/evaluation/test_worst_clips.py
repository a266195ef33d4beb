"""The worst clips are those on the wrong side, farthest from their own threshold."""

import numpy as np
import pytest

from score_studies import as_clips, floats, ints
from spira.evaluation.worst_clips import worst_clips

LABELS = ints([1, 1, 0, 0, 1])
SCORES = np.stack([floats([0.1, 0.4, 0.9, 0.2, 0.5]), floats([0.3, 0.8, 0.7, 0.1, 0.5])])
THRESHOLDS = np.full((2, 5), 0.5)


def test_the_most_confident_comes_first() -> None:
    """By hand: a patient 0.3 below, a control 0.3 above; 0.4 and 0.8 are right on the mean, and so is 0.5 at 0.5."""
    found = worst_clips(as_clips(LABELS, SCORES, THRESHOLDS), 10)
    assert [wrong.position for wrong in found] == [0, 2]
    assert found[0][1:] == pytest.approx((0.2, 0.5, 0.3, 1.0))
    assert found[1][1:] == pytest.approx((0.8, 0.5, 0.3, 1.0))


def test_no_more_than_asked_and_each_by_its_own_threshold() -> None:
    """One, and with the other clip's threshold lowered it is the other; where all are right there is none."""
    assert [wrong.position for wrong in worst_clips(as_clips(LABELS, SCORES, THRESHOLDS), 1)] == [0]
    lower = THRESHOLDS.copy()
    lower[:, 2] = 0.2
    assert [wrong.position for wrong in worst_clips(as_clips(LABELS, SCORES, lower), 1)] == [2]
    assert worst_clips(as_clips(LABELS, LABELS.astype(np.float64)), 10) == []
