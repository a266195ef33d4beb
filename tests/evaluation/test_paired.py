"""Two revisions' or models' scores: differences and intervals agree with theory, and verdicts keep their rules."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, t

from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.bootstrap import speaker_resamples
from spira.evaluation.metrics import all_metrics
from spira.evaluation.paired import COMPARED, Difference, paired_differences, verdict, why_not_paired
from spira.predictions.scored import ScoredClips


def scored(labels: Ints, scores: Floats, threshold: float = 0.5) -> ScoredClips:
    """One clip a speaker."""
    names = tuple(f"s{i}" for i in range(labels.size))
    scores = np.atleast_2d(scores)
    return ScoredClips(names, names, ("holdout",) * labels.size, labels, scores, np.full_like(scores, threshold))


def study(n: int, d_base: float, d_head: float, seed: int = 0, n_seeds: int = 1) -> tuple[ScoredClips, ScoredClips]:
    """Two revisions' scores of n people, correlated 0.8; patients stand d above controls."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(np.int64)
    shared = sqrt(0.8) * rng.standard_normal(n)
    base, head = (shared + sqrt(0.2) * rng.standard_normal((n_seeds, n)) + d * labels for d in (d_base, d_head))
    return scored(labels, 1 / (1 + np.exp(-base))), scored(labels, 1 / (1 + np.exp(-head)))


def delong(base: ScoredClips, head: ScoredClips) -> tuple[float, float]:
    """(difference of AUC, its standard error) by DeLong, DeLong and Clarke-Pearson, 1988."""
    patients, controls = [], []
    for j in (base, head):
        x, y = j.scores[0, j.labels == 1, None], j.scores[0, j.labels == 0]
        wins = (x > y) + 0.5 * (x == y)
        patients.append(wins.mean(axis=1))
        controls.append(wins.mean(axis=0))
    variance = sum(np.var(v[1] - v[0], ddof=1) / len(v[0]) for v in (patients, controls))
    return float(np.mean(patients[1]) - np.mean(patients[0])), sqrt(float(variance))


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_agrees_with_delong(seed: int) -> None:
    """One clip a speaker and one training is DeLong's case, to the last digit; the rest is Student's t."""
    base, head = study(200, 1.5, 1.2, seed)
    found = paired_differences(base, head, 0.95, COMPARED)["auc"]
    difference, error = delong(base, head)
    assert_allclose(found.difference, difference, atol=1e-12)
    assert_allclose((found.hi - found.lo) / (2 * t.ppf(0.975, 198)), error, rtol=1e-9)
    assert not found.over_trainings


@pytest.mark.parametrize("name", COMPARED)
def test_the_error_over_speakers_agrees_with_the_bootstrap(name: str) -> None:
    """Three clips a speaker, who is alike in all: resampled speakers give the same error; 4000 of them leave 6 %."""
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(90), rng.integers(1, 6, 90))
    labels = (who % 3 == 0).astype(np.int64)
    shared = rng.standard_normal(90)[who] + 1.5 * labels
    draws = [1 / (1 + np.exp(-(shared + 0.7 * rng.standard_normal(90)[who] + 0.5 * rng.standard_normal(who.size))))]
    draws.append(1 / (1 + np.exp(-(shared + 0.7 * rng.standard_normal(90)[who]))))
    names = tuple(map(str, range(who.size)))
    base, head = (
        ScoredClips(names, tuple(map(str, who)), names, labels, s[None], np.full_like(s[None], 0.6)) for s in draws
    )
    weights = speaker_resamples(labels, base.speakers, 4000, 0).weights(0, 4000)
    before, after = (all_metrics(labels, side.scores, side.thresholds, weights)[name][0] for side in (base, head))
    found = paired_differences(base, head, 0.95, COMPARED)[name]
    assert_allclose((found.hi - found.lo) / (2 * t.ppf(0.975, 88)), np.std(after - before), rtol=0.06)


def lucky(n: int, n_seeds: tuple[int, int], luck: float, rng: np.random.Generator) -> tuple[ScoredClips, ScoredClips]:
    """One revision trained again and again: patients stand 1.6 above controls, more or less by ``luck``."""
    labels = (np.arange(n) % 2).astype(np.int64)
    shared = sqrt(0.95) * rng.standard_normal(n)
    base, head = (
        shared + sqrt(0.05) * rng.standard_normal((k, n)) + (1.6 + luck * rng.standard_normal((k, 1))) * labels
        for k in n_seeds
    )
    return scored(labels, 1 / (1 + np.exp(-base))), scored(labels, 1 / (1 + np.exp(-head)))


