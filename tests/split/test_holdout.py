"""Speakers, not clips, are split; and nothing but their id and the seed decides where they go."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from spira.base.errors import DataError
from spira.split.holdout import SUBSETS, SplitParams, Subset, assign, split

P = SplitParams(scheme="holdout", folds=("holdout",), seed=61, validation=0.2, test=0.25, min_speakers=1)
FRACTIONS: dict[Subset, float] = {"train": 0.55, "validation": 0.2, "test": 0.25}

speaker_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
# Enough speakers of each class that every subset has one, so that what is tested is never the refusal.
CROWD = [(f"crowd {i}", i % 2) for i in range(80)]


@st.composite
def clips(draw: st.DrawFn) -> list[tuple[str, int]]:
    """(speaker, label) of each clip: a crowd, and up to 30 clips of arbitrary speakers, in any order."""
    drawn = draw(st.dictionaries(speaker_ids, st.tuples(st.integers(0, 1), st.integers(1, 3)), max_size=10))
    return draw(st.permutations(CROWD + [(who, label) for who, (label, n) in drawn.items() for _ in range(n)]))


def split_rows(rows: list[tuple[str, int]], p: SplitParams = P) -> list[Subset]:
    return split([who for who, _ in rows], [label for _, label in rows], [""] * len(rows), p)


@given(clips())
@settings(max_examples=50, deadline=None)
def test_no_speaker_is_in_two_subsets(rows: list[tuple[str, int]]) -> None:
    """A voice in training says nothing about new people."""
    pairs = set(zip((who for who, _ in rows), split_rows(rows), strict=True))
    assert len(pairs) == len({who for who, _ in rows})


@given(clips(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_does_not_matter(rows: list[tuple[str, int]], rng: random.Random) -> None:
    """A table sorted otherwise is the same study."""
    before = dict(zip(rows, split_rows(rows), strict=True))
    shuffled = rng.sample(rows, len(rows))
    assert dict(zip(shuffled, split_rows(shuffled), strict=True)) == before


@given(clips(), st.lists(speaker_ids, unique=True, max_size=10))
@settings(max_examples=50, deadline=None)
def test_new_speakers_move_nobody(rows: list[tuple[str, int]], new: list[str]) -> None:
    """Next month's recordings never carry a test speaker into training."""
    known = {who for who, _ in rows}
    grown = [(who, 1) for who in new if who not in known] + rows
    assert split_rows(grown)[-len(rows) :] == split_rows(rows)


def test_a_corrected_label_or_sex_moves_nobody() -> None:
    """Only the id and the seed are hashed: a patient first listed as a control stays where they were."""
    rows = [*CROWD, ("ana", 0)]
    assert split_rows(rows) == split_rows([*CROWD, ("ana", 1)])


@pytest.mark.parametrize(
    ("speaker", "subset"),
    [("s0001", "test"), ("ana", "validation"), ("joão", "train")],  # at 0.218, 0.429 and 0.961
)
def test_a_speaker_has_the_same_subset_for_good(speaker: str, subset: Subset) -> None:
    """Golden, by ``printf '61\\0ana' | sha256sum``: an answer that moved between versions would leak test speakers."""
    assert assign(speaker, P) == subset


def test_another_seed_is_another_split() -> None:
    """Of 2,000 speakers two independent splits agree on .55² + .2² + .25², within 5 standard deviations."""
    other = P.model_copy(update={"seed": 62})
    agreeing = sum(assign(f"{i}", P) == assign(f"{i}", other) for i in range(2000))
    lo, hi = binom.interval(1 - 6e-7, 2000, 0.55**2 + 0.2**2 + 0.25**2)
    assert lo <= agreeing <= hi


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stratum", ["everyone", "0F", "0M", "1F", "1M"])
def test_fractions_are_met_in_every_stratum(seed: int, stratum: str) -> None:
    """Of 2,000 speakers, and of the 500 of a label and sex, each subset has its share within binomial limits (1e-6)."""
    strata = {f"speaker {i}": f"{i // 2 % 2}{'FM'[i % 2]}" for i in range(2000)}
    members = [who for who, of in strata.items() if stratum in ("everyone", of)]
    counts = Counter(assign(who, P.model_copy(update={"seed": seed})) for who in members)
    for subset, fraction in FRACTIONS.items():
        lo, hi = binom.interval(1 - 1e-6, len(members), fraction)
        assert lo <= counts[subset] <= hi


