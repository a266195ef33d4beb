"""Metrics are what they are called: counted by hand, agreed with scikit-learn, and honest about people."""

from collections.abc import Callable
from fractions import Fraction
from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import t
from sklearn.metrics import accuracy_score, f1_score, precision_recall_curve, recall_score, roc_auc_score, roc_curve

from score_studies import as_clips, floats, ints, studies, weighted_studies
from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation.bootstrap import difference_interval, share_interval, signed_interval, speaker_resamples
from spira.evaluation.curves import (
    mean_precision_recall,
    mean_roc,
    score_histogram,
)
from spira.evaluation.intervals import estimates, interval_for, per_seed
from spira.evaluation.intervals import summarize as summarize_resampled
from spira.evaluation.metrics import LEAST, all_metrics, at_threshold, auc, confusion, roc_counts, std_over_seeds
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Metrics
from spira.evaluation.thresholds import thresholds_by_fold, youden_threshold
from tiny import evaluate_params

P = evaluate_params(threshold_condition="clean", n_resamples=500)


def summarize(
    labels: Ints, scores: Floats, speakers: list[str], thresholds: Floats, p: EvaluateParams
) -> dict[str, float]:
    resamples = speaker_resamples(labels, speakers, p.n_resamples, p.seed)
    found = summarize_resampled(as_clips(labels, scores, thresholds, speakers=speakers), resamples, p.confidence)
    suffixes = {"mean": "", "lo": "_lo", "hi": "_hi", "sd": "_sd"}
    return {f"{name}{suffixes[key]}": value for name, estimate in found for key, value in estimate}


def drawn_weights(labels: Ints, speakers: list[str], n_resamples: int, seed: int) -> Floats:
    return speaker_resamples(labels, speakers, n_resamples, seed).weights(0, n_resamples)


def halves(scores: Floats) -> Floats:
    """A threshold of 0.5 for every clip of one seed."""
    return np.full((1, scores.size), 0.5)


def people(n_speakers: int, n_clips: int, d: float, rng: np.random.Generator) -> tuple[Ints, Floats, list[str]]:
    """(labels, scores, speakers): half of them patients, ``d`` above; a speaker's clips share half their variance."""
    labels = np.repeat(np.arange(n_speakers) % 2, n_clips).astype(np.int64)
    speaker = np.repeat(rng.standard_normal(n_speakers), n_clips)
    logits = labels * d + (speaker + rng.standard_normal(labels.size)) / sqrt(2)
    return labels, 1 / (1 + np.exp(-logits)), [f"s{i // n_clips}" for i in range(labels.size)]


# ---------------------------------------------------------------------------------------------------------------------
# Area under the ROC curve
# ---------------------------------------------------------------------------------------------------------------------

AUCS = [
    {"id": "one of four", "scores": [0.1, 0.4, 0.35, 0.8], "labels": [0, 0, 1, 1], "auc": 0.75, "why": "0.35 < 0.4"},
    {"id": "all", "scores": [0.1, 0.2, 0.3, 0.4], "labels": [0, 0, 1, 1], "auc": 1.0, "why": "every pair is ordered"},
    {"id": "none", "scores": [0.4, 0.3, 0.2, 0.1], "labels": [0, 0, 1, 1], "auc": 0.0, "why": "no pair is ordered"},
    {"id": "constant", "scores": [0.5] * 5, "labels": [0, 1, 1, 0, 1], "auc": 0.5, "why": "a tie counts half"},
    {"id": "one tie", "scores": [0.2, 0.6, 0.6, 0.9], "labels": [0, 0, 1, 1], "auc": 0.875, "why": "3.5 of 4 pairs"},
    {"id": "a pair", "scores": [0.0, 1.0], "labels": [0, 1], "auc": 1.0, "why": "the smallest study"},
    {"id": "one patient", "scores": [0.3, 0.1, 0.2, 0.4], "labels": [1, 0, 0, 0], "auc": 2 / 3, "why": "0.3 < 0.4"},
]


