"""The simple models are fair: no test speaker trains them, chance stays chance, and a gap is not a number."""

from itertools import product

import numpy as np
import polars as pl
import pytest

import probe_studies as benchmark
from spira.base.errors import DataError
from spira.base.params import load
from spira.evaluation.metrics import auc
from spira.probes.matched_pairs import matched_pairs
from spira.probes.model_behaviour import permuted_verdict, shift_verdict, shuffled
from spira.probes.shortcut_models import best, calendar, encoder, models, out_of_fold, typed
from spira.probes.shortcuts import shortcut_verdict
from spira.probes.study import Fold, ProbeParams, Study

P = load("probe", ProbeParams, path=benchmark.PARAMS)


def encoded(columns: dict[str, list[str]]) -> list[list[float]]:
    """The rows that a simple model sees."""
    rows: list[list[float]] = encoder().fit_transform(typed(columns)).tolist()
    return rows


def test_words_and_gaps_become_columns_of_their_own() -> None:
    """A number is itself, a gap the mean of the rest and a mark; a word is a mark of its own, and so is no word."""
    found = encoded({"age": ["30", "", "50"], "site": ["b", "a", ""]})
    assert found == [[30, 0, 0, 1, 0], [40, 1, 1, 0, 0], [50, 0, 0, 0, 1]]


@pytest.mark.parametrize("cells", [["nan", "3"], ["inf", "3"], ["", ""], ["12a", "3"], ["1e999", "3"]])
def test_what_is_no_number_never_reaches_a_model_as_one(cells: list[str]) -> None:
    """Words for nothing and for too much are words, or unknown."""
    assert np.isfinite(encoded({"x": cells})).all()


def test_the_encoding_knows_the_training_clips_alone() -> None:
    """A gap among the test clips is the training clips' mean, and a word that they do not have is no word."""
    columns = typed({"age": ["30", "50", "", "90"], "site": ["a", "b", "c", "a"]})
    assert encoder().fit(columns[:2]).transform(columns[2:]).tolist() == [[40, 0, 0], [90, 1, 0]]


def test_a_day_is_counted_and_named() -> None:
    """ISO dates, with or without the time; what is no date is refused."""
    days = calendar(["2020-10-11", "2020-10-12T08:00:00", "unknown", ""])
    assert days["weekday"].to_list() == ["Sunday", "Monday", None, None]
    assert days["day"][1] - days["day"][0] == 1
    with pytest.raises(DataError, match=r"recorded_on must be a date such as 2020-07-31, or blank, got 'yesterday'"):
        calendar(["2020-10-11", "yesterday"])


