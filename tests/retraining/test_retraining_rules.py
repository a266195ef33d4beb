"""When to train again: each rule alone, and what is not known is not called cleared."""

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spira.retraining.params import RetrainParams
from spira.retraining.rules import (
    NewPeople,
    Report,
    Rule,
    age,
    below_promise,
    conclusion,
    new_people,
    new_speakers,
    repeated_drift,
)

P = RetrainParams(new_speakers=2, drifts_in_a_row=2, max_age_days=365)
OURS, OTHER = "a" * 64, "b" * 64


def reports(*verdicts: str, package: str = OURS) -> list[Report]:
    """One a day."""
    return [Report(date(2026, 11, 1 + day), verdict, package) for day, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("patients", "controls", "holds"), [(2, 2, True), (5, 2, True), (2, 1, False), (50, 0, False), (0, 0, False)]
)
def test_both_classes_must_have_grown(patients: int, controls: int, *, holds: bool) -> None:
    """Fifty patients alone make no better classifier."""
    rule = new_speakers(NewPeople(patients, controls, 24, 0, 0, by_sound=True), "v0.0.1", P)
    assert rule.holds is holds
    assert f"{patients} new patients and {controls} new controls since v0.0.1, beside 24 known speakers" in rule.why


def test_a_new_id_with_known_recordings_is_nobody_new() -> None:
    """People are counted: copies, two ids of one recording, and ids without a usable recording are not."""
    now = {"old": 1, "copy": 1, "new": 1, "twin": 1, "silent": 0, "fresh": 0}
    digests = {"copy": ["x"], "new": ["y", "x"], "twin": ["y"], "fresh": ["z"]}
    found = new_people(now, {"old"}, digests, {"x"})
    assert found == NewPeople(1, 1, 1, 2, 1, by_sound=True)
    rule = new_speakers(found, "v1", P)
    assert "2 new ids have known recordings alone and do not count" in rule.why
    assert "of 1 new ids no recording can be used" in rule.why
    by_id = new_people(now, {"old"}, None, {"x"})
    assert by_id == NewPeople(3, 2, 1, 0, 0, by_sound=False)
    assert "counted by id alone" in new_speakers(by_id, "v1", P).why


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1)),
    st.sets(st.sampled_from("abcdefgh")),
    st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("wxyz"), max_size=3)),
    st.sets(st.sampled_from("wxyz")),
)
def test_every_id_is_counted_once(
    now: dict[str, int], known: set[str], digests: dict[str, list[str]], sounds: set[str]
) -> None:
    """As a new person, a known one, a copy or one without a recording."""
    found = new_people(now, known, digests, sounds)
    assert found.n_patients + found.n_controls + found.n_known + found.n_copies + found.n_unusable == len(now)
    assert found.n_known == len(now.keys() & known)


@pytest.mark.parametrize(
    ("given_", "holds", "why"),
    [
        (reports("drift", "drift"), True, "2 of the last 2 reports say drift (2026-11-01, 2026-11-02)"),
        (reports("drift", "drift", "none"), False, "1 of the last 2 reports say drift (2026-11-02)"),
        (reports("none", "drift"), False, "1 of the last 2"),
        (reports("drift"), False, "1 of the last 1"),
        (reports("drift", "too few", "drift"), True, "1 had too few recordings to say"),
        (reports("too few", "too few"), None, "no report says anything of the champion; 2 had too few"),
        ([], None, "no report says anything"),
        (reports("drift", "drift", package=OTHER), None, "2 are about another package and do not count"),
        (reports("drift") + reports("drift", "drift", package=OTHER), False, "2 are about another package"),
        ([Report(date(2026, 11, 1), "drift", OURS)] * 2, False, "1 of the last 1"),  # a day counts once
        (
            [Report(date(2026, 11, 1), one, OURS) for one in ("drift", "none", "too few")] + reports("", "drift")[1:],
            True,
            "2 of the last 2 reports say drift (2026-11-01, 2026-11-02)",  # by the strongest of its verdicts
        ),
        (
            [Report(date(2026, 11, 1), one, OURS) for one in ("none", "too few")],
            False,
            "0 of the last 1 reports say drift",
        ),
    ],
)
def test_drift_counts_twice_in_a_row_and_about_the_champion(
    given_: Sequence[Report], why: str, *, holds: bool | None
) -> None:
    """One false alarm in 20 starts no training; a report that had too few recordings neither alarms nor clears."""
    rule = repeated_drift(given_, OURS, P)
    assert rule.holds is holds
    assert why in rule.why


@pytest.mark.ml_test_score("Monitoring 4")
@pytest.mark.parametrize(("today", "holds"), [(date(2026, 12, 31), False), (date(2027, 1, 1), True)])
def test_a_champion_grows_old_on_its_day(today: date, *, holds: bool) -> None:
    """365 days after it was registered, and not 364."""
    assert age(date(2026, 1, 1), today, P).holds is holds


@pytest.mark.parametrize(
    ("given_", "holds", "why"),
    [
        (reports("as promised", "below its promise"), True, "below its promise, first by the report of 2026-11-02"),
        (reports("below its promise", "as promised"), True, "below its promise, first by the report of 2026-11-01"),
        (reports("too few", "below its promise", "below its promise", "too few"), True, "the report of 2026-11-02; 2"),
        (
            [Report(date(2026, 11, 1), one, OURS) for one in ("below its promise", "as promised", "too few")],
            True,
            "first by the report of 2026-11-01",
        ),
        ([Report(date(2026, 11, 1), one, OURS) for one in ("as promised", "too few")], False, "finds no fall"),
        (
            reports("below its promise", package=OTHER) + reports("as promised"),
            False,
            "finds no fall; 1 are about",
        ),
        (reports("as promised", "too few"), None, "the report of 2026-11-02 has too few answers to say"),
        (reports("below its promise", package=OTHER), None, "1 are about another package"),
        ([], None, "no report on feedback is about the champion"),
    ],
)
def test_an_alarm_of_feedback_stays_and_else_the_newest_report_decides(
    given_: Sequence[Report], why: str, *, holds: bool | None
) -> None:
    """The bound holds at all looks at once, so what has passed it is found; of one day the strongest verdict counts."""
    rule = below_promise(given_, OURS)
    assert rule.holds is holds
    assert why in rule.why


def test_what_is_not_known_is_named_in_the_conclusion() -> None:
    """A quiet last line would be read as: all is well."""
    quiet, unknown, loud = Rule("age", False, ""), Rule("drift", None, ""), Rule("feedback", True, "")
    assert conclusion([quiet, unknown]) == "no rule holds; not known: drift"
    assert conclusion([quiet, unknown, loud]) == "train again: feedback; not known: drift"
    assert conclusion([quiet]) == "no rule holds"
    assert conclusion([unknown, unknown._replace(name="age")]) == "nothing is known: drift, age"
