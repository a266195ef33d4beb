"""The benchmark of the intervals: its truths are the limits of its studies, and its count can tell a bad interval."""

import numpy as np
import pytest

import interval_coverage as benchmark
from spira.evaluation.metrics import at_threshold, auc
from tiny import evaluate_params


def test_its_truths_are_what_a_large_study_finds() -> None:
    """4,000 speakers: every metric within 0.03 of its formula."""
    labels, scores, _ = benchmark.study(4000, 1, 1.5, np.random.default_rng(0))
    found = at_threshold(labels, scores, np.full(labels.size, 0.5)) | {"auc": auc(labels, scores)}
    for name, value in benchmark.truth(1.5).items():
        assert float(found[name]) == pytest.approx(value, abs=0.03)


def test_narrow_intervals_are_seen_to_hold_less() -> None:
    """Half the confidence holds the truth in far fewer of 60 studies."""
    wide, narrow = (
        benchmark.coverage(42, 2, 1.5, 60, evaluate_params(n_resamples=100, confidence=confidence))["auc"]
        for confidence in (0.95, 0.5)
    )
    assert wide > 0.8
    assert 0.3 < narrow < 0.7
