"""What was found of people in use -> sections of tables and pictures."""

import numpy as np

from spira.base.array_types import Floats
from spira.monitoring.drift import AGE, SCORE, Answers, Change, Drift, Found, Number, Share, Verdict
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
        why=[_short(part, sample_rate) if isinstance(part, Number) else part for part in found.why],
        sections=[
            _compared(drift, said),
            _numbers(found, sample_rate, pictures=pictures),
            _together(drift, sample_rate),
            _answers(drift),
            _new(drift),
            _shares(drift),
            _refused(drift),
        ],
    )


def name_of(number: str, sample_rate: int) -> str:
    """What the page calls a number."""
    return _OTHERS.get(number) or label(number, sample_rate)


def _short(number: str, sample_rate: int) -> str:
    return name_of(number, sample_rate).partition(" (")[0]


def _compared(drift: Drift, said: tuple[str, ...]) -> Section:
    tasks = ", ".join(drift.tasks) if drift.tasks != ("",) else "all recordings"
    lines = [
        f"{drift.n_people} people in use with {drift.n_recordings} recordings. Compared are the {drift.n_compared} who "
        f"have recordings of {tasks}, with the {drift.n_reference} of the training's corpus who have them too.",
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
    title = _short(name, sample_rate)
    return before_and_after(lines, name_of(name, sample_rate), title[0].upper() + title[1:])


def _together(drift: Drift, sample_rate: int) -> Section:
    if drift.together is None:
        return Section("together", "All numbers together", ["Too few people to compare."])
    drivers = ", ".join(_short(name, sample_rate) for name in drift.together.drivers)
    rows = [
        ["maximum mean discrepancy (Gretton et al. 2012)", "", f"{drift.together.discrepancy_p:.2g}"],
        [
            "linear classifier (Lopez-Paz and Oquab 2017)",
            f"AUC {drift.together.classifier_auc:.3f}, by {drivers}",
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
        "change of the mean score",
        "inconclusive before",
        "in use",
        "change of that share",
    ]
    if all(one.score is None for one in drift.answers):
        line = "Too few people to say."
    elif any(one.moved for one in drift.answers):
        line = "The model answers otherwise than it did on people whom it was not trained on."
    else:
        line = "Neither the scores nor the share of inconclusive answers has moved."
    line += " Each interval is for itself: of twenty, one leaves 0 out by chance."
    return Section("answers", "Does it matter", [line, Table(head, [_answer_row(one) for one in drift.answers])])


def _answer_row(one: Answers) -> list[str]:
    return [
        one.task or "every task of a person",
        str(one.n_before),
        str(one.n_after),
        _number(one.mean_before),
        _number(one.mean_after),
        _change(one.score),
        _share(one.inconclusive_before),
        _share(one.inconclusive_after),
        _change(one.inconclusive),
    ]


def _change(one: Change | None) -> str:
    return Unbroken(f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]") if one else "–"


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