@pytest.mark.parametrize("golden", AUCS, ids=[str(golden["id"]) for golden in AUCS])
def test_auc_is_the_share_of_ordered_pairs(golden: dict[str, list[float]]) -> None:
    """Counted by hand, pair by pair."""
    assert auc(ints([int(label) for label in golden["labels"]]), floats(golden["scores"])) == golden["auc"]


@given(weighted_studies())
@settings(deadline=None)
def test_auc_agrees_with_scikit_learn(study: tuple[Ints, Floats, Ints]) -> None:
    """With ties and with weights; sklearn sums a curve where we count pairs, hence 1e-12."""
    labels, scores, weights = study
    assert_allclose(auc(labels, scores), roc_auc_score(labels, scores), rtol=0, atol=1e-12)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert_allclose(auc(labels, scores, weights.astype(np.float64)), expected, rtol=0, atol=1e-12)


@given(studies())
def test_auc_of_the_opposite_question_is_the_complement(study: tuple[Ints, Floats]) -> None:
    """Patients above controls plus controls above patients is every pair."""
    labels, scores = study
    assert_allclose(auc(1 - labels, scores), 1 - auc(labels, scores), rtol=0, atol=1e-12)


@given(studies(), st.sampled_from([np.sqrt, np.cbrt, lambda x: 3 * x - 1]))
def test_auc_sees_only_the_order_of_scores(study: tuple[Ints, Floats], rising: Callable[[Floats], Floats]) -> None:
    """A score need not be calibrated to rank. (Eighths only: rounding may tie what is closer.)"""
    labels, scores = study
    eighths = np.round(scores * 8) / 8
    assert auc(labels, rising(eighths)) == auc(labels, eighths)


# ---------------------------------------------------------------------------------------------------------------------
# At a threshold
# ---------------------------------------------------------------------------------------------------------------------


def test_a_clip_at_the_threshold_is_called_patient() -> None:
    """Counted by hand: 2 of 3 patients found, 1 of 2 controls spared."""
    at_half = at_threshold(ints([1, 1, 1, 0, 0]), floats([0.9, 0.5, 0.4, 0.5, 0.1]), floats([0.5] * 5))
    assert {name: float(value) for name, value in at_half.items()} == {
        "sensitivity": 2 / 3,
        "specificity": 1 / 2,
        "accuracy": 3 / 5,
        "f1": 4 / 6,
    }


@given(weighted_studies(), st.integers(0, 9))
@settings(deadline=None)
def test_counts_agree_with_scikit_learn(study: tuple[Ints, Floats, Ints], eighths: int) -> None:
    """Sensitivity and specificity are recall of either class; with weights, and where nobody or everybody is called."""
    labels, scores, weights = study
    called = scores >= eighths / 8
    ours = at_threshold(labels, scores, np.full(labels.size, eighths / 8), weights.astype(np.float64))
    theirs = {
        "sensitivity": recall_score(labels, called, sample_weight=weights),
        "specificity": recall_score(labels, called, pos_label=0, sample_weight=weights),
        "accuracy": accuracy_score(labels, called, sample_weight=weights),
        "f1": f1_score(labels, called, sample_weight=weights),
    }
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert_allclose(ours[name], expected, rtol=0, atol=1e-12, err_msg=name)


@given(weighted_studies())
@settings(deadline=None)
def test_a_weight_is_a_repetition(study: tuple[Ints, Floats, Ints]) -> None:
    """To count a clip twice is to have it twice: what makes a resample a study."""
    labels, scores, weights = study
    weighed = all_metrics(labels, scores[None], halves(scores), weights[None].astype(np.float64))
    again = np.repeat(scores, weights)
    repeated = all_metrics(np.repeat(labels, weights), again[None], halves(again))
    for name, value in repeated.items():
        assert weighed[name].shape == (1, 1)
        assert_allclose(weighed[name][:, 0], value, rtol=0, atol=1e-12, err_msg=name)


