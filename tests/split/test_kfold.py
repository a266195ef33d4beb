"""Folds: everybody tests once, no model is tested on its training speakers, and folds resemble each other."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spira.base.errors import DataError
from spira.split.holdout import SplitParams, Subset
from spira.split.kfold import cross_validate

Row = tuple[str, int, str]  # speaker, label, sex


def params(n_folds: int, seed: int = 61, min_speakers: int = 1) -> SplitParams:
    names = tuple(range(1, n_folds + 1))
    return SplitParams(scheme="kfold", folds=names, seed=seed, validation=0.2, test=0.25, min_speakers=min_speakers)


def fold_rows(rows: list[Row], p: SplitParams) -> dict[str, list[Subset]]:
    speakers, labels, sexes = (list(column) for column in zip(*rows, strict=True))
    return cross_validate(speakers, labels, sexes, [""] * len(rows), p)


def fold_by_speaker(rows: list[Row], p: SplitParams) -> dict[str, str]:
    """The fold that tests each speaker."""
    return {
        row[0]: fold
        for fold, subsets in fold_rows(rows, p).items()
        for row, subset in zip(rows, subsets, strict=True)
        if subset == "test"
    }


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[Row], SplitParams]:
    """Clips in any order, one to three a speaker, of lopsided strata; enough of each class that all folds have one."""
    n_folds = draw(st.integers(3, 6))
    cells = draw(
        st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["F", "M", ""]), st.integers(1, 3)), max_size=40)
    )
    cells += [(label, "", 1) for label in (0, 1) for _ in range(n_folds)]
    names = draw(st.lists(st.text(min_size=1, max_size=6), unique=True, min_size=len(cells), max_size=len(cells)))
    rows = [(who, label, sex) for who, (label, sex, n) in zip(names, cells, strict=True) for _ in range(n)]
    return draw(st.permutations(rows)), params(n_folds, draw(st.integers(0, 2**40)))


@given(studies())
@settings(max_examples=60, deadline=None)
def test_every_clip_tests_once_and_no_model_is_trained_on_whom_it_tests(study: tuple[list[Row], SplitParams]) -> None:
    """One test fold a speaker, one validation fold, the next; and in each fold a speaker is in one subset."""
    rows, p = study
    found = fold_rows(rows, p)
    assert list(found) == list(p.names)
    for place in range(len(rows)):
        assert Counter(subsets[place] for subsets in found.values()) == {
            "test": 1,
            "validation": 1,
            "train": len(found) - 2,
        }
    for i, fold in enumerate(p.names):
        learned = {row[0] for row, subset in zip(rows, found[fold], strict=True) if subset != "test"}
        tested = {row[0] for row, subset in zip(rows, found[fold], strict=True) if subset == "test"}
        chose = {row[0] for row, subset in zip(rows, found[fold], strict=True) if subset == "validation"}
        following = found[p.names[(i + 1) % len(p.names)]]
        assert not learned & tested
        assert chose == {row[0] for row, subset in zip(rows, following, strict=True) if subset == "test"}


@given(studies())
@settings(max_examples=60, deadline=None)
def test_folds_differ_by_at_most_one_speaker_of_any_kind(study: tuple[list[Row], SplitParams]) -> None:
    """In all, in each class, and in each sex of a class; however lopsided the corpus is."""
    rows, p = study
    tested = fold_by_speaker(rows, p)
    kinds = {kind for _, label, sex in rows for kind in ((), (label,), (label, sex))}
    for kind in kinds:
        counts = Counter(dict.fromkeys(p.names, 0))
        counts.update(tested[who] for who, *of in {*rows} if tuple(of[: len(kind)]) == kind)
        assert max(counts.values()) - min(counts.values()) <= 1, kind


@given(studies(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(study: tuple[list[Row], SplitParams], rng: random.Random) -> None:
    """A table sorted otherwise is the same study."""
    rows, p = study
    assert fold_by_speaker(rng.sample(rows, len(rows)), p) == fold_by_speaker(rows, p)


CROWD: list[Row] = [(f"s{i:03}", i % 2, "FM"[i // 2 % 2]) for i in range(60)]


def test_a_speaker_has_the_same_fold_for_good() -> None:
    """Golden, by sorting (label, sex, sha256 of "61\\0" + speaker) apart from this code: no version moves anybody."""
    tested = fold_by_speaker(CROWD, params(5))
    assert [tested[who] for who in ("s000", "s001", "s002", "s059")] == ["4", "4", "1", "5"]


def test_another_seed_is_another_cut() -> None:
    """Two of five folds by chance: agreement is about a fifth, never all."""
    one, other = fold_by_speaker(CROWD, params(5)), fold_by_speaker(CROWD, params(5, seed=62))
    assert sum(one[who] == other[who] for who in one) < 30


def test_new_speakers_may_move_others_and_still_every_speaker_tests_once() -> None:
    """The price of balance, which the documentation names: unlike under holdout, a fold is of one version's corpus."""
    before, after = (fold_by_speaker(rows, params(5)) for rows in (CROWD, [*CROWD, ("new", 0, "F")]))
    moved = sum(before[who] != after[who] for who in before)
    assert 0 < moved < len(before)
    assert Counter(Counter(after.values()).values()) == {12: 4, 13: 1}


def test_a_sex_that_one_clip_tells_holds_for_all() -> None:
    """A blank is filled from another clip of the speaker; two sexes are none."""
    known = [*CROWD, ("ana", 1, "F"), ("ana", 1, "F")]
    assert fold_by_speaker([*CROWD, ("ana", 1, ""), ("ana", 1, "F")], params(5)) == fold_by_speaker(known, params(5))
    blank = [*CROWD, ("ana", 1, ""), ("ana", 1, "")]
    assert fold_by_speaker([*CROWD, ("ana", 1, "M"), ("ana", 1, "F")], params(5)) == fold_by_speaker(blank, params(5))


def test_a_given_split_is_refused() -> None:
    """A test set that somebody set aside would teach in the other folds; the way out is said."""
    speakers, labels, sexes = (list(column) for column in zip(*CROWD, strict=True))
    message = (
        r"^metadata\.csv: split: must be empty for split\.scheme=kfold, .* got 1 of 60 clips with a subset\. Take the "
        r"column out, or set split\.scheme=holdout$"
    )
    with pytest.raises(DataError, match=message):
        cross_validate(speakers, labels, sexes, ["test"] + [""] * 59, params(5))


def test_too_few_speakers_are_refused_by_fold() -> None:
    """Which fold, which subset, which class; four patients cannot be in five folds."""
    rows = CROWD[:20:2] + CROWD[1:9:2]
    with pytest.raises(DataError) as error:
        fold_rows(rows, params(5))
    assert str(error.value) == (
        "the corpus cannot be cut into 5 folds: each subset needs split.min_speakers=1 of each class, but in fold 4 "
        "validation has 0 patient speakers; in fold 5 test has 0 patient speakers. Bring more speakers, or fewer "
        "split.folds"
    )


def test_a_speaker_with_two_labels_is_refused() -> None:
    """As under holdout."""
    with pytest.raises(DataError, match=r"^speaker s000: must be patient or control in all clips, got both$"):
        fold_rows([*CROWD, ("s000", 1, "F")], params(5))
