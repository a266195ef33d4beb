"""The benchmark of the gate: its models have the AUC that they are said to have, and a loose margin is seen."""

import numpy as np
import pytest

import promotion as benchmark
from spira.base.params import load
from spira.evaluation.metrics import auc
from spira.registry.params import GateParams
from tiny import ROOT

P = load("gate", GateParams, path=ROOT / "params.yaml")


def test_its_models_have_the_auc_that_they_are_said_to_have() -> None:
    """On 10,000 speakers: the champion's, and the candidate's less the planted loss."""
    test = benchmark.test_clips(20_000)
    champion, candidate = benchmark.ensembles(test, 0.05, 0)
    assert float(auc(test.labels, champion.scores[0])) == pytest.approx(benchmark.AUC, abs=0.01)
    assert float(auc(test.labels, candidate.scores[0])) == pytest.approx(benchmark.AUC - 0.05, abs=0.01)
    assert np.mean(test.labels) == 0.5


def test_a_planted_loss_is_never_promoted_and_an_equal_model_mostly_is() -> None:
    """0.05 of AUC at 400 clips; and a margin that allows as much promotes it, so the count can tell."""
    assert benchmark.promoted(400, 0.05, 10, P) == 0
    assert benchmark.promoted(1000, 0.0, 10, P) >= 8
    loose = P.model_copy(update={"margin": 0.2, "group_margin": 0.2})
    assert benchmark.promoted(400, 0.05, 10, loose) == 10