@given(st.integers(0, 2**40), speaker_ids)
def test_a_larger_test_fraction_only_adds_to_the_test_set(seed: int, who: str) -> None:
    """Test is cut from the low end, so those who were held out stay held out."""
    small, large = (P.model_copy(update={"seed": seed, "validation": 0.1, "test": test}) for test in (0.2, 0.4))
    assert assign(who, small) != "test" or assign(who, large) == "test"


def test_the_given_split_is_honoured() -> None:
    """All clips of a speaker go where one of them is said to go; a blank is hashed as ever."""
    rows = [*CROWD, ("ana", 1), ("ana", 1), ("rui", 0)]
    given_to = [""] * len(CROWD) + ["", "validation", "test"]
    chosen = split([who for who, _ in rows], [label for _, label in rows], given_to, P)
    assert chosen[len(CROWD) :] == ["validation", "validation", "test"]
    assert chosen[: len(CROWD)] == split_rows(CROWD)


def test_a_corpus_split_by_hand_needs_no_luck() -> None:
    """Six speakers, each placed: the smallest corpus there is."""
    chosen = split(list("abcdef"), [0, 1] * 3, ["train"] * 2 + ["validation"] * 2 + ["test"] * 2, P)
    assert chosen == ["train", "train", "validation", "validation", "test", "test"]


def test_a_speaker_in_two_given_subsets_is_refused() -> None:
    """The leak that a hand-made split most easily has."""
    with pytest.raises(DataError, match=r"^speaker ana: must be in one subset, got test and train$"):
        split(["ana", "ana", "rui"], [1, 1, 0], ["train", "test", ""], P)


def test_a_given_subset_that_does_not_exist_is_refused() -> None:
    """Rather than passed over and hashed."""
    with pytest.raises(DataError, match=r"^speaker ana: must be in train, validation, test or left blank, got 'dev'$"):
        split(["ana", "rui"], [1, 0], ["dev", ""], P)


def test_a_speaker_with_two_labels_is_refused() -> None:
    """A person is a patient or a control of one study, else two people share an id."""
    with pytest.raises(DataError, match=r"^speaker rui: must be patient or control in all clips, got both$"):
        split(["ana", "rui", "ana", "rui"], [1, 0, 1, 1], [""] * 4, P)


def test_too_few_speakers_are_refused_and_the_missing_ones_are_counted() -> None:
    """What is missing, where, and the three ways out."""
    p = P.model_copy(update={"min_speakers": 2})
    given_to = ["train"] * 4 + ["validation"] * 4 + ["test"] * 3
    with pytest.raises(DataError) as error:
        split([f"{i}" for i in range(11)], [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1], given_to, p)
    assert str(error.value) == (
        "the corpus cannot be split: each subset needs split.min_speakers=2 of each class, but test has 1 patient "
        "speakers. Bring more speakers, another split.seed, or a `split` column in metadata.csv"
    )


@pytest.mark.parametrize("n_speakers", [0, 1])
def test_next_to_nobody_is_refused(n_speakers: int) -> None:
    """An empty corpus gets a sentence, and every place that is empty is named."""
    with pytest.raises(DataError, match=r"train has 0 control speakers; .*; test has 0 control speakers"):
        split(["s"] * n_speakers, [1] * n_speakers, ["test"] * n_speakers, P)


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.3)])
def test_fractions_that_leave_nobody_to_train_on_are_refused(validation: float, test: float) -> None:
    """Before any work, with the key first, as params.yaml's reader expects."""
    with pytest.raises(ValueError, match=r"test: validation \+ test must leave speakers to train on, got 1"):
        SplitParams.model_validate({**P.model_dump(), "validation": validation, "test": test})


def test_the_words_for_subsets_are_those_of_the_metadata() -> None:
    """``ingest`` accepts these three in a ``split`` column."""
    assert SUBSETS == ("train", "validation", "test")
