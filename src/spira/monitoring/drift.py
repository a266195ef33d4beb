"""People in use beside the reference of a package: what moved, how far, and whether it matters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from spira.base.array_types import Floats, Ints
from spira.monitoring.params import DriftParams
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
from spira.population.reference import Reference
from spira.scorer.answer import Band

Verdict = Literal["none", "drift", "too few"]
SCORE, AGE = "score", "age"
_BY_NUMBER, _TOGETHER = 0.5, 0.25  # of the false alarms: for the numbers one by one, for either test of all together
_N_DRIVERS = 3
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


class Answers(_Part):
    """What the model says of the recordings of one task, or of all; shares are of people."""

    task: str
    n_before: int  # people whom the model was not trained on
    n_after: int
    mean_before: float | None  # score
    mean_after: float | None
    shift: float | None  # of the mean
    low: float | None  # its interval
    high: float | None
    inconclusive_before: float | None
    inconclusive_after: float | None
    moved: bool  # whether the interval leaves 0 out


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
    n_people: int
    n_recordings: int
    tasks: tuple[str, ...]  # that both have, and over which a person's numbers are averaged
    numbers: tuple[Shift, ...]
    together: Together | None  # None where there are too few
    answers: tuple[Answers, ...]
    new_values: dict[str, tuple[str, ...]]  # by column, what the corpus never had: named, and no drift by itself
    missing_tasks: tuple[str, ...]  # of the training, of which there is no recording
    shares: dict[str, tuple[Share, ...]]  # by column; people
    refused: tuple[Share, ...]  # by code; recordings


class Found(NamedTuple):
    """What is said, and the numbers of people that it is said of."""

    drift: Drift
    columns: dict[str, tuple[Floats, Floats]]  # by number, before and in use


class Sample(NamedTuple):
    """The numbers of people, over the tasks that both samples have."""

    before: Floats  # (n_reference, n_numbers)
    after: Floats  # (n_people, n_numbers)


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
    tasks = _shared_tasks(reference, people)
    sample = _sample(reference, people, tasks)
    n_before, n_after = len(sample.before), len(sample.after)
    columns = _columns(reference, sample, people)
    numbers: tuple[Shift, ...] = ()
    together: Together | None = None
    if why := _few(n_before, n_after, p):
        verdict: Verdict = "too few"
    else:
        enough = {name: pair for name, pair in columns.items() if min(map(len, pair)) >= p.min_speakers}
        numbers, together = _shifts(enough, p, rng), _together(reference.numbers, sample, p, rng)
        verdict, why = _judge(numbers, together, p)
    drift = Drift(
        package=package,
        day=day,
        verdict=verdict,
        why=why,
        corpus=reference.corpus,
        n_reference=n_before,
        n_people=len(people),
        n_recordings=sum(len(person.recordings) for person in people),
        tasks=tasks,
        numbers=numbers,
        together=together,
        answers=tuple(_answers(reference, people, band, p, rng)),
        new_values=_new_values(reference, people),
        missing_tasks=tuple(task for task in reference.values.get("task", {}) if task not in _tasks(people)),
        shares=_shares(reference, people),
        refused=_refusals(reference, people),
    )
    return Found(drift, columns)


def _few(n_before: int, n_after: int, p: DriftParams) -> str:
    if n_after < p.min_speakers:
        return f"{n_after} people have recordings that can be compared; drift.min_speakers asks for {p.min_speakers}"
    if n_before < p.min_speakers:
        return f"the reference has {n_before} people that can be compared; drift.min_speakers asks for {p.min_speakers}"
    return ""


def _tasks(people: Sequence[Person]) -> set[str]:
    return {recording.task for person in people for recording in person.recordings if recording.statistics}


def _shared_tasks(reference: Reference, people: Sequence[Person]) -> tuple[str, ...]:
    """The tasks of both; one without a name for all of them where recordings in use have none that is known."""
    known, used = {task for row in reference.speakers for task in row}, _tasks(people)
    return tuple(sorted(known & used)) or ("",) * ("" in used)


def _sample(reference: Reference, people: Sequence[Person], tasks: Sequence[str]) -> Sample:
    """A person's number is the mean, over the tasks, of how far it is from the reference's median of that task."""
    known = [{task: np.asarray(means) for task, means in row.items()} for row in reference.speakers]
    if tasks == ("",):
        known = [{"": np.mean(list(row.values()), axis=0)} for row in known]
    rows = [{task: row[task] for task in tasks if task in row} for row in known]
    used = [_task_means(person, reference.numbers, tasks) for person in people]
    centres = {task: np.median([row[task] for row in rows if task in row], axis=0) for task in tasks}
    overall = np.mean(list(centres.values()), axis=0) if centres else np.zeros(len(reference.numbers))

    def placed(found: Sequence[Mapping[str, Floats]]) -> Floats:
        kept = [row for row in found if row]
        values = [overall + np.mean([row[task] - centres[task] for task in row], axis=0) for row in kept]
        return np.array(values).reshape(-1, len(reference.numbers))

    return Sample(placed(rows), placed(used))


def _task_means(person: Person, numbers: Sequence[str], tasks: Sequence[str]) -> dict[str, Floats]:
    by_task: dict[str, list[list[float]]] = {}
    for recording in person.recordings:
        if recording.statistics and recording.task in tasks:
            by_task.setdefault(recording.task, []).append([recording.statistics[name] for name in numbers])
    return {task: np.mean(values, axis=0) for task, values in by_task.items()}


def _columns(reference: Reference, sample: Sample, people: Sequence[Person]) -> dict[str, tuple[Floats, Floats]]:
    """Each number of people, before and in use: of their sound, the model's score, and the age where it is known."""
    columns = {name: (sample.before[:, i], sample.after[:, i]) for i, name in enumerate(reference.numbers)}
    scores = [person.score for person in people if person.score is not None]
    ages = [float(person.values["age"]) for person in people if "age" in person.values]
    columns[SCORE] = np.array(reference.scores[""]), np.array(scores)
    columns[AGE] = np.array(reference.ages), np.array(ages)
    return columns


