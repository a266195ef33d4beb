"""People in use beside the reference of a package: what moved, how far, and whether it matters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from spira.base.array_types import Floats, Ints
from spira.ingest.personal_data import personal
from spira.monitoring.params import BY_NUMBER, TOGETHER, DriftParams
from spira.monitoring.two_samples import (
    Classifier,
    classifier,
    draw_folds,
    holm,
    mean_discrepancy,
    one_number,
    standardized,
)
from spira.population.people import FACTS, VALUES, Person
from spira.population.reference import FEWEST, MOST_SPEAKERS, Reference
from spira.scorer.answer import Band

TaskMeans = dict[str, Floats]  # by task, the means of one person's numbers, (n_numbers,)
Verdict = Literal["none", "drift", "too few"]
SCORE, AGE = "score", "age"
_N_DRIVERS = 3
HIDDEN = "(not shown)"  # in the place of a value that may be somebody's name
_PERSON_FACTS = tuple(name for name in VALUES if name != "age")  # age is a number, and has a list of its own


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Shift(_Part):
    """One number of people: before, in the reference, and in use."""

    name: str
    before: float  # median over people
    after: float
    shift: float  # of the mean, in standard deviations between the reference's people
    low: float  # its interval
    high: float
    p: float  # adjusted for there being several numbers
    moved: bool


class Together(_Part):
    """The two tests of all numbers at once."""

    discrepancy_p: float
    classifier_auc: float
    classifier_p: float
    drivers: tuple[str, ...]  # the numbers by which the classifier decides, the strongest first


class Change(NamedTuple):
    """Of a mean over people, in use less before."""

    value: float
    low: float  # its interval over people
    high: float


class Answers(_Part):
    """What the model says of the recordings of one task, or of all; shares are of people."""

    task: str
    n_before: int  # people whom the model was not trained on
    n_after: int
    mean_before: float | None  # score
    mean_after: float | None
    score: Change | None  # of the mean score; None where there are too few
    inconclusive_before: float | None
    inconclusive_after: float | None
    inconclusive: Change | None  # of the share of people
    moved: bool  # whether one of the two intervals leaves 0 out


class Share(_Part):
    """How many of the people have one value, before and in use."""

    value: str
    before: int
    after: int


class Drift(_Part):
    """drift.json."""

    schema_version: Literal[1] = 1
    package: str  # hash of the package whose reference this is beside
    day: date
    verdict: Verdict
    why: str  # a sentence
    corpus: str
    n_reference: int  # people that are compared
    n_compared: int  # people in use who have recordings of these tasks; at most 500 of them
    n_people: int  # in use
    n_recordings: int
    tasks: tuple[str, ...]  # over which a person's numbers are averaged; everybody compared has each
    numbers: tuple[Shift, ...]
    together: Together | None  # None where there are too few
    answers: tuple[Answers, ...]
    new_values: dict[str, tuple[str, ...]]  # by column, what the corpus never had: named, and no drift by itself
    missing_tasks: tuple[str, ...]  # of the training, of which there is no recording
    shares: dict[str, tuple[Share, ...]]  # by column; people
    refused: tuple[Share, ...]  # by code; recordings


class Number(str):
    """The name of a number in a sentence; a page has a longer one."""


Sentence = tuple[str, ...]  # in parts, of which some are a ``Number``


class Found(NamedTuple):
    """What is said, and the numbers of people that it is said of."""

    drift: Drift
    why: Sentence
    columns: dict[str, tuple[Floats, Floats]]  # by number, before and in use


class Sample(NamedTuple):
    """The numbers of people who have recordings of the same tasks."""

    tasks: tuple[str, ...]
    before: Floats  # (n_reference, n_numbers)
    after: Floats  # (n_people, n_numbers)
    people: list[Person]  # of ``after``


def find_drift(
    reference: Reference, people: Sequence[Person], band: Band, package: str, day: date, p: DriftParams
) -> Found:
    """Everything that is said of people in use.

    Args:
        reference: of the package.
        people: those with recordings in use.
        band: of the package's scores.
        package: its hash.
        day: of the report.
        p: what counts as drift.
    """
    rng = np.random.default_rng(p.seed)
    sample = _sample(reference, _some(people, rng), p)
    columns = _columns(reference, sample)
    numbers: tuple[Shift, ...] = ()
    together: Together | None = None
    if few := _few(reference, people, sample, p):
        verdict: Verdict = "too few"
        why: Sentence = (few,)
    else:
        enough = {name: pair for name, pair in columns.items() if min(map(len, pair)) >= p.min_speakers}
        numbers, together = _shifts(enough, p, rng), _together(reference.numbers, sample, p, rng)
        verdict, why = _judge(numbers, together, p)
    drift = Drift(
        package=package,
        day=day,
        verdict=verdict,
        why="".join(why),
        corpus=reference.corpus,
        n_reference=len(sample.before),
        n_compared=len(sample.after),
        n_people=len(people),
        n_recordings=sum(len(person.recordings) for person in people),
        tasks=sample.tasks,
        numbers=numbers,
        together=together,
        answers=tuple(_answers(reference, people, band, p, rng)),
        new_values=_new_values(reference, people),
        missing_tasks=tuple(sorted(_tasks_of(reference) - _tasks(people))),
        shares=_shares(reference, people),
        refused=_refusals(reference, people),
    )
    return Found(drift, why, columns)


def _some(people: Sequence[Person], rng: np.random.Generator) -> list[Person]:
    """As many people as the reference may have, drawn where there are more: time and memory grow with their square."""
    if len(people) <= MOST_SPEAKERS:
        return list(people)
    return [people[i] for i in np.sort(rng.choice(len(people), MOST_SPEAKERS, replace=False))]


def _few(reference: Reference, people: Sequence[Person], sample: Sample, p: DriftParams) -> str:
    """Why nothing can be said; "" where something can."""
    n_before, n_after = len(sample.before), len(sample.after)
    if n_after < p.min_speakers:
        why = f"{n_after} people have recordings that can be compared; drift.min_speakers asks for {p.min_speakers}"
        said = [{one.task for one in person.recordings if one.statistics} for person in people]
        unnamed = sum(bool(tasks) and not tasks & set(sample.tasks) for tasks in said)
        known = ", ".join(sorted(_tasks_of(reference)))
        return why + (f"; what {unnamed} others said is none of: {known}" if unnamed and known else "")
    if n_before < p.min_speakers:
        return f"the reference has {n_before} people that can be compared; drift.min_speakers asks for {p.min_speakers}"
    return ""


def _tasks_of(reference: Reference) -> set[str]:
    return {task for row in reference.speakers for task in row if task}


def _tasks(people: Sequence[Person]) -> set[str]:
    return {recording.task for person in people for recording in person.recordings if recording.statistics}


def _sample(reference: Reference, people: Sequence[Person], p: DriftParams) -> Sample:
    """The people of both who have recordings of the same tasks: of all, or else of the one that most have.

    A mean over two recordings differs less between people than one recording does, so that a comparison of either with
    the other would find a drift of nobody. A recording of no known task is compared with a reference of one task alone.
    """
    rows = [{task: np.asarray(means) for task, means in row.items()} for row in reference.speakers]
    used = [_task_means(person, reference.numbers) for person in people]
    every = sorted({task for row in rows for task in row})
    if len(every) == 1 and every != [""]:
        used = [{every[0] if task == "" else task: means for task, means in row.items()} for row in used]
    whole, *single = (_with_tasks(tasks, rows, used, people) for tasks in [tuple(every), *((task,) for task in every)])
    if min(len(whole.before), len(whole.after)) >= p.min_speakers:
        return whole
    return max([whole, *single], key=lambda one: len(one.after))


def _with_tasks(
    tasks: tuple[str, ...], rows: Sequence[TaskMeans], used: Sequence[TaskMeans], people: Sequence[Person]
) -> Sample:
    """A person's number is the mean over the tasks."""
    n_numbers = next(iter(rows[0].values())).size

    def averaged(kept: Sequence[TaskMeans]) -> Floats:
        return np.array([np.mean([row[task] for task in tasks], axis=0) for row in kept]).reshape(-1, n_numbers)

    there = [all(task in row for task in tasks) for row in used]
    return Sample(
        tasks,
        averaged([row for row in rows if all(task in row for task in tasks)]),
        averaged([row for row, kept in zip(used, there, strict=True) if kept]),
        [person for person, kept in zip(people, there, strict=True) if kept],
    )


