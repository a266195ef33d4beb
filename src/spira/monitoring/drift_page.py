"""What was found of people in use -> sections of tables and pictures."""

import numpy as np

from spira.base.array_types import Floats
from spira.monitoring.drift import AGE, SCORE, Answers, Drift, Found, Share, Verdict
from spira.monitoring.page import Level, Page
from spira.plots.charts import Chart, Line, before_and_after
from spira.plots.svg import svg
from spira.population.recording import label
from spira.report.blocks import Code, Figure, Section, Strong, Table, Unbroken
from spira.report.blocks import Line as Text

_LEVELS: dict[Verdict, Level] = {"none": "pass", "drift": "warn", "too few": "warn"}
_SAID: dict[Verdict, str] = {"none": "no drift", "drift": "drift", "too few": "too few to say"}
_OTHERS = {SCORE: "score", AGE: "age (years)"}


def drift_page(found: Found, said: tuple[str, ...], sample_rate: int, *, pictures: bool) -> Page:
    """The page.

    Args:
        found: of the people in use.
        said: sentences on what was assumed of them.
        sample_rate: Hz, of the package.
        pictures: whether they are drawn, which takes seconds.
    """
    drift = found.drift
    return Page(
        title="Recordings in use, beside those of the training",
        origin=f"{drift.day}, package {drift.package[:12]}, trained on {drift.corpus}.",
        level=_LEVELS[drift.verdict],
        verdict=_SAID[drift.verdict],
        why=drift.why,
        sections=[
            _compared(drift, said),
            _numbers(found, sample_rate, pictures=pictures),
            _together(drift),
            _answers(drift),
            _new(drift),
            _shares(drift),
            _refused(drift),
        ],
    )


def name_of(number: str, sample_rate: int) -> str:
    """What the page calls a number."""
    return _OTHERS.get(number) or label(number, sample_rate)


def _compared(drift: Drift, said: tuple[str, ...]) -> Section:
    tasks = ", ".join(drift.tasks) if drift.tasks not in ((), ("",)) else "all recordings, for their task is not known"
    lines = [
        f"{drift.n_people} people with {drift.n_recordings} recordings, beside {drift.n_reference} people of the "
        f"training's corpus. A person's numbers are means over: {tasks}.",
        *said,
    ]
    return Section("compared", "Who is compared", lines)


def _numbers(found: Found, sample_rate: int, *, pictures: bool) -> Section:
    rows = [
        [
            name_of(one.name, sample_rate),
            f"{one.before:.3g}",
            f"{one.after:.3g}",
            Unbroken(f"{one.shift:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"),
            f"{one.p:.2g}",
            Strong("moved") if one.moved else "–",
        ]
        for one in found.drift.numbers
    ]
    head = ["number", "median before", "in use", "shift, in deviations between people", "p", ""]
    lines: list[Text | Table] = [
        "Cramér and von Mises' test of each number over people, adjusted by Holm for there being several.",
        Table(head, rows, "Too few people to compare."),
    ]
    figures = [
        Figure(
            svg(_picture(name, pair, sample_rate)),
            "The share of people whose number is at most so high. The test measures how far apart the two curves are.",
        )
        for name, pair in found.columns.items()
        if pictures and min(map(len, pair)) > 1
    ]
    return Section("numbers", "What moved", lines, figures)


def _picture(name: str, pair: tuple[Floats, Floats], sample_rate: int) -> Chart:
    lines = [
        Line(who, np.sort(values), np.arange(1, len(values) + 1) / len(values))
        for who, values in zip(("reference", "in use"), pair, strict=True)
    ]
    said = name_of(name, sample_rate)
    return before_and_after(lines, said, said.partition(" (")[0].capitalize())


def _together(drift: Drift) -> Section:
    if drift.together is None:
        return Section("together", "All numbers together", ["Too few people to compare."])
    rows = [
        ["maximum mean discrepancy (Gretton et al. 2012)", "", f"{drift.together.discrepancy_p:.2g}"],
        [
            "linear classifier (Lopez-Paz and Oquab 2017)",
            f"AUC {drift.together.classifier_auc:.3f}, by {', '.join(drift.together.drivers)}",
            f"{drift.together.classifier_p:.2g}",
        ],
    ]
    return Section("together", "All numbers together", [Table(["test", "found", "p"], rows)])


def _answers(drift: Drift) -> Section:
    head = [
        "recordings",
        "people before",
        "in use",
        "mean score before",
        "in use",
        "shift of the mean score",
        "inconclusive before",
        "in use",
    ]
    moved = [one for one in drift.answers if one.moved]
    line = (
        "The model answers otherwise than it did on people whom it was not trained on."
        if moved
        else "No shift of the scores is shown."
    )
    return Section("answers", "Does it matter", [line, Table(head, [_answer_row(one) for one in drift.answers])])


def _answer_row(one: Answers) -> list[str]:
    shift = "–"
    if one.shift is not None and one.low is not None and one.high is not None:
        shift = Unbroken(f"{one.shift:+.3f} [{one.low:+.3f}, {one.high:+.3f}]")
    return [
        one.task or "all of a person's",
        str(one.n_before),
        str(one.n_after),
        _number(one.mean_before),
        _number(one.mean_after),
        shift,
        _share(one.inconclusive_before),
        _share(one.inconclusive_after),
    ]


def _new(drift: Drift) -> Section:
    rows = [[Code(column), ", ".join(values)] for column, values in drift.new_values.items()]
    lines: list[Text | Table] = [Table(["column", "values that the training's corpus has not"], rows, "None.")]
    if drift.missing_tasks:
        lines.append(f"There is no recording of: {', '.join(drift.missing_tasks)}.")
    return Section("new", "New values: named, and no drift by themselves", lines)


def _shares(drift: Drift) -> Section:
    rows = [[Code(column), *_counts(one)] for column, shares in drift.shares.items() for one in shares]
    return Section("shares", "People by value", [Table(["column", "value", "people before", "in use"], rows, "None.")])


def _refused(drift: Drift) -> Section:
    rows = [_counts(one) for one in drift.refused]
    return Section("refused", "Refused recordings", [Table(["code", "before", "in use"], rows, "None was refused.")])


def _counts(one: Share) -> list[str]:
    return [one.value, str(one.before), str(one.after)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