@given(studies(), st.lists(st.integers(0, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=3))
def test_confusion_counts_are_sensitivity_and_specificity(study: tuple[Ints, Floats], thresholds: list[float]) -> None:
    """The matrix that is drawn and the numbers beside it are one count, over all seeds."""
    labels, scores = study
    scores_by_seed = np.stack([np.roll(scores, i) for i in range(len(thresholds))])
    thresholds_by_seed = np.tile(floats(thresholds)[:, None], labels.size)
    pairs = confusion(labels, scores_by_seed, thresholds_by_seed)
    assert len(pairs) == scores_by_seed.size
    metrics = all_metrics(labels, scores_by_seed, thresholds_by_seed)
    for actual, name in (("patient", "sensitivity"), ("control", "specificity")):
        right, wrong = (pairs.count((actual, predicted)) for predicted in (actual, *{"patient", "control"} - {actual}))
        assert right / (right + wrong) == pytest.approx(metrics[name].mean(), abs=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# The threshold itself
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "scores", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.8),  # perfect: the lowest patient
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.8),  # 1/2 - 0 at 0.8, 1 - 1/2 at 0.35: the fewer false alarms
        ([0, 0, 1, 1], [0.8, 0.9, 0.1, 0.2], 0.1),  # worse than chance: everybody is called, rather than nobody at inf
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5),  # constant
        ([1, 0, 1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 0.9),  # 1/3 - 0 == 1 - 2/3, though not as floats
    ],
)
def test_the_threshold_is_the_highest_with_the_best_index(
    labels: list[int], scores: list[float], threshold: float
) -> None:
    """Golden, by hand: Youden's index at every score."""
    assert youden_threshold(ints(labels), floats(scores)) == threshold


@given(studies())
@settings(deadline=None)
def test_no_threshold_is_better_and_it_is_one_of_the_scores(study: tuple[Ints, Floats]) -> None:
    """Exhaustive, in exact fractions; never infinite, which metrics.json could not hold."""
    labels, scores = study

    def index(threshold: float) -> Fraction:
        found, alarms = (int(np.sum(scores[labels == label] >= threshold)) for label in (1, 0))
        return Fraction(found, int(np.sum(labels == 1))) - Fraction(alarms, int(np.sum(labels == 0)))

    best = max(index(score) for score in scores)
    assert youden_threshold(labels, scores) == max(score for score in scores if index(score) == best)


@pytest.mark.parametrize(("label", "missing"), [(0, "patient"), (1, "control")])
@pytest.mark.parametrize(
    "metric",
    [
        auc,
        youden_threshold,
        lambda labels, scores: at_threshold(labels, scores, halves(scores)[0]),
        lambda labels, scores: summarize(labels, scores[None], ["a", "b"], halves(scores), P),
    ],
)
def test_one_class_is_refused_with_a_sentence(
    metric: Callable[[Ints, Floats], object], label: int, missing: str
) -> None:
    """A silent 0.5 or NaN would outlive the run that wrote it."""
    with pytest.raises(DataError, match=f": needs patients and controls, has no {missing} clip$"):
        metric(ints([label, label]), floats([0.1, 0.9]))


# ---------------------------------------------------------------------------------------------------------------------
# Intervals
# ---------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.lists(st.integers(1, 4), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_speakers_are_drawn_not_clips(controls: list[int], patients: list[int]) -> None:
    """A speaker brings all of their clips, and each class as many speakers as the study had."""
    n_clips = controls + patients
    speakers = [f"s{i}" for i, n in enumerate(n_clips) for _ in range(n)]
    labels = ints([0] * sum(controls) + [1] * sum(patients))
    weights = drawn_weights(labels, speakers, 20, seed=1)
    firsts = [speakers.index(f"s{i}") for i in range(len(n_clips))]
    drawn = weights[:, firsts]  # (n_resamples, n_speakers)
    assert_array_equal(weights, np.repeat(drawn, n_clips, axis=1))
    assert_array_equal(drawn[:, : len(controls)].sum(axis=1), len(controls))
    assert_array_equal(drawn[:, len(controls) :].sum(axis=1), len(patients))


def test_each_speaker_is_drawn_once_on_average() -> None:
    """Of 4,000 draws of one in ten, ten times: 1 within 5 standard deviations, sqrt(0.9 / 4000) each."""
    weights = drawn_weights(ints([0] * 10 + [1] * 10), [f"{i}" for i in range(20)], 4000, seed=0)
    assert_allclose(weights.mean(axis=0), 1, atol=5 * sqrt(0.9 / 4000))


