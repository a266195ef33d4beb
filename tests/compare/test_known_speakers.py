"""A new version of a corpus: who came back, where they are, and who may be somebody known."""

from spira.compare.corpus_changes import Clip
from spira.compare.known_speakers import Derived, known_speakers

BASE = [Clip("a1", "ana", 1, "1"), Clip("b1", "bea", 0, "2"), Clip("c1", "eva", 0, "3")]
THEN = Derived({"a1": "train", "b1": "test", "c1": "train"}, [], [])


def test_a_returning_speaker_is_listed_with_the_subset_that_has_them() -> None:
    """New recordings go where the speaker is; the reviewer sees where."""
    head = [*BASE, Clip("a2", "ana", 1, "4"), Clip("a3", "ana", 1, "5"), Clip("d1", "dora", 1, "6")]
    now = Derived({"a1": "train", "a2": "train", "a3": "train", "b1": "test", "c1": "train", "d1": "test"}, [], [])
    assert known_speakers(BASE, head, THEN, now) == "Returning speakers, with 2 new clips: 1: ana, train (2)."
    assert "ana, subset not known (2)" in known_speakers(BASE, head, THEN, Derived(None, [], []))
    assert "1: ana (2)." in known_speakers(BASE, head, THEN, Derived({}, [], []))  # under cross-validation


def test_a_known_speaker_in_another_subset_is_named() -> None:
    """A `split` column or another seed moved them: an older model knows a test speaker of now."""
    text = known_speakers(BASE, BASE, THEN, Derived({"a1": "test", "b1": "test", "c1": "train"}, [], []))
    assert text.startswith("Speakers who are in another subset than before: 1: ana, train -> test. An older model")


def test_a_new_clip_that_is_nearly_a_known_one_is_listed_and_an_old_pair_is_not() -> None:
    """Between the versions; whichever of the two the table names first, and only clips that are still there."""
    head = [*BASE, Clip("d1", "dora", 1, "6"), Clip("d2", "dora", 1, "7")]
    near = [("a1", "d1"), ("d2", "b1"), ("a1", "b1"), ("d1", "d2"), ("gone", "d1")]
    text = known_speakers(BASE, head, THEN, Derived({}, near, []))
    assert text == (
        "New clips that are nearly the same sound as a known one: 2: dora, like ana (1), dora, like bea (1)."
    )
    renamed = [Clip("z1", "ana", 1, "1"), *BASE[1:]]  # the same sound under another name is no new clip
    assert known_speakers(BASE, renamed, THEN, Derived({}, [("z1", "b1")], [])) == ""


def test_a_new_speaker_with_a_known_voice_may_be_a_known_person() -> None:
    """Under another id; two known speakers who sound alike are no news."""
    head = [*BASE, Clip("d1", "dora", 1, "6")]
    text = known_speakers(BASE, head, THEN, Derived({}, [], [("ana", "dora"), ("ana", "bea")]))
    assert text == (
        "New speakers whose voice is that of a known one: 1: dora, like ana. They may be one person under two ids."
    )


def test_the_same_version_has_nothing_to_say() -> None:
    assert known_speakers(BASE, BASE, THEN, THEN) == ""