@pytest.mark.parametrize(("n_seeds", "luck"), [((3, 3), 0.0), ((3, 3), 0.3), ((5, 2), 0.1), ((3, 3), 0.1)])
def test_the_interval_holds_the_truth_as_often_as_it_says(n_seeds: tuple[int, int], luck: float) -> None:
    """Other people and other trainings, 400 times: 95 %, give or take 3 standard errors of that count and 1 %."""
    rng = np.random.default_rng(5)
    studies = [lucky(60, n_seeds, luck, rng) for _ in range(400)]
    found = [paired_differences(base, head, 0.95, ("auc",))["auc"] for base, head in studies]
    assert_allclose(np.mean([one.lo <= 0 <= one.hi for one in found]), 0.95, atol=0.04)


@pytest.mark.parametrize("luck", [0.0, 0.3])
def test_a_baseline_has_no_luck_and_its_speakers_all_the_same(luck: float) -> None:
    """One fit in which nothing is drawn against three trainings, 400 times: the interval is over trainings too, and
    holds the true difference of the population's AUCs in 95 %, give or take 3 standard errors and 1 %.

    That of patients who stand d above controls, all of variance 1, is Phi(d / sqrt(2)), and with d's own luck
    Phi(d / sqrt(2 + luck^2)).
    """
    rng = np.random.default_rng(8)
    truth = norm.cdf(1.6 / sqrt(2 + luck**2)) - norm.cdf(1.6 / sqrt(2))
    inside, alone = [], []
    for _ in range(400):
        labels = (np.arange(60) % 2).astype(np.int64)
        shared = sqrt(0.8) * rng.standard_normal(60)
        own = sqrt(0.2) * rng.standard_normal((4, 60))
        raised = 1.6 + luck * np.append(0, rng.standard_normal(3))[:, None]
        scores = 1 / (1 + np.exp(-(shared + own + raised * labels)))
        baseline, network = replace(scored(labels, scores[:1]), drawn=False), scored(labels, scores[1:])
        found = paired_differences(baseline, network, 0.95, ("auc",))["auc"]
        assert found.over_trainings
        inside.append(found.lo <= truth <= found.hi)
        alone.append(paired_differences(replace(baseline, drawn=True), network, 0.95, ("auc",))["auc"].over_trainings)
    assert_allclose(np.mean(inside), 0.95, atol=0.04)
    assert not any(alone)


def test_two_baselines_differ_by_delong_and_that_is_a_verdict() -> None:
    """Nothing is drawn on either side, so the interval over speakers is the whole one; other luck would be none."""
    base, head = (replace(side, drawn=False) for side in study(200, 2.0, 1.1))
    found = paired_differences(base, head, 0.95, ("auc",))["auc"]
    assert_allclose((found.hi - found.lo) / (2 * t.ppf(0.975, 198)), delong(base, head)[1], rtol=1e-9)
    assert (found.over_trainings, verdict(found)) == (True, "regression")


def test_what_the_seed_alone_does_is_no_regression() -> None:
    """Trainings that differ much by luck: over speakers alone, two in five of such changes look like a finding."""
    rng = np.random.default_rng(6)
    studies = [lucky(200, (3, 3), 0.3, rng) for _ in range(200)]
    said = [verdict(paired_differences(base, head, 0.95, ("auc",))["auc"]) for base, head in studies]
    assert said.count("no evidence") >= 180
    firsts = [
        [replace(side, scores=side.scores[:1], thresholds=side.thresholds[:1]) for side in pair] for pair in studies
    ]
    alone = [paired_differences(base, head, 0.95, ("auc",)) for base, head in firsts]
    assert sum(one["auc"].lo > 0 or one["auc"].hi < 0 for one in alone) > 80


def test_one_training_gives_no_verdict_unless_the_interval_holds_0() -> None:
    """What another seed would do is unknown on the side that has one; three of the same are one."""
    base, head = study(160, 2.0, 1.1, n_seeds=3)
    assert verdict(paired_differences(base, head, 0.95, COMPARED)["auc"]) == "regression"
    single = scored(head.labels, head.scores[:1])
    thrice = scored(head.labels, head.scores[[0, 0, 0]])
    for before, after in ((base, single), (single, base), (base, thrice)):
        found = paired_differences(before, after, 0.95, COMPARED)["auc"]
        assert not found.over_trainings
        assert verdict(found) == "no verdict"
    assert verdict(paired_differences(single, single, 0.95, COMPARED)["auc"]) == "no evidence"
    assert verdict(paired_differences(*study(20, 1.5, 1.4), 0.95, COMPARED)["auc"]) == "no evidence"


def test_a_seed_more_is_the_same_trainings_and_one_of_their_kind() -> None:
    """Seeds 1 to 3 against 1 to 4: the three cancel out, and the spread of the four says how far one may move."""
    base, _ = study(80, 1.5, 1.5, n_seeds=4)
    fewer = scored(base.labels, base.scores[:3])
    found = paired_differences(fewer, base, 0.95, COMPARED)["auc"]
    assert found.over_trainings
    assert verdict(found) == "no evidence"
    one, two = (scored(base.labels, base.scores[:n]) for n in (1, 2))
    assert paired_differences(one, two, 0.95, COMPARED)["auc"].over_trainings
    other, _ = study(80, 1.5, 1.5, seed=1, n_seeds=4)
    apart = paired_differences(fewer, scored(base.labels, other.scores), 0.95, COMPARED)["auc"]
    assert found.hi - found.lo < 0.5 * (apart.hi - apart.lo)