def test_resamples_repeat_with_their_seed_and_follow_the_clips() -> None:
    """Seeded, and by who a clip is of, never by its row."""
    labels, _, speakers = people(12, 2, 1.0, np.random.default_rng(0))
    weights = drawn_weights(labels, speakers, 50, seed=3)
    assert_array_equal(drawn_weights(labels, speakers, 50, seed=3), weights)
    assert not np.array_equal(drawn_weights(labels, speakers, 50, seed=4), weights)
    order = np.random.default_rng(1).permutation(labels.size)
    moved = drawn_weights(labels[order], [speakers[i] for i in order], 50, seed=3)
    assert_array_equal(moved, weights[:, order])


def test_more_clips_of_the_same_people_do_not_narrow_an_interval() -> None:
    """Five copies of each clip are no new evidence: an interval over clips would shrink by sqrt(5)."""
    labels, scores, speakers = people(40, 1, 1.0, np.random.default_rng(2))
    once = summarize(labels, scores[None], speakers, halves(scores), P)
    copies = summarize(np.tile(labels, 5), np.tile(scores, 5)[None], speakers * 5, halves(np.tile(scores, 5)), P)
    assert copies == pytest.approx(once, abs=1e-12)


def test_a_summary_is_mean_spread_and_interval_of_every_metric() -> None:
    """Three seeds: means and sample deviations by hand, intervals around them, wider where more confidence is asked."""
    labels, scores, speakers = people(60, 2, 1.2, np.random.default_rng(5))
    noise = np.random.default_rng(6).uniform(0, 0.2, (3, labels.size))
    scores_by_seed, thresholds = 0.8 * scores + noise, np.tile([[0.5], [0.6], [0.7]], labels.size)
    summary = summarize(labels, scores_by_seed, speakers, thresholds, P)
    sure = summarize(labels, scores_by_seed, speakers, thresholds, P.model_copy(update={"confidence": 0.99}))
    names = tuple(Metrics.model_fields)
    assert set(summary) == {f"{name}{suffix}" for name in names for suffix in ("", "_lo", "_hi", "_sd")}
    aucs = [float(auc(labels, seed_scores)) for seed_scores in scores_by_seed]
    assert summary["auc"] == pytest.approx(sum(aucs) / 3)
    variance = sum((value - sum(aucs) / 3) ** 2 for value in aucs) / 2
    assert summary["auc_sd"] == pytest.approx(sqrt(variance))
    for name in names:
        assert LEAST[name] <= sure[f"{name}_lo"] <= summary[f"{name}_lo"] < summary[name] < summary[f"{name}_hi"]
        assert summary[f"{name}_hi"] <= sure[f"{name}_hi"] <= 1
    assert sure["auc_hi"] - sure["auc_lo"] > summary["auc_hi"] - summary["auc_lo"]


