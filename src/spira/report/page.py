"""What evaluate and probe found -> the parts of the page and of its Markdown twin, in the order a reader asks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spira.base.bounded_yaml import flat
from spira.evaluation.markdown import Marked, table
from spira.evaluation.params import EvaluateParams
from spira.plots.charts import Row, forest
from spira.plots.svg import svg
from spira.report.headline import estimate, markdown_table, opening
from spira.report.plots import (
    Plots,
    calibration_before_and_after,
    net_benefit,
    precision_recall_by_condition,
    roc_by_condition,
)
from spira.report.sections import sections


class Figure(NamedTuple):
    """A drawing and the sentence that says how to read it."""

    svg: str
    reading: str


class Part(NamedTuple):
    """A heading, Markdown that may hold tables, and figures that the Markdown twin goes without."""

    title: str
    text: str
    figures: Sequence[Figure] = ()


def verdict(tree: Mapping[str, Any], probes: Mapping[str, Any], condition: str) -> tuple[str, str]:
    """(pass, warn or fail, one sentence): a probe that fails comes before any number, and by its name."""
    of, by_verdict = tree[condition], _by_verdict(probes)
    told = f"AUC {estimate(of, 'auc')} under `{condition}`"
    if failed := by_verdict.get("fail"):
        return "fail", f"Not to be believed: {_named(failed)} failed. {told} may be of something else than breath."
    if of["auc_lo"] <= 0.5:
        return "fail", f"No evidence that it tells patients from controls: {told} holds 0.5, which is guessing."
    said = f"It tells patients from controls better than guessing: {told}."
    if warned := by_verdict.get("warn"):
        return "warn", f"{said} With a doubt: {_named(warned)}."
    if not by_verdict.get("pass"):
        return "warn", f"{said} No probe has run, so by what it tells them is unknown."
    return "pass", f"{said} Every probe that ran was passed."


def _by_verdict(probes: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, probe in probes["probes"].items():
        found.setdefault(probe["verdict"], []).append(name)
    return found


def _named(names: Sequence[str]) -> str:
    kind = "the probe" if len(names) == 1 else "the probes"
    return f"{kind} {', '.join(f'`{name}`' for name in names)}"


def parts(
    tree: Mapping[str, Any],
    probes: Mapping[str, Any],
    plots: Plots,
    subsets: Sequence[Sequence[str]],
    params: Mapping[str, Any],
    p: EvaluateParams,
) -> list[Part]:
    """Everything but the verdict, the clips and the lineage.

    Args:
        tree: evaluation.json, undetermined numbers as NaN.
        probes: probes.json.
        plots: by the name of its file.
        subsets: the table of subsets, its head first.
        params: params.yaml.
        p: its section ``evaluate``.
    """
    conditions = {name: of for name, of in tree.items() if isinstance(of, Mapping) and "auc" in of}
    names, main = list(conditions), p.threshold_condition
    sizes = tree["test"]
    people = (sizes["n_speakers"], sizes["n_patients"], sizes["n_clips"])
    said = opening(tree["corpus"], people, sizes["n_folds"], sizes["n_seeds"], p.confidence, main)
    found = dict(map(_split, sections(tree["threshold"], tree, p).split("\n\n## ")))
    return [
        Part("Results", f"{said}\n\n{markdown_table(conditions)}", [_roc(plots, names), _precision(plots, names)]),
        Part("Threshold", found["Threshold"]),
        Part("Operating points", found["Operating points"]),
        Part("Calibration", found["Calibration"], [_reliability(plots, main), _decision(plots, main)]),
        Part("Subgroups", found["Subgroups"], _forests(tree["subgroups"], conditions[main], main)),
        Part("Probes", _probes(probes)),
        Part("Data", "How the corpus was split, by speaker.\n\n" + table(subsets[0], subsets[1:])),
        Part("Parameters", table(["parameter", "value"], [[name, value] for name, value in flat(params).items()])),
    ]


def _split(section: str) -> tuple[str, str]:
    title, _, text = section.removeprefix("## ").partition("\n\n")
    return title, text.strip()


def _roc(plots: Plots, names: Sequence[str]) -> Figure:
    return Figure(
        svg(roc_by_condition(plots, names)),
        "Each point is a threshold. The nearer a curve comes to the upper left corner, the better; guessing lies on "
        "the thin diagonal. The area below a curve is its AUC.",
    )


def _precision(plots: Plots, names: Sequence[str]) -> Figure:
    return Figure(
        svg(precision_recall_by_condition(plots, names)),
        "How many of those called patient really are, as more patients are found. It holds at this test set's share "
        "of patients; where patients are rarer, precision is lower.",
    )


def _reliability(plots: Plots, condition: str) -> Figure:
    return Figure(
        svg(calibration_before_and_after(plots, condition, f"under {condition}")),
        "On the thin diagonal a score can be read as a probability. Below it, scores are too high; above, too low. A "
        "dot of few clips strays by chance.",
    )


def _decision(plots: Plots, condition: str) -> Figure:
    return Figure(
        svg(net_benefit(plots, condition, f"under {condition}")),
        "Where the model's curve is above both others, acting on it is worth more than treating everybody or nobody. "
        "False alarms are weighed by how sure one wants to be before acting.",
    )


def _forests(columns: Mapping[str, Any], everybody: Mapping[str, float], condition: str) -> list[Figure]:
    rows = [Row("everybody", estimate(everybody, "auc"), _interval(everybody), head=True)]
    for column, of in columns.items():
        rows.append(Row(column, "", None, head=True))
        for value, found in of["groups"].items():
            people = f"{value} ({found['n_speakers']})"
            judged = "auc" in found
            rows.append(
                Row(people, estimate(found, "auc") if judged else "too few", _interval(found) if judged else None)
            )
    chart = forest(rows, _interval(everybody), f"under {condition}")
    reading = (
        "A square is a group's AUC, its bar the interval, the number in brackets its speakers; the band is everybody's "
        "interval. A bar that reaches far is a small group, not a bad one; one that misses the band is a reason to "
        "look."
    )
    return [Figure(svg(chart), reading)]


def _interval(of: Mapping[str, float]) -> tuple[float, float, float]:
    return of["auc"], of["auc_lo"], of["auc_hi"]


def _probes(probes: Mapping[str, Any]) -> str:
    rows = [
        [name, Marked(f"**{probe['verdict']}**"), probe["question"], probe["why"], probe["rule"]]
        for name, probe in probes["probes"].items()
    ]
    return (
        "What could be told without any breath, and what the model follows. A failed probe takes the word from every "
        "number above.\n\n" + table(["probe", "verdict", "question", "why", "rule"], rows)
    )