def _task_means(person: Person, numbers: Sequence[str]) -> TaskMeans:
    by_task: dict[str, list[list[float]]] = {}
    for recording in person.recordings:
        if recording.statistics:
            by_task.setdefault(recording.task, []).append([recording.statistics[name] for name in numbers])
    return {task: np.mean(values, axis=0) for task, values in by_task.items()}


def _columns(reference: Reference, sample: Sample) -> dict[str, tuple[Floats, Floats]]:
    """Each number of people, before and in use: of their sound, the model's score, and the age where it is known."""
    columns = {name: (sample.before[:, i], sample.after[:, i]) for i, name in enumerate(reference.numbers)}
    scored = _scored(reference, sample.people, sample.tasks)
    ages = [float(person.values["age"]) for person in sample.people if "age" in person.values]
    return columns | ({SCORE: scored} if scored else {}) | {AGE: (np.array(reference.ages), np.array(ages))}


def _scored(reference: Reference, people: Sequence[Person], tasks: tuple[str, ...]) -> tuple[Floats, Floats] | None:
    """The mean scores of people over these tasks, before and in use; None where the reference has none of just them."""
    every = set(reference.scores) - {""}
    name = tasks[0] if len(tasks) == 1 else "" if every <= set(tasks) else None
    if name not in reference.scores:
        return None
    found = []
    for person in people:
        own = [r for r in person.recordings if r.score is not None and (len(every) < 2 or r.task in tasks)]
        if own and (len(every) < 2 or {r.task for r in own} == set(tasks)):
            found.append(float(np.mean([r.score for r in own])))
    return np.array(reference.scores[name]), np.array(found)