def test_a_model_is_chosen_by_speakers_that_it_was_not_fitted_on() -> None:
    """Columns that name the speaker separate the training clips perfectly, and a new speaker's not at all.

    If a speaker's clips were on both sides, the flexible model, which learns their voice, would win.
    """
    speakers = [f"s{i // 3}" for i in range(120)]
    labels = np.array([i // 3 % 2 for i in range(120)])
    rng = np.random.default_rng(0)
    voices = np.repeat(rng.standard_normal((40, 60)), 3, axis=0) + 0.01 * rng.standard_normal((120, 60))
    search = best(np.column_stack([labels + rng.standard_normal(120), voices]), labels, speakers, P)
    for train, test in search.cv.split(voices, labels, speakers):
        assert not {speakers[i] for i in train} & {speakers[i] for i in test}
        assert labels[test].mean() == 0.5


def test_a_seed_may_have_64_bits() -> None:
    """As ``Seed`` promises; scikit-learn takes 32."""
    labels = np.arange(80) % 2
    one = P.model_copy(update={"seed": 2**40 + 1})
    model = best(
        labels[:, None] + np.random.default_rng(0).standard_normal((80, 1)), labels, list(map(str, range(80))), one
    )
    assert model.cv.random_state == 1


def test_too_few_speakers_are_given_the_simplest_model() -> None:
    """Three patients cannot be held out four times."""
    labels = np.array([0] * 10 + [1] * 3)
    model = best(np.arange(13.0)[:, None], labels, [f"s{i}" for i in range(13)], P)
    assert min(P.inverse_penalties) == model["model"].C


def test_a_test_clip_trains_nothing() -> None:
    """Whatever the labels of the test clips are, their scores stay the same."""
    rng = np.random.default_rng(0)
    x, labels, test = pl.DataFrame(rng.standard_normal((80, 3))), np.arange(80) % 2, np.arange(80) >= 60
    speakers = [f"s{i}" for i in range(80)]
    once = out_of_fold(x, labels, speakers, [Fold(~test, test)], P)
    assert np.array_equal(once, out_of_fold(x, np.where(test, 1 - labels, labels), speakers, [Fold(~test, test)], P))


def test_every_fold_scores_its_own_clips() -> None:
    """Under cross-validation each clip has one score, in the order of the clips."""
    labels = np.arange(90) % 2
    x = pl.DataFrame(labels[:, None] + 0.1 * np.random.default_rng(0).standard_normal((90, 1)))
    folds = [Fold(np.arange(90) % 3 != fold, np.arange(90) % 3 == fold) for fold in range(3)]
    scores = out_of_fold(x, labels, [f"s{i}" for i in range(90)], folds, P)
    assert scores.shape == (90,)
    assert auc(labels, scores) == 1


def test_a_middle_that_is_ill_is_found_by_a_tree() -> None:
    """Patients of one month between controls of a year: no logistic regression separates them."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (400, 1))
    labels = ((x[:, 0] > 0.4) & (x[:, 0] < 0.6)).astype(int)
    test = np.arange(400) % 4 == 0
    scores = out_of_fold(pl.DataFrame(x), labels, [f"s{i}" for i in range(400)], [Fold(~test, test)], P)
    assert auc(labels[test], scores) > 0.9
    assert len(list(models(P))) == len(P.inverse_penalties) + len(P.tree_depths)


@pytest.mark.parametrize(
    ("auc_lo", "lead_lo", "verdict"),
    [(0.61, -0.1, "fail"), (0.61, 0.0, "fail"), (0.61, 0.01, "warn"), (0.59, -0.1, "warn"), (0.5, -0.3, "pass")],
)
def test_a_shortcut_fails_by_its_rule(auc_lo: float, lead_lo: float, verdict: str) -> None:
    """Its interval above 0.6 and the model's lead not above 0; above chance alone it warns."""
    assert shortcut_verdict({"auc_lo": auc_lo, "lead_lo": lead_lo}, P) == verdict


def test_the_other_rules() -> None:
    """Each at its border."""
    assert [shift_verdict(lo, hi, P) for lo, hi in ((0.11, 0.2), (0.05, 0.11), (0.01, 0.1))] == ["fail", "warn", "pass"]
    found = [permuted_verdict(mean, 0.01, P) for mean in (0.515, 0.53, 0.56, 0.44)]
    assert found == ["pass", "warn", "fail", "warn"]


def test_shuffled_labels_keep_their_number_and_their_people() -> None:
    """As many patients in training and test as before; a speaker's clips share a label, on both sides of a leak too."""
    plain = benchmark.plain(np.random.default_rng(0)).study
    for one in (benchmark.leaked(np.random.default_rng(0), P).study, plain):
        new = shuffled(one, one.folds[0], np.random.default_rng(1))
        assert new.sum() == one.labels.sum()
        assert not np.array_equal(new, one.labels)
        assert len(set(zip(one.speakers, new.tolist(), strict=True))) == len(set(one.speakers))
    new = shuffled(plain, plain.folds[0], np.random.default_rng(1))  # nobody on both sides: each by itself
    for side in plain.folds[0]:
        assert new[side].sum() == plain.labels[side].sum()
        assert not np.array_equal(new[side], plain.labels[side])


def people(ages: list[tuple[int, str, str]]) -> Study:
    """One test clip each: label, age, sex."""
    labels = np.array([label for label, _, _ in ages])
    everybody = np.ones(len(ages), dtype=np.bool_)
    columns = {"age": [age for _, age, _ in ages], "sex": [sex for _, _, sex in ages]}
    return Study(tuple(f"s{i}" for i in range(len(ages))), labels, (Fold(~everybody, everybody),), 16_000, columns)


def test_as_many_are_paired_as_can_be_and_the_closest() -> None:
    """Against every way of pairing, tried by hand: the most pairs, and among those the least years apart."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        ages = [(int(i < 4), str(rng.integers(30, 50)), str(rng.choice(["F", "M"]))) for i in range(8)]
        pairs = matched_pairs(people(ages), ["sex"], 5)
        apart = sum(abs(int(ages[int(a[1:])][1]) - int(ages[int(b[1:])][1])) for a, b in pairs)
        best = min(_by_hand(ages))
        assert (-len(pairs), apart) == best


def _by_hand(ages: list[tuple[int, str, str]]) -> list[tuple[int, int]]:
    found = []
    for chosen in product([None, *range(4, 8)], repeat=4):
        pairs = [(i, j) for i, j in enumerate(chosen) if j is not None]
        if len({j for _, j in pairs}) < len(pairs):
            continue
        apart = [abs(int(ages[i][1]) - int(ages[j][1])) for i, j in pairs]
        if all(years <= 5 for years in apart) and all(ages[i][2] == ages[j][2] for i, j in pairs):
            found.append((-len(pairs), sum(apart)))
    return found


def test_who_is_of_unknown_age_or_sex_is_in_no_pair() -> None:
    """Two blanks agree about nothing."""
    assert matched_pairs(people([(1, "", "F"), (0, "40", "F"), (1, "40", ""), (0, "40", "")]), ["sex"], 5) == []


@pytest.mark.parametrize(("encoding", "width"), [("PCM_16", 2), ("PCM_24", 3), ("FLOAT", 4)])
def test_the_header_does_not_know_how_long_a_file_is(encoding: str, width: int) -> None:
    """Files of one format, patients' a third longer: the header is at chance, and the duration warns but never fails.

    By size alone it would not be: 44 bytes before the first sample are a little less of a longer file.
    """
    case = benchmark.plain(np.random.default_rng(0))
    n, labels = len(case.study.speakers), case.study.labels
    seconds = np.random.default_rng(1).uniform(3, 3.5, n) + 1.5 * labels
    case = case.with_columns(
        container=["WAV"] * n,
        encoding=[encoding] * n,
        n_channels=["1"] * n,
        source_sample_rate=["44100"] * n,
        n_samples=[str(round(16_000 * second)) for second in seconds],
        n_bytes=[str(44 + width * round(44_100 * second)) for second in seconds],
    )
    header, duration = (benchmark.ask(name, case, P) for name in ("file_header", "duration"))
    assert header.numbers["auc"] == 0.5
    assert header.verdict == "pass"
    assert duration.numbers["auc"] == 1
    assert duration.verdict == "warn"
    assert duration.why.endswith("; a slower speaker takes longer, so the duration may be a symptom")


def test_a_codec_at_half_the_rate_is_seen_in_the_header() -> None:
    """Of MP3 files at 64 and 128 kbit/s nothing else in the header says which is which."""
    case = benchmark.plain(np.random.default_rng(0))
    n, labels = len(case.study.speakers), case.study.labels
    seconds = np.random.default_rng(1).uniform(3, 5, n)
    case = case.with_columns(
        container=["MP3"] * n,
        encoding=["MPEG_LAYER_III"] * n,
        n_channels=["1"] * n,
        source_sample_rate=["44100"] * n,
        n_samples=[str(round(16_000 * second)) for second in seconds],
        n_bytes=[str(round(1000 * (8 + 8 * label) * second)) for second, label in zip(seconds, labels, strict=True)],
    )
    found = benchmark.ask("file_header", case, P)
    assert (found.verdict, found.numbers["auc"]) == ("fail", 1)