def test_two_of_each_class_are_the_fewest_that_vary() -> None:
    """One patient has no spread, so no interval is made up."""
    base, head = study(3, 1.0, 1.0)
    assert why_not_paired(base, head) == "an interval needs two patients and two controls in the test set"


def test_pairing_is_what_narrows_the_interval() -> None:
    """With the head's people shuffled among their class, the same two AUCs differ by a far wider interval."""
    base, head = study(200, 1.5, 1.2)
    order = np.random.default_rng(1).permutation(100)
    scores = head.scores.copy()
    for label in (0, 1):
        scores[:, head.labels == label] = head.scores[:, head.labels == label][:, order]
    loose = paired_differences(base, scored(head.labels, scores), 0.95, COMPARED)["auc"]
    tight = paired_differences(base, head, 0.95, COMPARED)["auc"]
    assert_allclose(loose.difference, tight.difference, atol=1e-12)
    assert loose.hi - loose.lo > 1.5 * (tight.hi - tight.lo)


def test_base_and_head_exchanged_change_the_sign_alone() -> None:
    """What is a loss one way is the same gain the other way."""
    base, head = study(80, 1.5, 0.5, n_seeds=2)
    there, back = paired_differences(base, head, 0.95, COMPARED), paired_differences(head, base, 0.95, COMPARED)
    for name, one in there.items():
        other = back[name]
        assert_allclose([one.difference, one.lo, one.hi], [-other.difference, -other.hi, -other.lo], atol=1e-12)
    assert (verdict(there["auc"]), verdict(back["auc"])) == ("regression", "improvement")


def test_the_same_predictions_are_no_evidence() -> None:
    """Exactly 0, with an interval of exactly 0, which does not exclude 0."""
    base, _ = study(60, 1.0, 1.0)
    for found in paired_differences(base, base, 0.95, COMPARED).values():
        assert (found.difference, found.lo, found.hi) == (0, 0, 0)
        assert verdict(found) == "no evidence"


def test_the_order_of_clips_is_nothing() -> None:
    """Clips pair by name, not by place."""
    base, head = study(60, 1.5, 1.0)
    head = replace(head, thresholds=np.random.default_rng(2).uniform(size=(1, 60)))  # of many folds
    scores, thresholds = head.scores[:, ::-1], head.thresholds[:, ::-1]
    turned = ScoredClips(head.clips[::-1], head.speakers[::-1], head.folds, head.labels[::-1], scores, thresholds)
    assert paired_differences(base, turned, 0.95, COMPARED) == paired_differences(base, head, 0.95, COMPARED)


@pytest.mark.ml_test_score("Infrastructure 4", manual=True)
def test_a_planted_loss_is_a_regression_and_its_undoing_an_improvement() -> None:
    """0.15 of AUC, over 160 people."""
    base, head = study(160, 2.0, 1.1, n_seeds=2)
    found = paired_differences(base, head, 0.95, COMPARED)["auc"]
    assert_allclose(found.difference, -0.15, atol=0.04)  # the sample's own; its population's is 0.921 - 0.782 = 0.14
    assert verdict(found) == "regression"


@pytest.mark.parametrize(
    ("lo", "hi", "said"),
    [(-0.2, -0.1, "regression"), (-0.2, 0.0, "no evidence"), (0.0, 0.2, "no evidence"), (0.1, 0.2, "improvement")],
)
def test_an_interval_that_touches_0_does_not_exclude_it(lo: float, hi: float, said: str) -> None:
    """The rule at its edges."""
    assert verdict(Difference(0.8, 0.8, 0.0, lo, hi, over_trainings=True)) == said
    alone = "no evidence" if said == "no evidence" else "no verdict"
    assert verdict(Difference(0.8, 0.8, 0.0, lo, hi, over_trainings=False)) == alone


def test_other_people_are_not_paired() -> None:
    """Neither other clips nor the same clips under another speaker or label."""
    base, head = study(20, 1.0, 1.0)
    fewer = scored(head.labels[:-2], head.scores[:, :-2])
    assert why_not_paired(base, fewer) == "the test sets differ: 2 clips only in base, 0 only in head"
    assert why_not_paired(fewer, head) == "the test sets differ: 2 clips only in head"
    with pytest.raises(DataError, match="no paired interval: the test sets differ: 20 clips have another speaker"):
        paired_differences(base, scored(1 - head.labels, head.scores), 0.95, COMPARED)
