"""The figures of the report, each with the sentence that explains how to read it."""

from collections.abc import Sequence

from spira.evaluation.results import Estimate, Evaluation
from spira.plots.charts import Row, forest
from spira.plots.svg import svg
from spira.report.blocks import Figure
from spira.report.plots import (
    Plots,
    calibration_before_and_after,
    net_benefit,
    precision_recall_by_condition,
    roc_by_condition,
)


def models_figure(found: Evaluation) -> Figure:
    """The AUC of every model under each condition."""
    rows = []
    for condition in found.deployed_model.conditions:
        rows.append(Row(condition, "", None, head=True))
        for look, (name, model) in enumerate(found.models.items()):
            auc = model.conditions[condition].metrics.auc
            rows.append(Row(name, auc.text, _interval(auc), look=look))
    return Figure(
        svg(forest(rows, None, title="AUC by model and condition")),
        "A square is a model's AUC, its bar the interval over speakers. That two bars overlap does not mean that two "
        "models are alike: both classified the same people, so the table's difference is surer than either AUC.",
    )


def roc_figure(plots: Plots, conditions: Sequence[str]) -> Figure:
    """The ROC curve of each condition."""
    return Figure(
        svg(roc_by_condition(plots, conditions)),
        "Each point is a threshold. The nearer a curve comes to the upper left corner, the better; guessing lies on "
        "the thin diagonal. The area below a curve is its AUC.",
    )


def precision_figure(plots: Plots, conditions: Sequence[str]) -> Figure:
    """Precision over recall under each condition."""
    return Figure(
        svg(precision_recall_by_condition(plots, conditions)),
        "How many of those classified as patient are patients, as more patients are found. It holds for this test "
        "set's share of patients; where patients are rarer, precision is lower.",
    )


def calibration_figure(plots: Plots, condition: str) -> Figure:
    """The share of patients in each bin of scores, before and after calibration."""
    return Figure(
        svg(calibration_before_and_after(plots, condition, f"under {condition}")),
        "On the thin diagonal a score can be read as a probability. Below it, scores are too high; above, too low. A "
        "dot of few clips strays by chance.",
    )


def decision_figure(plots: Plots, condition: str) -> Figure:
    """The net benefit of the model beside that of treating everybody or nobody."""
    return Figure(
        svg(net_benefit(plots, condition, f"under {condition}")),
        "Where the model's curve is above both others, acting on it is worth more than treating everybody or nobody. "
        "False alarms are weighted by how sure one wants to be before acting.",
    )


def forest_figure(found: Evaluation) -> Figure:
    """The AUC of each subgroup beside that of everybody."""
    everybody = found.headline.metrics.auc
    rows = [Row("everybody", everybody.text, _interval(everybody), head=True)]
    for column, subgroups in found.deployed_model.subgroups.items():
        rows.append(Row(column, "", None, head=True))
        for name, group in subgroups.groups.items():
            people = f"{name} ({group.n_speakers})"
            if group.metrics is None:
                rows.append(Row(people, "too few", None))
            else:
                rows.append(Row(people, group.metrics.auc.text, _interval(group.metrics.auc)))
    return Figure(
        svg(forest(rows, _interval(everybody), f"under {found.threshold_condition}")),
        "A square is a group's AUC, its bar the interval, the number in brackets its speakers; the band is everybody's "
        "interval. A long bar means a small group, not a bad one; a bar that misses the band is a reason to look.",
    )


def _interval(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.mean, estimate.lo, estimate.hi
