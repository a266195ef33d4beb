"""What `spira feedback` found -> the sections of its page, which is its Markdown too."""

from collections.abc import Sequence

import numpy as np

from spira.monitoring.feedback_result import Calibrated, Feedback, Interval, Performance, Verdict, Watched
from spira.monitoring.page import Level, Page
from spira.plots.charts import Line as Curve
from spira.plots.charts import calibration, share_labelled
from spira.plots.svg import svg
from spira.report.blocks import Code, Figure, Line, Section, Strong, Table, Unbroken

_LEVELS: dict[Verdict, Level] = {"as promised": "pass", "below its promise": "fail", "too few": "warn"}
_BADGES: dict[Verdict, str] = {"as promised": "no fall found"}  # wide bounds are no proof of a kept promise
_NAMES = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


def feedback_page(found: Feedback) -> Page:
    """The page."""
    return Page(
        title="What came to be known, beside what was promised",
        origin=f"{found.day}, package {found.package[:12]}.",
        level=_LEVELS[found.verdict],
        verdict=_BADGES.get(found.verdict, found.verdict),
        why=found.reason,
        sections=sections(found),
    )


def sections(found: Feedback) -> list[Section]:
    """All of it, in the order in which it is read."""
    parts = [_people(found), _labelled(found)]
    if found.performance:
        parts += [_promise(found, found.performance), _looks(found, found.performance), _calibration(found.performance)]
    return parts


def _people(found: Feedback) -> Section:
    n = found.counts
    rows: list[list[Line]] = [
        ["people who were answered with a score", str(n.answered)],
        ["whose truth is known", f"{n.labelled}: {n.labelled_patients} patients, {n.labelled_controls} controls"],
        ["answered positive; whose truth is known", f"{n.positive}; {n.positive_labelled}"],
        ["answered negative; whose truth is known", f"{n.negative}; {n.negative_labelled}"],
        ["of all, inconclusive; whose truth is known", f"{n.inconclusive}; {n.inconclusive_labelled}"],
        ["people without a score, for all of their recordings were refused", str(n.without_score)],
        ["people of the corpus in data/clips, who are left out", str(n.in_corpus)],
        ["further answers to somebody who had one", str(n.repeated_answers)],
        ["answers by other packages, which are not looked at", str(n.other_packages_answers)],
        ["ids in the feedback of nobody who was answered", str(n.unknown_ids)],
        ["ids in the feedback of people whom another package answered", str(n.other_packages_ids)],
    ]
    blocks: list[Line | Table] = [Table(("what", "how many"), rows)]
    if found.sources:
        said = [[name, str(count)] for name, count in found.sources.items()]
        blocks.append(Table(("who knew the truth", "people"), said))
    return Section("people", "Who was answered, and whose truth is known", blocks)


def _labelled(found: Feedback) -> Section:
    rows = [
        [f"{one.low:.3f} to {one.high:.3f}", str(one.answered), str(one.labelled), f"{one.labelled / one.answered:.0%}"]
        for one in found.deciles
    ]
    ratio = (
        "All were answered alike, or nobody is labelled: there is nothing to compare."
        if found.labelled_ratio is None
        else f"Of the shares labelled by answer, the least is {found.labelled_ratio:.2f} of the most."
    )
    by_answer = [
        [one.name, str(one.answered), str(one.labelled), f"{one.labelled / one.answered:.0%}"] for one in found.strata
    ]
    answers = Table(("answer", "answered", "truth known", "share"), by_answer, "Nobody was answered.")
    known = (
        "Each person whose truth is known counts for all who were answered alike (Begg and Greenes, 1983): positive, "
        "inconclusive at the threshold or above, inconclusive below it, negative; a side of the threshold of which one "
        "part has too few people counts as one. That is right as far as the answer alone decides whose truth comes to "
        "be known."
    )
    table = Table(("score", "answered", "truth known", "share"), rows, "Nobody was answered.")
    shares = [one.labelled / one.answered for one in found.deciles]
    curve = Curve("people in use", np.array([one.mean for one in found.deciles]), np.array(shares))
    figures = [
        Figure(
            svg(share_labelled([curve])),
            "A flat line is fair. A low end says that whoever was answered so is "
            "hardly ever verified: their errors stay unseen.",
        )
    ]
    return Section("labelled", "By answer and score", [ratio, answers, known, table], figures if rows else [])


def _promise(found: Feedback, now: Performance) -> Section:
    rows = [[_NAMES[name], _interval(one.promised), _interval(one.used)] for name, one in now.metrics.items()]
    note = (
        f"In brackets the {found.confidence:.0%} interval over people, at this look alone: whoever looks often must "
        f"not act on it. Sensitivity and specificity are at the package's threshold, {found.threshold:.3f}, "
        "inconclusive answers included."
    )
    return Section("promise", "In use, beside the promise", [Table(("", "promised: test set", "in use"), rows), note])


def _interval(found: Interval) -> Line:
    return (Unbroken(found.text),)


def _looks(found: Feedback, now: Performance) -> Section:
    rows = [_watched_row(name, one) for name, one in now.watched.items()]
    head = ("", "people tested", "people in use", "fall", "bounds of the fall, at all looks", "least fall to be seen")
    note = (
        f"These bounds hold at every look at once, however often somebody looks: with {found.confidence:.0%} "
        "confidence neither lower bound ever passes 0 while nothing has fallen. The last column is the least fall that "
        "this test set could ever show, with feedback without end; a smaller one goes unseen."
    )
    return Section("looks", "Over all looks", [Table(head, rows), note])


def _watched_row(name: str, one: Watched) -> list[Line]:
    bounds = Unbroken(f"[{one.lo:+.3f}, {one.hi:+.3f}]")
    marked: Line = (Strong(bounds),) if one.lo > 0 else (bounds,)
    return [(Code(name),), str(one.n_promised), str(one.n_used), f"{one.fall:+.3f}", marked, f"{one.least_fall:.3f}"]


def _calibration(now: Performance) -> Section:
    both = {"test set": now.calibration_promised, "in use": now.calibration_used}
    rows = [[name, f"{one.mean_score:.3f}", f"{one.share_patients:.3f}"] for name, one in both.items()]
    note = (
        "Calibrated scores are as high, on the mean, as the share of patients. It is the share among these people: "
        "where patients are rarer than in the test set, scores are too high in use though the model has not changed."
    )
    figure = Figure(
        svg(calibration([_curve(name, one) for name, one in both.items()])),
        "On the thin diagonal a score can be read as a probability. Below it, scores are too high; above, too low. A "
        "dot of few people strays by chance.",
    )
    return Section("calibration", "Calibration", [Table(("", "mean score", "share of patients"), rows), note], [figure])


def _curve(name: str, found: Calibrated) -> Curve:
    points: Sequence[tuple[float, float]] = [(one.mean_score, one.share_patients) for one in found.bins]
    x, y = np.array(points, dtype=np.float64).T
    return Curve(name, x, y)
