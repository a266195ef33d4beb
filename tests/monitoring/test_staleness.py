"""The staleness curve: nobody is tested by a model that met them, and a planted decline shows."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spira.baselines.regression import ClipStatistics
from spira.models.params import StatisticsParams
from spira.monitoring.staleness import Asked, Dated, _within, staleness
from spira.monitoring.staleness_page import picture, staleness_page
from spira.plots.charts import spec

P = StatisticsParams(blocks=("small",), inverse_penalties=(0.1,), n_inner_folds=3, seed=0)
ASKED = Asked(min_speakers=4, n_resamples=200, confidence=0.95, seed=0)
MONTHS = tuple(f"2020-{month:02d}" for month in (1, 2, 3, 5, 6))  # none in April


def dated(turn: float = 0.0, n: int = 40, same: bool = False) -> Dated:
    """So many people a month with two clips each.

    Args:
        turn: by how much a month turns what separates the classes, in right angles.
        same: whether the same people come again each month.
    """
    rng, numbers, labels, speakers, months = np.random.default_rng(0), [], [], [], []
    for place, month in enumerate(MONTHS):
        angle = turn * place * np.pi / 2
        toward = np.array([np.cos(angle), np.sin(angle), 0, 0])
        for person, _ in product(range(n), range(2)):
            label = person % 2
            numbers.append(2.0 * (label - 0.5) * toward + 0.5 * rng.normal(size=4))
            labels.append(label)
            speakers.append(f"s{person}" if same else f"{month}-{person}")
            months.append(month)
    clips = ClipStatistics({"small": np.array(numbers)}, np.array(labels), speakers, np.ones(len(labels)))
    return Dated(clips, months)


def test_where_nothing_changes_age_costs_nothing() -> None:
    found = staleness(dated(), "c", 0, P, ASKED)
    assert [(age.months, age.n_trials) for age in found.ages] == [(1, 3), (2, 2), (3, 2), (4, 2), (5, 1)]
    assert all(age.auc > 0.97 for age in found.ages)
    assert all(age.low < age.auc <= age.high for age in found.ages)


@pytest.mark.ml_test_score("Model 4", manual=True)
def test_a_planted_decline_shows() -> None:
    found = staleness(dated(turn=0.25), "c", 0, P, ASKED)
    first = {trial.tested_in: trial.auc for trial in found.trials if trial.trained_until == "2020-01"}
    assert first["2020-02"] > 0.95
    assert first["2020-06"] < 0.6
    assert found.ages[-1].high < found.ages[0].low


def test_nobody_is_tested_by_a_model_that_met_them() -> None:
    assert staleness(dated(same=True), "c", 0, P, ASKED).trials == ()


def test_too_few_people_are_no_trial() -> None:
    assert staleness(dated(n=6), "c", 3, P, ASKED).ages == ()
    assert "too few people with a date" in staleness_page(staleness(dated(n=6), "c", 3, P, ASKED)).markdown()


def test_together_means_pairs_that_one_model_scored() -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 60), rng.normal(size=60)
    halves = [np.arange(60) < 20, np.arange(60) >= 20]
    sizes = [labels[half].sum() * (1 - labels[half]).sum() for half in halves]
    expected = np.average([roc_auc_score(labels[half], scores[half]) for half in halves], weights=sizes)
    assert _within(labels, scores, halves, np.ones((1, 60)))[0] == pytest.approx(expected)
    none = np.where(labels == 1, 0.0, 1.0)[None]
    assert np.isnan(_within(labels, scores, halves, none)[0])


def test_the_page_has_each_trial_and_the_picture_each_age() -> None:
    found = staleness(dated(), "a corpus", 7, P, ASKED)
    text = staleness_page(found).markdown()
    assert "7 clips have no date" in text
    assert text.count("\n| 2020-0") == len(found.trials)
    drawn = str(spec(picture(found)))
    assert "a corpus" in drawn
    assert "Months since" in drawn