def _shifts(
    columns: Mapping[str, tuple[Floats, Floats]], p: DriftParams, rng: np.random.Generator
) -> tuple[Shift, ...]:
    adjusted = holm(np.array([one_number(*pair) for pair in columns.values()]))
    found = []
    for (name, (old, new)), value in zip(columns.items(), adjusted, strict=True):
        unit = float(old.std()) or 1.0
        shift, low, high = (value / unit for value in _change(old, new, p, rng))
        found.append(
            Shift(
                name=name,
                before=float(np.median(old)),
                after=float(np.median(new)),
                shift=shift,
                low=low,
                high=high,
                p=float(value),
                moved=bool(value <= BY_NUMBER * p.false_alarms),
            )
        )
    return tuple(found)


def _change(old: Floats, new: Floats, p: DriftParams, rng: np.random.Generator) -> tuple[float, float, float]:
    """The change of the mean, and its interval over people of both samples: percentiles of their resamples."""
    drawn = [part[rng.integers(0, len(part), (p.n_resamples, len(part)))].mean(axis=1) for part in (new, old)]
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - p.confidence) / 2, (1 + p.confidence) / 2])
    return float(new.mean() - old.mean()), float(low), float(high)


def _together(names: Sequence[str], sample: Sample, p: DriftParams, rng: np.random.Generator) -> Together:
    values = standardized(np.concatenate([sample.before, sample.after]))
    is_new: Ints = np.repeat([0, 1], [len(sample.before), len(sample.after)])
    shuffles = rng.permuted(np.tile(is_new, (p.n_shuffles, 1)), axis=1)
    found: Classifier = classifier(values, is_new, shuffles, draw_folds(len(values), rng))
    strongest = np.argsort(-np.abs(found.weights), kind="stable")[:_N_DRIVERS]
    return Together(
        discrepancy_p=mean_discrepancy(values, is_new, shuffles),
        classifier_auc=found.auc,
        classifier_p=found.p,
        drivers=tuple(names[i] for i in strongest),
    )