def test_one_seed_has_no_spread() -> None:
    """0, not the NaN that a sample of one would give."""
    labels, scores, speakers = people(20, 1, 1.0, np.random.default_rng(0))
    summary = summarize(labels, scores[None], speakers, halves(scores), P)
    assert {name: value for name, value in summary.items() if name.endswith("_sd")} == dict.fromkeys(
        (f"{name}_sd" for name in Metrics.model_fields), 0.0
    )
    assert std_over_seeds([0.3]) == 0.0
    assert std_over_seeds([0.2, 0.4]) == pytest.approx(sqrt(0.02))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 studies of 60 speakers with five clips each: 95 % intervals hold the true AUC in 90 to 99 % of them.

    200 studies leave 1.5 % of doubt, twice that is allowed; ``make bench-coverage`` asks 1000. Resampling clips
    instead covers 75 %.
    """
    d, n_studies = 1.0, 200
    truth = (1 + erf(d / 2)) / 2  # two unit normals d apart
    rng = np.random.default_rng(2024)
    p = P.model_copy(update={"n_resamples": 400})
    covered = 0
    for _ in range(n_studies):
        labels, scores, speakers = people(60, 5, d, rng)
        summary = summarize(labels, scores[None], speakers, halves(scores), p)
        covered += summary["auc_lo"] <= truth <= summary["auc_hi"]
    assert 0.90 <= covered / n_studies <= 0.99


@pytest.mark.parametrize(("n", "hits"), [(21, 21), (21, 0), (21, 17), (7, 6)])
def test_of_one_clip_a_speaker_the_interval_is_wilsons(n: int, hits: int) -> None:
    """A share of n draws whose resamples vary as they should, t for z: so too where all are right and nothing varies.

    statsmodels' or any other table of Wilson's interval has z = 1.96; here it is t with n - 1 degrees of freedom.
    """
    share = hits / n
    exact = np.random.default_rng(0).binomial(n, share, 400_000) / n  # what endless resampling gives
    spread_out = share + (exact - share) * sqrt((n - 1) / n)  # so that n / (n - 1) gives p (1 - p) / n back
    z = t.ppf(0.975, n - 1)
    centre, half = (share + z**2 / 2 / n) / (1 + z**2 / n), z * sqrt(share * (1 - share) / n + z**2 / 4 / n**2)
    expected = [centre - half / (1 + z**2 / n), centre + half / (1 + z**2 / n)]
    assert share_interval(share, spread_out, n, 0.95) == pytest.approx(expected, abs=2e-3)


def test_one_speaker_says_nothing_of_another() -> None:
    """[0, 1], and the whole range for a difference; two already say something."""
    assert share_interval(1.0, floats([1.0] * 9), 1, 0.95) == (0.0, 1.0)
    assert difference_interval(0.2, floats([0.2] * 9), 1, 0.95) == (-1.0, 1.0)
    assert signed_interval(0.2, floats([0.2] * 9), 1, 0.95) == (-1.0, 1.0)
    assert 0 < share_interval(1.0, floats([1.0] * 9), 2, 0.95)[0] < 0.5


@pytest.mark.parametrize(
    ("mean", "resampled"), [(-0.2, [0.1, 0.3]), (0.1, [-0.1, 0.3]), (0.9, [0.8, 1.1]), (1.2, [0.8, 1.0])]
)
def test_a_share_outside_0_and_1_has_no_interval(mean: float, resampled: list[float]) -> None:
    """A negative metric would get an interval that does not hold it: [0, 1] for -0.2."""
    with pytest.raises(ValueError, match=r"^share_interval: expected a metric in \[0, 1\], got -?[\d.]+ to [\d.]+$"):
        share_interval(mean, floats(resampled), 20, 0.95)


@pytest.mark.parametrize("distance", [-2.0, -0.3, 0.3, 2.0])
def test_the_interval_of_a_signed_metric_surrounds_it_whatever_its_sign(distance: float) -> None:
    """Youden's J is twice the balanced accuracy less 1, and so is its interval, of a detector worse than chance too."""
    labels, scores, speakers = people(40, 2, distance, np.random.default_rng(3))
    resamples = speaker_resamples(labels, speakers, 500, 0)
    clips = as_clips(labels, scores[None], np.full((1, labels.size), float(np.median(scores))), speakers=speakers)

    def balanced(scores: Floats, threshold: Floats, weights: Floats | None) -> dict[str, Floats]:
        found = at_threshold(labels, scores, threshold, weights)
        return {"found": (found["sensitivity"] + found["specificity"]) / 2}

    def youden(scores: Floats, threshold: Floats, weights: Floats | None) -> dict[str, Floats]:
        return {"found": 2 * balanced(scores, threshold, weights)["found"] - 1}

    share = estimates(per_seed(balanced, clips), resamples, 0.95)["found"]
    signed = estimates(per_seed(youden, clips), resamples, 0.95, signed_interval)["found"]
    assert (signed.mean < 0) == (distance < 0)
    assert -1 <= signed.lo < signed.mean < signed.hi <= 1
    assert_allclose([signed.lo, signed.hi], [2 * share.lo - 1, 2 * share.hi - 1], rtol=0, atol=1e-12)


