"""What follows the headline in the report: a section a question, each with a sentence that says how to read it."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from spira.evaluation.markdown import Marked, table
from spira.evaluation.params import EvaluateParams
from spira.evaluation.subgroups import JUDGED
from spira.report.headline import estimate, title

Numbers = Mapping[str, float]

_RULES = {
    "youden": "the one with the best sensitivity + specificity (Youden's index)",
    "sensitivity": "the highest that finds at least {sensitivity:.0%} of the patients' clips",
    "cost": "the one that costs least where a missed patient costs {cost_of_a_miss:g} false alarms",
}

_METHODS = {"temperature": "temperature scaling", "isotonic": "isotonic regression"}


def sections(threshold: Numbers, questions: Mapping[str, Mapping[str, Any]], p: EvaluateParams) -> str:
    """All of them.

    Args:
        threshold: ``mean`` and ``sd`` over all models.
        questions: of ``judging.by_question``, and ``subgroups``.
    """
    values = questions["predictive_values"][p.threshold_condition]
    parts = [
        threshold_section(threshold, questions["inconclusive"], p),
        operating_section(questions["operating_points"], values, p),
        calibration_section(questions["calibration"], p),
        subgroup_section(questions["subgroups"], p),
    ]
    return "\n\n".join(parts) + "\n"


def threshold_section(threshold: Numbers, inconclusive: Mapping[str, Numbers], p: EvaluateParams) -> str:
    """By which rule the threshold was chosen, and what is left undecided about it.

    Args:
        threshold: ``mean`` and ``sd`` over all models.
        inconclusive: by condition, ``estimates`` of ``thresholds.inconclusive``.
    """
    rule = _RULES[p.threshold.rule].format(**p.threshold.model_dump())
    keys = ("share", "sensitivity", "specificity")
    rows = [[name, *(estimate(of, key) for key in keys)] for name, of in inconclusive.items()]
    return (
        f"## Threshold\n\nOf validation's scores, each model takes {rule}: {threshold['mean']:.3f} on average "
        f"(sd {threshold['sd']:.3f} over models). No test clip moves it. A score less than "
        f"{p.inconclusive_width / 2:g} from it can be called inconclusive rather than patient or control; the columns "
        "to the right are of the other clips.\n\n"
        + table(["condition", "share inconclusive", "sensitivity elsewhere", "specificity elsewhere"], rows)
    )


def operating_section(points: Mapping[str, Numbers], values: Numbers, p: EvaluateParams) -> str:
    """What other thresholds could do, and what a call means where patients are rarer than in the test set.

    Args:
        points: by condition, ``estimates`` of ``operating.operating_points``.
        values: of the condition that chose the threshold, ``estimates`` of ``operating.predictive_values``.
    """
    head = [
        "condition",
        f"sensitivity at {p.at_specificity:.0%} specificity",
        f"specificity at {p.at_sensitivity:.0%} sensitivity",
        "average precision",
    ]
    keys = ("sensitivity_at_specificity", "specificity_at_sensitivity", "average_precision")
    rows = [[name, *(estimate(of, key) for key in keys)] for name, of in points.items()]
    kinds = ("ppv", "npv")
    shares = [[f"{share:g}", *(estimate(values, f"{kind}_at_{share:g}") for kind in kinds)] for share in p.prevalences]
    return (
        "## Operating points\n\nRead off the test clips' own curves, so no threshold is promised for them.\n\n"
        + table(head, rows)
        + f"\n\nOf the clips that the threshold calls patient under `{p.threshold_condition}`, the share that are "
        "(positive predictive value), and of those it calls control (negative), where patients are this share of "
        "the tested:\n\n"
        + table(["share of patients", "positive predictive value", "negative predictive value"], shares)
    )


def calibration_section(calibration: Mapping[str, Mapping[str, Numbers]], p: EvaluateParams) -> str:
    """Whether a score can be read as a probability, before and after calibration.

    Args:
        calibration: by condition, by ``before`` and ``after``, of ``recalibration.calibration``.
    """
    rows = [
        [
            condition,
            when,
            *(estimate(of, key) for key in ("brier", "expected_error")),
            _number(of["slope"]),
            _number(of["intercept"]),
        ]
        for condition, pair in calibration.items()
        for when, of in pair.items()
    ]
    return (
        "## Calibration\n\nA score is calibrated where, of the clips given 0.8, eight in ten are patients'. "
        f"Each model's own {_METHODS[p.calibration.method]} was fitted on validation under "
        f"`{p.threshold_condition}`: it can be no better than those clips are like the test's. It holds at the "
        "test set's share of patients, and no call depends on it. Brier score: mean squared error, lower is better. "
        "Expected calibration error: never 0 for so few clips; its interval is of what as many people give. "
        "Slope: 1 is calibrated, less is too sure. Intercept: 0 is calibrated, above 0 the scores are too low.\n\n"
        + table(["condition", "calibration", "Brier score", "expected calibration error", "slope", "intercept"], rows)
    )


def subgroup_section(columns: Mapping[str, Any], p: EvaluateParams) -> str:
    """For whom it is better or worse.

    Args:
        columns: of ``subgroups.subgroups``.
    """
    rows: list[list[str]] = []
    for column, of in columns.items():
        for value, found in of["groups"].items():
            people = f"{found['n_speakers']} ({found['n_patients']})"
            cells = [found.get("verdict", "")] * len(JUDGED)
            if "verdict" not in found:
                cells = [estimate(found, name) for name in JUDGED]
            rows.append([column, value, people, str(found["n_clips"]), *cells])
        if of["gap"]:
            gaps = [f"{estimate(of['gap'][name], 'gap')}, {of['gap'][name]['worst']} lowest" for name in JUDGED]
            rows.append([column, Marked("**gap**"), "", "", *gaps])
    said = (
        f"## Subgroups\n\nUnder `{p.threshold_condition}`. A gap whose interval holds 0 is no evidence of one; "
        "between more than two groups it is that of the best and the worst, picked after looking, so it flatters the "
        f"difference. Too few: under {p.min_speakers} patients or {p.min_speakers} controls.\n\n"
    )
    head = ["column", "group", "speakers (patients)", "clips", *map(title, JUDGED)]
    return said + (table(head, rows) if rows else "`evaluate.subgroups` names no column.")


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3f}"
