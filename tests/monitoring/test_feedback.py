"""Whether the champion keeps its promise: who is joined, when nothing is said, and numbers against scikit-learn."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.base.params import load
from spira.monitoring.confidence_sequence import counted, fall, group, share
from spira.monitoring.feedback import Champion, judge, labelled_ratio, strata
from spira.monitoring.feedback_page import feedback_page, sections
from spira.monitoring.feedback_params import FeedbackParams
from spira.monitoring.feedback_people import Asked, Known, Request, asked, join
from spira.monitoring.feedback_performance import deciles, labelled_people
from spira.monitoring.feedback_result import Feedback, Stratum
from spira.scorer.answer import Band
from tiny import ROOT

P = load("feedback", FeedbackParams, path=ROOT / "params.yaml").model_copy(update={"n_resamples": 200})
DAY = date(2026, 11, 28)
BAND = Band(0.5, 0.1)


def score_of(right: bool, label: int, rng: np.random.Generator) -> float:
    """On the side of the threshold that is right, or not."""
    high = right == (label == 1)
    return float(rng.uniform(0.5, 1) if high else rng.uniform(0, 0.49))


def people(n: int, sensitivity: float, specificity: float, seed: int = 0) -> tuple[list[float], list[int]]:
    """Of each class n, of whom exactly these shares are answered rightly."""
    rng, scores, labels = np.random.default_rng(seed), list[float](), list[int]()
    for label, right in ((1, sensitivity), (0, specificity)):
        scores += [score_of(i < round(right * n), label, rng) for i in range(n)]
        labels += [label] * n
    return scores, labels


def champion(n: int = 100, sensitivity: float = 0.9, specificity: float = 0.9) -> Champion:
    scores, _ = people(n, sensitivity, specificity, seed=1)
    return Champion("f" * 64, BAND, labelled_people(scores[:n], scores[n:]))


def ident(i: int) -> str:
    return f"{i:032x}"


def everybody(scores: list[float]) -> Asked:
    return asked([Request(score, frozenset([ident(i)])) for i, score in enumerate(scores)])


def known(i: int, label: int, source: str = "", line: int = 0) -> Known:
    return Known(ident(i), label, DAY, source, line or i + 2)


def looked(
    scores: list[float], labels: list[int], *, of: list[int] | None = None, model: Champion | None = None
) -> Feedback:
    """What is found where the truth is known of these people, or of all."""
    who = everybody(scores)
    rows = [known(i, labels[i]) for i in (range(len(labels)) if of is None else of)]
    return judge(model or champion(), who, join(who, rows), DAY, P)


def test_nothing_has_changed_and_nothing_is_found() -> None:
    found = looked(*people(100, 0.9, 0.9))
    assert found.verdict == "as promised"
    assert found.performance
    watched = found.performance.watched["sensitivity"]
    assert watched.fall == pytest.approx(0)
    assert watched.lo < 0 < watched.hi
    assert (watched.n_promised, watched.n_used) == (100, 100)
    assert found.labelled_ratio == pytest.approx(1)


@pytest.mark.ml_test_score("Monitoring 7")
@pytest.mark.parametrize(
    ("sensitivity", "specificity", "fallen"), [(0.6, 0.9, "sensitivity"), (0.9, 0.6, "specificity")]
)
def test_a_planted_fall_of_either_share_is_found_and_named(sensitivity: float, specificity: float, fallen: str) -> None:
    found = looked(*people(200, sensitivity, specificity))
    assert found.verdict == "below its promise"
    assert f"{fallen} is 0.600 in use and 0.900 was promised" in found.reason
    assert found.performance
    assert {name for name, one in found.performance.watched.items() if one.lo > 0} == {fallen}


def test_the_same_fall_beyond_what_so_small_a_test_set_can_show_is_not_found() -> None:
    """11 tested people: 0.15 is less than the least fall that can ever be seen, which is said."""
    found = looked(*people(500, 0.76, 0.9), model=champion(11, 10 / 11, 10 / 11))
    assert found.verdict == "as promised"
    assert found.performance
    watched = found.performance.watched["sensitivity"]
    assert watched.least_fall > watched.fall == pytest.approx(10 / 11 - 0.76)
    assert f"{watched.least_fall:.3f}" in feedback_page(found).markdown()


def test_a_better_champion_is_as_promised() -> None:
    assert looked(*people(400, 1.0, 1.0), model=champion(400, 0.7, 0.7)).verdict == "as promised"


def test_metrics_agree_with_scikit_learn_exactly() -> None:
    """AUC of the promise and in use, with as many of every side known, and with weights where they are not."""
    scores, labels = people(150, 0.8, 0.7, seed=3)
    found = looked(scores, labels)
    assert found.performance
    metrics = found.performance.metrics
    assert metrics["auc"].used.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    model = champion()
    assert metrics["auc"].promised.value == pytest.approx(roc_auc_score(model.promise.labels, model.promise.scores))
    assert metrics["sensitivity"].used.value == pytest.approx(0.8)
    assert metrics["specificity"].used.value == pytest.approx(0.7)
    own = [i for i, score in enumerate(scores) if score >= 0.5 or i % 3]
    found = looked(scores, labels, of=own)
    assert found.performance
    n_negative = sum(score < 0.5 for score in scores)
    weight = n_negative / sum(scores[i] < 0.5 for i in own)
    weights = [1.0 if scores[i] >= 0.5 else weight for i in own]
    expected = roc_auc_score([labels[i] for i in own], [scores[i] for i in own], sample_weight=weights)
    assert found.performance.metrics["auc"].used.value == pytest.approx(expected, abs=1e-12)
    for name in ("auc", "sensitivity", "specificity"):
        used = found.performance.metrics[name].used
        assert 0 <= used.lo < used.value < used.hi <= 1


def test_where_positives_are_verified_more_often_weights_keep_a_sound_champion_from_an_alarm() -> None:
    """Half of the negatives are known: unweighted, specificity would be 0.82 where it is 0.9, and found fallen."""
    scores, labels = people(3000, 0.9, 0.9)
    rng = np.random.default_rng(0)
    own = [i for i, score in enumerate(scores) if score >= 0.5 or rng.random() < 0.55]
    model = champion(2000)
    found = looked(scores, labels, of=own, model=model)
    assert found.verdict == "as promised"
    assert found.performance
    assert found.performance.metrics["specificity"].used.value == pytest.approx(0.9, abs=0.01)
    alone = looked([scores[i] for i in own], [labels[i] for i in own], model=model)
    assert alone.verdict == "below its promise"


def test_the_bounds_are_those_that_the_benchmark_counts_alarms_of() -> None:
    """People counted by hand; half of those answered negative are known, and each stands for two."""
    scores = [0.5] * 40 + [0.1] * 20 + [0.1] * 40  # the patients who were found, just so
    labels = [1] * 60 + [0] * 40
    own = [*range(40), *range(40, 60, 2), *range(60, 100, 2)]  # 10 of the missed patients, 20 of the controls
    found = looked(scores, labels, of=own)
    bounds = fall(
        share(counted(np.array([90])), counted(np.array([10]))),
        share(counted(np.array([40])), group(np.array([[10]]), np.full((1, 1), 2.0), np.ones(1))),
        alpha=(1 - P.confidence) / 2,
        tightest=P.tightest,
    )
    assert found.performance
    watched = found.performance.watched["sensitivity"]
    assert (watched.lo, watched.hi) == pytest.approx((bounds.lo[0], bounds.hi[0]))
    assert watched.fall == pytest.approx(0.9 - 40 / 60)


def test_one_sided_verification_gives_no_auc_no_sensitivity_no_specificity() -> None:
    """Begg and Greenes: of the negatives hardly anybody is verified. The verdict is that there are too few."""
    scores, labels = people(300, 0.9, 0.9)
    own = [i for i, score in enumerate(scores) if score >= 0.5 or i % 5 == 0]
    found = looked(scores, labels, of=own)
    assert found.verdict == "too few"
    assert found.performance is None
    assert "too one-sidedly" in found.reason
    assert found.labelled_ratio is not None
    assert found.labelled_ratio < P.least_ratio
    text = feedback_page(found).markdown()
    assert "| AUC |" not in text
    assert len(sections(found)[1].figures) == 1  # the share labelled is still shown


@pytest.mark.parametrize("who", ["nobody", "patients", "controls", "nine", "refused"])
def test_too_few_are_said_to_be_too_few(who: str) -> None:
    """Nobody labelled, one class alone, one less than needed, and nobody who has a score."""
    scores, labels = people(100, 0.5, 0.5)  # were it judged, it would be found
    chosen = {
        "nobody": [],
        "patients": list(range(100)),
        "controls": list(range(100, 200)),
        "nine": [*range(9), *range(100, 200)],
        "refused": [],
    }[who]
    found = looked([] if who == "refused" else scores, labels, of=chosen)
    assert found.verdict == "too few"
    assert found.performance is None
    assert ("answered nobody" if who == "refused" else "of each are needed") in found.reason
    assert feedback_page(found).markdown()


def test_a_promise_of_a_handful_is_none() -> None:
    found = looked(*people(100, 0.5, 0.5), model=champion(5, 0.8, 0.8))
    assert found.verdict == "too few"
    assert "The test set had 5 patients and 5 controls" in found.reason


def test_a_promise_without_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="must have patients and controls, got 3 and 0"):
        labelled_people([0.1, 0.2, 0.3], [])


def test_all_on_one_side_of_the_threshold_is_judged_all_the_same() -> None:
    """A champion that calls everybody a patient: nobody was passed over, and specificity is 0."""
    found = looked([0.9 - i / 1000 for i in range(100)], [1, 0] * 50)
    assert found.labelled_ratio is None
    assert found.verdict == "below its promise"
    assert found.performance
    assert found.performance.metrics["specificity"].used.value == 0


def test_the_deciles_count_everybody_once_and_keep_equal_scores_together() -> None:
    scores: Floats = np.concatenate([np.linspace(0, 1, 80), np.full(40, 0.25)])
    known_: Ints = np.arange(120) % 2
    found = deciles(scores, known_.astype(bool))
    assert sum(one.answered for one in found) == 120
    assert sum(one.labelled for one in found) == 60
    assert all(a.high < b.low for a, b in pairwise(found))
    assert deciles(np.full(7, 0.5), np.ones(7, bool))[0].answered == 7
    assert deciles(np.zeros(0), np.zeros(0, bool)) == []


def test_the_band_is_counted_and_its_people_are_called_by_the_threshold() -> None:
    scores, labels = [0.8] * 20 + [0.2] * 20, [1] * 20 + [0] * 20
    found = looked([*scores, 0.46, 0.5, 0.55], [*labels, 1, 1, 1], of=[*range(40), 41])
    assert (found.counts.inconclusive, found.counts.inconclusive_labelled) == (2, 1)  # the band is open
    assert (found.counts.positive, found.counts.positive_labelled) == (22, 21)  # and a score at the threshold positive
    assert found.performance
    assert found.performance.metrics["sensitivity"].used.value == 1


def test_answers_that_share_a_recording_are_one_person_also_through_others() -> None:
    """A request sent twice is no second patient; the first answer that has a score is theirs."""
    requests = [
        Request(None, frozenset(["a", "x"])),
        Request(0.2, frozenset(["b", "y"])),
        Request(0.8, frozenset(["c", "x"])),
        Request(0.4, frozenset(["d", "x", "y"])),
        Request(0.6, frozenset(["e"])),
    ]
    found = asked(requests, [Request(0.1, frozenset(["o", "x"]))])
    assert [person.score for person in found.people] == [0.2, 0.6]
    assert found.people[0].ids == frozenset("abcdxy")
    assert (found.n_repeated, found.n_other_packages, found.elsewhere) == (3, 1, frozenset("o"))


def test_people_are_joined_by_any_of_their_ids_once() -> None:
    found = asked(
        [Request(0.7, frozenset(["a", "x"])), Request(None, frozenset(["b"]))], [Request(0.1, frozenset("o"))]
    )
    rows = [Known(name, 1, DAY, "PCR", i) for i, name in enumerate(["a", "x", "b", "o", "nobody"])]
    joined = join(found, rows)
    assert (joined.scores, joined.labels) == ([0.7], [1])
    assert (joined.n_without_score, joined.n_unknown, joined.n_elsewhere) == (1, 1, 1)
    assert joined.sources == {"PCR": 1}


def test_one_person_with_two_labels_by_two_ids_is_refused() -> None:
    found = asked([Request(0.7, frozenset(["a", "x"]))])
    with pytest.raises(DataError, match="lines 2 and 3 are about one person and must have one label"):
        join(found, [Known("a", 1, DAY, "", 2), Known("x", 0, DAY, "", 3)])


def test_who_knew_is_counted_and_neither_a_name_nor_a_few_are_shown() -> None:
    scores, labels = people(30, 0.9, 0.9)
    who = everybody(scores)
    sources = ["PCR"] * 40 + ["Maria Oliveira"] * 15 + ["a ward of two"] * 5
    sources[-1] = "one"
    rows = [known(i, labels[i], sources[i]) for i in range(60)]
    found = judge(champion(), who, join(who, rows), DAY, P)
    assert found.sources == {"PCR": 40, "others": 20}
    assert "Oliveira" not in found.model_dump_json()


def test_calibration_in_the_large_is_that_of_everybody_who_was_answered() -> None:
    scores, labels = people(100, 0.8, 0.8)
    found = looked(scores, labels)
    assert found.performance
    used = found.performance.calibration_used
    assert used.mean_score == pytest.approx(np.mean(scores))
    assert used.share_patients == pytest.approx(0.5)
    assert sum(one.people for one in used.bins) == 200


def test_the_result_is_written_and_read_again() -> None:
    found = looked(*people(50, 0.9, 0.9))
    text = found.model_dump_json()
    assert Feedback.model_validate_json(text).verdict == found.verdict
    assert list(found.model_dump())[:4] == ["schema_version", "package", "day", "verdict"]
    assert looked(*people(50, 0.9, 0.9)).model_dump_json() == text


def test_the_ratio_is_the_least_of_the_most_over_all_strata() -> None:
    positive, inside = (
        Stratum(name=name, answered=20, labelled=n) for name, n in (("positive", 5), ("inconclusive above", 20))
    )
    none = Stratum(name="negative", answered=40, labelled=0)
    assert labelled_ratio([positive, inside]) == labelled_ratio([inside, positive]) == pytest.approx(0.25)
    assert labelled_ratio([positive, inside, none]) == 0
    assert labelled_ratio([none, none]) is None
    assert labelled_ratio([positive]) is None
    assert labelled_ratio([]) is None


WIDE = Band(0.5, 0.3)
SCORES = {"out": (0.9, 0.1), "in": (0.6, 0.4)}  # positive and negative
CELLS = {("out", True): 750, ("in", True): 150, ("in", False): 70, ("out", False): 30}  # of 1,000 of either class


def answered_in_a_wide_band() -> tuple[list[float], list[int]]:
    """Sensitivity and specificity are 0.9; one answer in five is inconclusive, and two in three of the wrong are."""
    scores, labels = list[float](), list[int]()
    for label in (1, 0):
        for (part, right), n in CELLS.items():
            scores += [SCORES[part][right != (label == 1)]] * n
            labels += [label] * n
    return scores, labels


def verified(scores: list[float], every: dict[float, float]) -> list[int]:
    """Of the people of each score, evenly, the first so many tenths of each ten."""
    return [i for i, score in enumerate(scores) if i % 10 < 10 * every[score]]


@pytest.mark.parametrize(
    ("positive", "negative"),
    [(0.3, 0.3), (1, 0.3)],
)
def test_the_inconclusive_who_are_verified_more_often_bias_nothing(positive: float, negative: float) -> None:
    """With two strata, by the threshold alone, sensitivity came out at 0.83, and the champion below its promise."""
    scores, labels = answered_in_a_wide_band()
    own = verified(scores, {0.9: positive, 0.6: 1, 0.4: 1, 0.1: negative})
    model = champion(2000)._replace(band=WIDE)
    found = looked(scores, labels, of=own, model=model)
    assert found.verdict == "as promised", found.reason
    assert found.performance
    for name in ("sensitivity", "specificity"):
        assert found.performance.metrics[name].used.value == pytest.approx(0.9, abs=1e-12)
    assert found.performance.metrics["auc"].used.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    by_name = {one.name: (one.answered, one.labelled) for one in found.strata}
    assert by_name["inconclusive above"] == by_name["inconclusive below"] == (220, 220)
    assert by_name["positive"] == (780, round(780 * positive))
    text = feedback_page(found).markdown()
    assert "| inconclusive below | 220 | 220 | 100% |" in text
    without = looked(scores, labels, of=own, model=model._replace(band=Band(0.5, 0)))
    assert without.verdict == "below its promise"  # so the verification is one-sided enough to be told


def test_of_judged_series_few_have_a_false_alarm_where_the_inconclusive_are_verified_more_often() -> None:
    """40 champions that have not changed, each with a test set and 1,500 people of its own; two strata found 22."""
    alarms, fallen, logits = 0, list[float](), (1.2816 * 1.125, -1.2816 * 1.125)  # 0.9 and 0.9
    p = P.model_copy(update={"n_resamples": 100})
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = [1 / (1 + np.exp(-rng.normal(at, 1.125, n))) for n in (200, 750) for at in logits]
        model = Champion("f" * 64, WIDE, labelled_people(drawn[0].tolist(), drawn[1].tolist()))
        scores, labels = [*drawn[2].tolist(), *drawn[3].tolist()], [1] * 750 + [0] * 750
        own = [i for i, score in enumerate(scores) if abs(score - 0.5) < 0.15 or rng.random() < 0.3]
        who = everybody(scores)
        found = judge(model, who, join(who, [known(i, labels[i]) for i in own]), DAY, p)
        assert found.performance
        alarms += found.verdict == "below its promise"
        fallen += [one.fall for one in found.performance.watched.values()]
    assert alarms <= 2
    assert np.mean(fallen) == pytest.approx(0, abs=0.015)


def test_a_part_of_a_side_with_too_few_people_joins_the_other() -> None:
    """Nine inconclusive above are no stratum, ten below are; and a side with nobody is none."""
    scores = np.array([0.9] * 50 + [0.6] * 9 + [0.4] * 10 + [0.1] * 50)
    found = {name: int(own.sum()) for name, own in strata(WIDE, scores, 10)}
    assert found == {"positive": 59, "inconclusive below": 10, "negative": 50}
    assert {name for name, _ in strata(WIDE, scores[:50], 10)} == {"positive"}
    assert {name: int(own.sum()) for name, own in strata(WIDE, scores[50:], 10)} == {
        "positive": 9,
        "inconclusive below": 10,
        "negative": 50,
    }
    assert strata(WIDE, np.zeros(0), 10) == []


def test_a_stratum_whose_truth_is_hardly_known_is_too_one_sided() -> None:
    """All but the inconclusive are verified: of them nobody knows how many were answered wrongly."""
    scores, labels = answered_in_a_wide_band()
    own = verified(scores, {0.9: 1, 0.6: 0.1, 0.4: 1, 0.1: 1})
    found = looked(scores, labels, of=own, model=champion(2000)._replace(band=WIDE))
    assert found.verdict == "too few"
    assert "too one-sidedly" in found.reason
    assert "inconclusive above, of 22 of 220;" in found.reason
    assert found.labelled_ratio == pytest.approx(0.1)


def test_people_of_the_corpus_are_left_out_and_counted() -> None:
    """By any of their ids; with and without a label, so that the shares labelled stay those of who is judged."""
    scores, labels = people(100, 0.9, 0.9)
    who = everybody(scores)
    rows = [known(i, labels[i]) for i in range(0, 200, 2)]
    corpus = [ident(i) for i in range(40)]
    found = judge(champion(), who, join(who, rows, corpus), DAY, P)
    assert (found.counts.in_corpus, found.counts.answered) == (40, 160)
    assert (found.counts.labelled_patients, found.counts.labelled_controls, found.counts.unknown_ids) == (30, 50, 0)
    said = "40 people are of the corpus in data/clips, whom the model may have been trained on, and are left out."
    assert found.reason.endswith(said)
    assert said in feedback_page(found).markdown()
    every = judge(champion(), who, join(who, rows, [ident(i) for i in range(200)]), DAY, P)
    assert every.verdict == "too few"
    assert every.reason.startswith("This package has answered nobody with a score who is not in the corpus. 200 people")
    one = judge(champion(), who, join(who, rows, [ident(0)]), DAY, P)
    assert "1 person is of the corpus in data/clips, whom the model may have been trained on, and is" in one.reason


def test_the_badge_says_no_more_than_was_found() -> None:
    """Bounds up to +0.2 are no kept promise; the verdict in feedback.json is as it was."""
    found = looked(*people(30, 0.9, 0.9), model=champion(30))
    assert found.verdict == "as promised"
    page = feedback_page(found)
    assert page.verdict == "no fall found"
    assert "**no fall found**: No fall is found, at 95%" in page.markdown()
