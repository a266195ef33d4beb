"""Drift: found where people moved, not where they did not, and said only where there are enough of them."""

from datetime import date

import numpy as np
import pytest

from populations import BAND, TASKS, draw, reference
from spira.base.params import load
from spira.monitoring.drift import AGE, HIDDEN, SCORE, Drift, Found, find_drift
from spira.monitoring.drift_page import drift_page
from spira.monitoring.params import DriftParams
from spira.population.people import Person
from tiny import ROOT

P = load("drift", DriftParams, path=ROOT / "params.yaml").model_copy(update={"n_shuffles": 399, "n_resamples": 400})
REFERENCE = reference(draw(0, 160))
DAY = date(2026, 11, 28)


def found(people: list[Person], **params: object) -> Found:
    return find_drift(REFERENCE, people, BAND, "a" * 64, DAY, P.model_copy(update=params))


def drift(people: list[Person], **params: object) -> Drift:
    return found(people, **params).drift


def test_other_people_of_the_same_population_are_no_drift() -> None:
    said = drift(draw(1, 50))
    assert said.verdict == "none"
    assert not any(one.moved for one in said.numbers)
    assert (said.n_people, said.n_recordings, said.n_reference) == (50, 100, 160)
    assert said.tasks == TASKS


def test_what_moved_is_named_with_how_far_and_all_else_is_not() -> None:
    said = drift(draw(1, 60, {"noise_floor_db": 1.2}))
    assert said.verdict == "drift"
    moved = {one.name: one for one in said.numbers if one.moved}
    assert list(moved) == ["noise_floor_db"]
    assert moved["noise_floor_db"].low < 1.2 / np.hypot(1, 0.5 / np.sqrt(2)) < moved["noise_floor_db"].high
    assert said.together is not None
    assert said.together.drivers[0] == "noise_floor_db"
    assert "noise_floor_db" in said.why


def test_a_little_of_everything_is_found_by_the_tests_of_all_together() -> None:
    said = drift(draw(2, 100, dict.fromkeys(REFERENCE.numbers, 0.35)))
    assert said.verdict == "drift"
    assert said.together is not None
    assert said.together.classifier_p <= 0.0125


@pytest.mark.parametrize("n", [0, 1, 19])
def test_few_people_have_no_verdict(n: int) -> None:
    said = drift(draw(1, n, {"level_db": 30.0}))
    assert said.verdict == "too few"
    assert "drift.min_speakers" in said.why
    assert said.numbers == ()


def test_a_person_is_one_however_many_recordings_there_are() -> None:
    """The same 50 people with ten copies of each recording: no test may get surer."""
    people = draw(1, 50, {"level_db": 0.3})
    many = [person._replace(recordings=person.recordings * 10) for person in people]
    assert [one.p for one in drift(many).numbers] == [one.p for one in drift(people).numbers]


def test_a_new_site_or_codec_is_named_and_no_drift() -> None:
    people = [
        person._replace(
            values={"site": "sul"},
            recordings=tuple(
                one.model_copy(update={"facts": {**(one.facts or {}), "container": "OGG"}}) for one in person.recordings
            ),
        )
        for person in draw(1, 50)
    ]
    said = drift(people)
    assert said.verdict == "none"
    assert said.new_values == {"site": ("sul",), "container": ("OGG",)}
    assert {one.value: (one.before, one.after) for one in said.shares["site"]} == {"norte": (160, 0), "sul": (0, 50)}


def test_people_with_one_task_are_compared_by_that_task_alone() -> None:
    said = drift(draw(1, 50, tasks=("rhyme",)))
    assert said.tasks == ("rhyme",)
    assert said.verdict == "none"
    assert said.missing_tasks == ("sentence",)


def test_people_are_compared_who_have_the_same_recordings() -> None:
    """A third has one task, a third the other, a third both: those with both are compared, where they are enough."""
    far = reference([_louder(person, "sentence") for person in draw(0, 160)])
    people = [_louder(person, "sentence") for person in draw(1, 90)]
    parts = [person._replace(recordings=person.recordings[slice(*SLICES[i % 3])]) for i, person in enumerate(people)]
    said = find_drift(far, parts, BAND, "a" * 64, DAY, P).drift
    assert (said.n_people, said.n_compared, said.tasks) == (90, 30, TASKS)
    assert said.verdict == "none"
    fewer = find_drift(far, parts[:45], BAND, "a" * 64, DAY, P).drift
    assert (fewer.n_compared, len(fewer.tasks)) == (30, 1)
    assert fewer.verdict == "none"


SLICES = ((0, 1), (1, 2), (0, 2))


def _louder(person: Person, task: str) -> Person:
    changed = [
        one.model_copy(
            update={"statistics": {**(one.statistics or {}), "level_db": (one.statistics or {})["level_db"] + 20}}
        )
        if one.task == task
        else one
        for one in person.recordings
    ]
    return person._replace(recordings=tuple(changed))


