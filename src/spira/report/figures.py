"""The figures of the report, each with the sentence that explains how to read it."""

from collections.abc import Mapping, Sequence

from spira.base.array_types import Floats
from spira.evaluation.results import Estimate, Evaluation
from spira.report.blocks import Figure
from spira.report.plots import SHARE, Axis, Line, Row, forest, line_chart

Plots = Mapping[str, Mapping[str, Floats]]  # by name, the columns of a file of data/plots


def roc_figure(plots: Plots, conditions: Sequence[str]) -> Figure:
    """The ROC curve of each condition."""
    lines = [Line(name, plots[f"roc_{name}"]["fpr"], plots[f"roc_{name}"]["tpr"]) for name in conditions]
    x = Axis("share of controls classified as patient (false positive rate)", 0, 1, SHARE)
    y = Axis("share of patients classified as patient", 0, 1, SHARE)
    return Figure(
        line_chart("ROC curves", x, y, lines, [(0, 0), (1, 1)]),
        "Each point is a threshold. The nearer a curve comes to the upper left corner, the better; guessing lies on "
        "the thin diagonal. The area below a curve is its AUC.",
    )


def precision_figure(plots: Plots, conditions: Sequence[str]) -> Figure:
    """Precision over recall under each condition."""
    columns = [(name, plots[f"precision_recall_{name}"]) for name in conditions]
    x = Axis("share of patients classified as patient (recall)", 0, 1, SHARE)
    y = Axis("precision (positive predictive value)", 0, 1, SHARE)
    return Figure(
        line_chart("Precision and recall", x, y, [Line(name, at["recall"], at["precision"]) for name, at in columns]),
        "How many of those classified as patient are patients, as more patients are found. It holds for this test "
        "set's share of patients; where patients are rarer, precision is lower.",
    )


def calibration_figure(plots: Plots, condition: str) -> Figure:
    """The share of patients in each bin of scores, before and after calibration."""
    lines = []
    for when in ("before", "after"):
        columns = plots[f"reliability_{when}_{condition}"]
        lines.append(Line(f"{when} calibration", columns["score"], columns["patients"], dots=True))
    x = Axis("mean score of the clips in a bin (probability)", 0, 1, SHARE)
    y = Axis("share of them that are patients'", 0, 1, SHARE)
    return Figure(
        line_chart("Calibration", x, y, lines, [(0, 0), (1, 1)]),
        "On the thin diagonal a score can be read as a probability. Below it, scores are too high; above, too low. A "
        "dot of few clips strays by chance.",
    )


def decision_figure(plots: Plots, condition: str) -> Figure:
    """The net benefit of the model beside that of treating everybody or nobody."""
    columns = plots[f"decision_{condition}"]
    lines = [Line(name, columns["threshold"], columns[name]) for name in ("model", "everybody", "nobody")]
    top = max(0.1, float(max(columns["model"].max(), columns["everybody"].max())))
    x = Axis("probability from which one would act", 0, 1, SHARE)
    ticks = [tick for tick in (-0.1, 0, 0.1, 0.2, 0.3, 0.4, 0.5) if tick <= top]
    y = Axis("net benefit (patients found per clip tested)", -0.1, top, ticks)
    return Figure(
        line_chart("Decision curve", x, y, lines),
        "Where the model's curve is above both others, acting on it is worth more than treating everybody or nobody. "
        "False alarms are weighted by how sure one wants to be before acting.",
    )


def forest_figure(found: Evaluation) -> Figure:
    """The AUC of each subgroup beside that of everybody."""
    everybody = found.headline.metrics.auc
    rows = [Row("everybody", everybody.text, _interval(everybody), head=True)]
    for column, subgroups in found.subgroups.items():
        rows.append(Row(column, "", None, head=True))
        for name, group in subgroups.groups.items():
            people = f"{name} ({group.n_speakers})"
            if group.metrics is None:
                rows.append(Row(people, "too few", None))
            else:
                rows.append(Row(people, group.metrics.auc.text, _interval(group.metrics.auc)))
    title = f"AUC by group under {found.threshold_condition}"
    return Figure(
        forest(title, Axis("AUC", 0, 1, SHARE), rows, _interval(everybody)),
        "A square is a group's AUC, its bar the interval, the number in brackets its speakers; the band is everybody's "
        "interval. A long bar means a small group, not a bad one; a bar that misses the band is a reason to look.",
    )


def _interval(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.mean, estimate.lo, estimate.hi