def test_a_metric_gets_the_interval_of_its_range_and_none_where_no_range_is_named() -> None:
    """Nobody can add a metric and forget that it may be negative."""
    assert list(LEAST) == list(Metrics.model_fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LEAST, "f1", -1)
        assert [interval_for(name) for name in LEAST] == [*[share_interval] * (len(LEAST) - 1), signed_interval]
    with pytest.raises(ValueError, match="LEAST: expected the least that mcc can be, 0 or -1, got none"):
        interval_for("mcc")


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(2, 50))
def test_an_interval_holds_its_estimate_and_stays_in_its_range(means: list[float], n: int) -> None:
    """Whatever the resamples, skewed, constant or at a limit."""
    share = float(np.median(means))
    lo, hi = share_interval(share, floats(means), n, 0.95)
    assert 0 <= lo <= share <= hi <= 1
    assert lo < hi
    lo, hi = difference_interval(share, floats(means), n, 0.95)
    assert -1 <= lo <= share <= hi <= 1


@pytest.mark.parametrize("block", [1, 40, 1000])
def test_a_block_of_resamples_gives_what_all_at_once_give(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory decides how many weights are held at once, never a number."""
    labels, scores, speakers = people(14, 2, 1.0, np.random.default_rng(4))
    resamples = speaker_resamples(labels, speakers, 30, seed=0)
    monkeypatch.setattr("spira.evaluation.bootstrap._BLOCK", block)
    found = resamples.measure(lambda weights: {"auc": auc(labels, scores, weights)[None]})
    assert_array_equal(found["auc"][0], auc(labels, scores, resamples.weights(0, 30)))


def test_one_who_has_clips_of_both_classes_counts_in_each() -> None:
    """Drawn apart as patient and as control; the fewest speakers of a class are what the interval rests on."""
    labels, speakers = ints([0, 1, 0, 1, 0]), ["a", "a", "b", "c", "d"]
    resamples = speaker_resamples(labels, speakers, 200, seed=0)
    weights = resamples.weights(0, 200)
    assert_array_equal(weights[:, labels == 1].sum(axis=1), 2)
    assert_array_equal(weights[:, labels == 0].sum(axis=1), 3)
    assert resamples.n_fewest == 2
    assert resamples.subset(np.array([True, True, True, False, True])).n_fewest == 1


# ---------------------------------------------------------------------------------------------------------------------
# Curves
# ---------------------------------------------------------------------------------------------------------------------


@given(studies())
@settings(deadline=None)
def test_the_points_of_a_roc_are_scikit_learns(study: tuple[Ints, Floats]) -> None:
    """The same numbers to the last bit, its infinite threshold left out."""
    alarms, hits, thresholds = roc_counts(*study)
    theirs = roc_curve(*study, drop_intermediate=False)
    for ours, expected in zip((alarms / alarms[-1], hits / hits[-1], thresholds), theirs, strict=True):
        assert_array_equal(ours, expected[1:])


def test_a_perfect_roc_goes_straight_up_and_then_right() -> None:
    """From (0, 0) to (0, 1) to (1, 1): the corner is drawn, not cut."""
    fpr, tpr = mean_roc(ints([0, 0, 1, 1]), floats([0.1, 0.2, 0.8, 0.9])[None], n_points=3)
    assert list(zip(fpr, tpr, strict=True)) == [(0, 0), (0, 1), (0.5, 1), (1, 1)]


def test_a_step_of_the_roc_is_its_top_and_ties_are_a_slope() -> None:
    """One patient between two controls steps at 1/2; three tied clips are the diagonal."""
    fpr, tpr = mean_roc(ints([0, 1, 0]), floats([0.9, 0.5, 0.1])[None], n_points=5)
    assert list(zip(fpr, tpr, strict=True)) == [(0, 0), (0, 0), (0.25, 0), (0.5, 1), (0.75, 1), (1, 1)]
    fpr, tpr = mean_roc(ints([0, 1, 0]), floats([0.5, 0.5, 0.5])[None], n_points=5)
    assert_allclose(fpr, tpr, rtol=0, atol=1e-15)


@given(studies())
@settings(deadline=None)
def test_the_area_under_the_mean_roc_is_the_mean_auc(study: tuple[Ints, Floats]) -> None:
    """Within one step of the grid, 0.01; the curve rises from (0, 0) to (1, 1)."""
    labels, scores = study
    scores_by_seed = np.stack([scores, 1 - scores, np.roll(scores, 1)])
    fpr, tpr = mean_roc(labels, scores_by_seed)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(tpr) >= -1e-15)
    assert np.trapezoid(tpr, fpr) == pytest.approx(
        np.mean([auc(labels, seed_scores) for seed_scores in scores_by_seed]), abs=0.01
    )


@given(studies())
@settings(deadline=None)
def test_precision_is_the_best_at_each_recall_or_above(study: tuple[Ints, Floats]) -> None:
    """Searched exhaustively among scikit-learn's points, but for the last, which no threshold gives."""
    labels, scores = study
    recall, precision = mean_precision_recall(labels, scores[None], n_points=11)
    p, r, _ = precision_recall_curve(labels, scores)
    points = list(zip(r[:-1], p[:-1], strict=True))
    assert_allclose(precision, [max(p for r, p in points if r >= at) for at in recall], rtol=0, atol=1e-15)
    assert (recall[0], recall[-1]) == (0, 1)


def test_precision_of_perfect_constant_and_two_seeds() -> None:
    """1 everywhere; the prevalence everywhere, at recall 0 as well; and half-way between."""
    labels = ints([0, 0, 0, 1])
    perfect, constant = [0.1, 0.2, 0.3, 0.9], [0.5] * 4
    for scores, expected in (([perfect], 1.0), ([constant], 0.25), ([perfect, constant], 0.625)):
        _, precision = mean_precision_recall(labels, np.array(scores))
        assert_array_equal(precision, expected)


@given(studies())
def test_a_histogram_counts_every_clip(study: tuple[Ints, Floats]) -> None:
    """Fractions of each class sum to 1, scores of exactly 0 and 1 among them."""
    labels, scores = study
    centre, controls, patients = score_histogram(labels, np.stack([scores, scores]))
    assert_allclose(centre, np.arange(0.025, 1, 0.05), rtol=0, atol=1e-12)
    assert controls.sum() == pytest.approx(1)
    assert patients.sum() == pytest.approx(1)


def test_a_histogram_puts_each_class_in_its_bins() -> None:
    """By hand, two bins and two seeds."""
    centre, controls, patients = score_histogram(ints([0, 0, 1]), floats([0.1, 0.9, 1.0]) * [[1.0], [0.5]], n_bins=2)
    assert (centre.tolist(), controls.tolist(), patients.tolist()) == ([0.25, 0.75], [0.75, 0.25], [0.0, 1.0])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_a_confidence_outside_0_to_1_is_refused(confidence: float) -> None:
    """95 is not 95 %."""
    with pytest.raises(ValueError, match="confidence"):
        evaluate_params(confidence=confidence)


def test_each_fold_has_the_threshold_of_its_own_clips() -> None:
    """One cut from the other's clips chooses the same, seed by seed; a label that changes in one moves no other."""
    rng = np.random.default_rng(8)
    labels, folds = np.arange(40) % 2, [f"{i // 2 % 2}" for i in range(40)]
    scores = 0.3 * labels + rng.uniform(0, 0.7, (3, 40))
    found = thresholds_by_fold(as_clips(labels, scores, folds=folds), P.threshold)
    for fold in "01":
        own = np.asarray(folds) == fold
        assert found[fold].tolist() == [youden_threshold(labels[own], seed_scores[own]) for seed_scores in scores]
    other = np.where(np.asarray(folds) == "1", 1 - labels, labels)
    moved = thresholds_by_fold(as_clips(other, scores, folds=folds), P.threshold)
    assert moved["0"].tolist() == found["0"].tolist()
    assert moved["1"].tolist() != found["1"].tolist()


def test_a_clip_is_called_by_its_own_threshold() -> None:
    """Four clips of the same score, each classified by another model: two found, two not."""
    counts = at_threshold(ints([1, 1, 0, 0]), floats([0.5] * 4), floats([0.4, 0.6, 0.4, 0.6]))
    assert (float(counts["sensitivity"]), float(counts["specificity"])) == (0.5, 0.5)