def _without_task(people: list[Person], tasks: tuple[str, ...] = TASKS) -> list[Person]:
    return [
        person._replace(
            recordings=tuple(one.model_copy(update={"task": ""}) for one in person.recordings if one.task in tasks)
        )
        for person in people
    ]


def test_a_recording_of_no_known_task_is_compared_with_no_mean_over_tasks() -> None:
    """One recording differs more from person to person than a mean over two: a drift of nobody."""
    said = drift(_without_task(draw(1, 50), TASKS[:1]))
    assert said.verdict == "too few"
    assert "what 50 others said is none of: rhyme, sentence" in said.why


def test_where_the_training_has_one_task_a_recording_without_a_name_is_of_it() -> None:
    one_task = reference(draw(0, 160, tasks=TASKS[:1]))
    said = find_drift(one_task, _without_task(draw(1, 50), TASKS[:1]), BAND, "a" * 64, DAY, P).drift
    assert (said.verdict, said.tasks, said.n_compared) == ("none", TASKS[:1], 50)


def test_no_more_people_are_compared_than_a_reference_may_have() -> None:
    said = drift(draw(1, 700))
    assert (said.n_people, said.n_compared) == (700, 500)


@pytest.mark.parametrize(
    ("site", "n", "shown"), [("sul", 50, "sul"), ("sul", 4, HIDDEN), ("Maria de Souza", 50, HIDDEN)]
)
def test_a_value_that_may_be_a_name_or_is_of_few_is_not_shown(site: str, n: int, shown: str) -> None:
    people = [person._replace(values={"site": site if i < n else "norte"}) for i, person in enumerate(draw(1, 50))]
    said = drift(people)
    assert said.new_values == {"site": (shown,)}
    assert next(one for one in said.shares["site"] if one.value == shown).after == n


def test_a_number_of_shuffles_that_can_never_alarm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_shuffles: must be at least 399 for false_alarms=0\.01"):
        DriftParams.model_validate(P.model_dump() | {"false_alarms": 0.01, "n_shuffles": 398})


def test_scores_that_moved_matter_and_are_a_number_like_the_others() -> None:
    people = [_surer(person, 0.35) for person in draw(1, 60)]
    said = drift(people)
    assert [one.name for one in said.numbers if one.moved] == [SCORE]
    together = next(one for one in said.answers if one.task == "")
    assert together.moved
    assert together.score is not None
    assert together.score.low > 0


def _surer(person: Person, by: float) -> Person:
    recordings = [one.model_copy(update={"score": min(1.0, (one.score or 0) + by)}) for one in person.recordings]
    return person._replace(recordings=tuple(recordings))


def test_age_is_compared_where_it_is_known() -> None:
    rng = np.random.default_rng(0)
    known = REFERENCE.model_copy(update={"ages": tuple(sorted(rng.normal(50, 10, 160)))})
    people = [person._replace(values={"age": str(70 + i % 5)}) for i, person in enumerate(draw(1, 50))]
    said = find_drift(known, people, BAND, "a" * 64, DAY, P).drift
    assert [one.name for one in said.numbers if one.moved] == [AGE]


def test_refused_recordings_are_counted_and_compared_with_nothing() -> None:
    people = draw(1, 50)
    empty = (
        people[0]
        .recordings[0]
        .model_copy(update={"score": None, "refused": "silent", "digest": None, "facts": None, "statistics": None})
    )
    nameless = empty.model_copy(update={"task": ""})  # as of a folder without a table
    assert "none of" not in drift([person._replace(recordings=(nameless,)) for person in people]).why
    said = drift([person._replace(recordings=(*person.recordings, empty)) for person in people])
    assert [(one.value, one.before, one.after) for one in said.refused] == [("silent", 0, 50)]
    assert said.verdict == "none"


def test_the_same_people_give_the_same_report_to_the_byte() -> None:
    people = draw(1, 40, {"seconds": 0.5})
    assert drift(people).model_dump_json() == drift(people).model_dump_json()


def test_the_page_and_its_twin_say_what_was_found() -> None:
    moved = found(draw(1, 60, {"noise_floor_db": 1.2}))
    text = drift_page(moved, ("a sentence",), 16_000, pictures=False).markdown()
    assert "**drift**" in text
    assert "a sentence" in text
    assert "| noise floor (dB of full scale) |" in text
    assert "**too few to say**" in drift_page(found(draw(1, 3)), (), 16_000, pictures=False).markdown()


def test_a_number_is_drawn_where_both_have_it() -> None:
    columns = {name: pair for name, pair in found(draw(1, 30)).columns.items() if name in ("seconds", AGE)}
    page = drift_page(found(draw(1, 30))._replace(columns=columns), (), 16_000, pictures=True)
    figures = [figure for section in page.sections for figure in section.figures]
    assert len(figures) == 1
    assert "duration (s)" in figures[0].svg
