"""The columns of data/plots -> charts, for the page and for docs/explanation/plots."""

from collections.abc import Mapping, Sequence

from spira.base.array_types import Floats
from spira.plots.charts import Chart, Line, calibration, decision_curve, precision_recall, roc, score_histogram

Plots = Mapping[str, Mapping[str, Floats]]  # by name, the columns of a file of data/plots


def roc_by_condition(plots: Plots, conditions: Sequence[str], subtitle: str = "") -> Chart:
    return roc([_line(plots[f"roc_{name}"], "fpr", "tpr", name) for name in conditions], subtitle)


def precision_recall_by_condition(plots: Plots, conditions: Sequence[str], subtitle: str = "") -> Chart:
    found = {name: plots[f"precision_recall_{name}"] for name in conditions}
    return precision_recall([_line(found[name], "recall", "precision", name) for name in conditions], subtitle)


def calibration_before_and_after(plots: Plots, condition: str, subtitle: str) -> Chart:
    found = {when: plots[f"reliability_{when}_{condition}"] for when in ("before", "after")}
    lines = [_line(found[when], "score", "patients", f"{when} calibration") for when in found]
    return calibration(lines, subtitle)


def net_benefit(plots: Plots, condition: str, subtitle: str) -> Chart:
    return decision_curve(_lines(plots[f"decision_{condition}"], "threshold"), subtitle)


def scores_by_class(plots: Plots, condition: str, subtitle: str) -> Chart:
    return score_histogram(_lines(plots[f"scores_{condition}"], "score"), subtitle)


def _line(columns: Mapping[str, Floats], x: str, y: str, name: str) -> Line:
    return Line(name, columns[x], columns[y])


def _lines(columns: Mapping[str, Floats], x: str) -> list[Line]:
    """A curve for every other column, by its name."""
    return [Line(name, columns[x], column) for name, column in columns.items() if name != x]