def _shifts(
    columns: Mapping[str, tuple[Floats, Floats]], p: DriftParams, rng: np.random.Generator
) -> tuple[Shift, ...]:
    adjusted = holm(np.array([one_number(*pair) for pair in columns.values()]))
    found = []
    for (name, (old, new)), value in zip(columns.items(), adjusted, strict=True):
        shift, low, high = _shift(old, new, p, rng)
        found.append(
            Shift(
                name=name,
                before=float(np.median(old)),
                after=float(np.median(new)),
                shift=shift,
                low=low,
                high=high,
                p=float(value),
                moved=bool(value <= _BY_NUMBER * p.false_alarms),
            )
        )
    return tuple(found)


def _shift(old: Floats, new: Floats, p: DriftParams, rng: np.random.Generator) -> tuple[float, float, float]:
    """The shift of the mean in standard deviations of the old, and its interval over people."""
    spread = float(old.std())
    unit = spread if spread > 0 else 1.0
    drawn = [part[rng.integers(0, len(part), (p.n_resamples, len(part)))].mean(axis=1) for part in (new, old)]
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - p.confidence) / 2, (1 + p.confidence) / 2])
    return float((new.mean() - old.mean()) / unit), float(low / unit), float(high / unit)


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


def _judge(numbers: Sequence[Shift], together: Together, p: DriftParams) -> tuple[Verdict, str]:
    moved, all_at_once = [one.name for one in numbers if one.moved], _TOGETHER * p.false_alarms
    said = [f"moved: {', '.join(moved)}"] if moved else []
    if together.discrepancy_p <= all_at_once:
        said.append("all numbers together are distributed otherwise")
    if together.classifier_p <= all_at_once:
        auc, drivers = f"AUC {together.classifier_auc:.2f}", ", ".join(together.drivers)
        said.append(f"a classifier separates people in use from the reference's ({auc}), by {drivers}")
    if said:
        return "drift", "; ".join(said)
    return (
        "none",
        f"no number moved, one by one or together; {p.false_alarms:.0%} of such reports would alarm by chance",
    )


def _answers(
    reference: Reference, people: Sequence[Person], band: Band, p: DriftParams, rng: np.random.Generator
) -> list[Answers]:
    """Of all recordings of a person together, named "", and of each task."""
    after: dict[str, list[float]] = {"": [person.score for person in people if person.score is not None]}
    for person in people:
        own: dict[str, list[float]] = {}
        for recording in person.recordings:
            if recording.score is not None and recording.task:
                own.setdefault(recording.task, []).append(recording.score)
        for task, scores in own.items():
            after.setdefault(task, []).append(float(np.mean(scores)))
    return [
        _answer(task, np.array(scores), np.array(after.get(task, [])), band, p, rng)
        for task, scores in reference.scores.items()
    ]


def _answer(task: str, old: Floats, new: Floats, band: Band, p: DriftParams, rng: np.random.Generator) -> Answers:
    def unsure(scores: Floats) -> float | None:
        if not scores.size:
            return None
        return float(np.mean([band.diagnosis(float(score)) == "inconclusive" for score in scores]))

    enough = min(old.size, new.size) >= p.min_speakers
    unit = float(old.std()) or 1.0
    shift, low, high = (value * unit for value in _shift(old, new, p, rng)) if enough else (None, None, None)
    return Answers(
        task=task,
        n_before=old.size,
        n_after=new.size,
        mean_before=float(old.mean()) if old.size else None,
        mean_after=float(new.mean()) if new.size else None,
        shift=shift,
        low=low,
        high=high,
        inconclusive_before=unsure(old),
        inconclusive_after=unsure(new),
        moved=low is not None and high is not None and not low <= 0 <= high,
    )


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


def _new_values(reference: Reference, people: Sequence[Person]) -> dict[str, tuple[str, ...]]:
    """Where the corpus says nothing in a column, nothing in it is new."""
    found = {
        name: tuple(sorted(counts.keys() - reference.values[name].keys()))
        for name, counts in _values(people).items()
        if reference.values.get(name)
    }
    return {name: values for name, values in found.items() if values}


def _shares(reference: Reference, people: Sequence[Person]) -> dict[str, tuple[Share, ...]]:
    found = {}
    for name, counts in _values(people).items():
        known = reference.values.get(name, {})
        values = sorted(known.keys() | counts.keys())
        found[name] = tuple(Share(value=v, before=known.get(v, 0), after=counts.get(v, 0)) for v in values)
    return {name: shares for name, shares in found.items() if shares}


def _refusals(reference: Reference, people: Sequence[Person]) -> tuple[Share, ...]:
    after = Counter(recording.refused for person in people for recording in person.recordings if recording.refused)
    codes = sorted(reference.refused.keys() | after.keys())
    return tuple(Share(value=code, before=reference.refused.get(code, 0), after=after.get(code, 0)) for code in codes)