def _judge(numbers: Sequence[Shift], together: Together, p: DriftParams) -> tuple[Verdict, Sentence]:
    all_at_once, found = TOGETHER * p.false_alarms, list[Sentence]()
    if moved := [Number(one.name) for one in numbers if one.moved]:
        found.append(("moved: ", *_listed(moved)))
    if together.discrepancy_p <= all_at_once:
        found.append(("all numbers together are distributed otherwise",))
    if together.classifier_p <= all_at_once:
        apart = f"a classifier separates people in use from the reference's (AUC {together.classifier_auc:.2f}), by "
        found.append((apart, *_listed([Number(name) for name in together.drivers])))
    if found:
        return "drift", tuple(part for i, one in enumerate(found) for part in (*("; ",) * bool(i), *one))
    chance = f"at most {p.false_alarms:.0%} of such reports alarm by chance"
    return "none", (f"no number moved, one by one or together; {chance}",)


def _listed(names: Sequence[Number]) -> Sentence:
    return tuple(part for i, name in enumerate(names) for part in (*(", ",) * bool(i), name))


def _answers(
    reference: Reference, people: Sequence[Person], band: Band, p: DriftParams, rng: np.random.Generator
) -> list[Answers]:
    """Of people with recordings of every task, named "", and of each task."""
    every = tuple(sorted(set(reference.scores) - {""}))
    found = []
    for name in reference.scores:
        pair = _scored(reference, people, (name,) if name else every)
        if pair:
            found.append(_answer(name, *pair, band, p, rng))
    return found


def _answer(task: str, old: Floats, new: Floats, band: Band, p: DriftParams, rng: np.random.Generator) -> Answers:
    unsure = [np.array([band.diagnosis(float(x)) == "inconclusive" for x in scores], float) for scores in (old, new)]
    enough = min(old.size, new.size) >= p.min_speakers
    scores = Change(*_change(old, new, p, rng)) if enough else None
    inconclusive = Change(*_change(unsure[0], unsure[1], p, rng)) if enough else None
    return Answers(
        task=task,
        n_before=old.size,
        n_after=new.size,
        mean_before=_mean(old),
        mean_after=_mean(new),
        score=scores,
        inconclusive_before=_mean(unsure[0]),
        inconclusive_after=_mean(unsure[1]),
        inconclusive=inconclusive,
        moved=any(one is not None and not one.low <= 0 <= one.high for one in (scores, inconclusive)),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _values(people: Sequence[Person]) -> dict[str, Counter[str]]:
    """By column, how many people have each value."""
    found: dict[str, Counter[str]] = {name: Counter() for name in (*_PERSON_FACTS, "task", *FACTS)}
    for person in people:
        found["task"].update({recording.task for recording in person.recordings if recording.task})
        for name in FACTS:
            found[name].update({(recording.facts or {}).get(name, "") for recording in person.recordings} - {""})
        for name in _PERSON_FACTS:
            found[name].update({person.values.get(name, "")} - {""})
    return found


def _shown(value: str, n: int, *, known: bool) -> str:
    """A value as a report may have it: what may be a person's name, or is of too few to be a place, is not in it."""
    return value if known or (n >= FEWEST and not personal(value)) else HIDDEN


def _new_values(reference: Reference, people: Sequence[Person]) -> dict[str, tuple[str, ...]]:
    """Where the corpus says nothing in a column, nothing in it is new."""
    found = {
        name: tuple(sorted({_shown(v, counts[v], known=name in FACTS) for v in counts.keys() - reference.values[name]}))
        for name, counts in _values(people).items()
        if reference.values.get(name)
    }
    return {name: values for name, values in found.items() if values}


def _shares(reference: Reference, people: Sequence[Person]) -> dict[str, tuple[Share, ...]]:
    found = {}
    for name, counts in _values(people).items():
        known, after = reference.values.get(name, {}), Counter[str]()
        for value, n in counts.items():
            after[_shown(value, n, known=name in FACTS or value in known)] += n
        values = sorted(known.keys() | after.keys())
        found[name] = tuple(Share(value=v, before=known.get(v, 0), after=after[v]) for v in values) if counts else ()
    return {name: shares for name, shares in found.items() if shares}


def _refusals(reference: Reference, people: Sequence[Person]) -> tuple[Share, ...]:
    after = Counter(recording.refused for person in people for recording in person.recordings if recording.refused)
    codes = sorted(reference.refused.keys() | after.keys())
    return tuple(Share(value=code, before=reference.refused.get(code, 0), after=after.get(code, 0)) for code in codes)
