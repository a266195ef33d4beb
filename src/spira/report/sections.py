"""The sections of the report: each answers a question, and says how to read the answer."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from spira.base.bounded_yaml import flat
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Calibration, Estimate, Evaluation, GroupMetrics, title
from spira.probes.results import ProbeAnswer
from spira.report.blocks import Badge, Code, Line, Section, Strong, Table, Unbroken, sentence
from spira.report.figures import (
    calibration_figure,
    decision_figure,
    forest_figure,
    models_figure,
    precision_figure,
    roc_figure,
)
from spira.report.plots import Plots

_RULES = {
    "youden": "the one with the best sensitivity + specificity (Youden's index)",
    "sensitivity": "the highest that finds at least {sensitivity:.0%} of the patients' clips",
    "cost": "the one that costs least where a missed patient costs {cost_of_a_miss:g} false alarms",
}
_METHODS = {"temperature": "temperature scaling", "isotonic": "isotonic regression"}


def side_by_side_section(found: Evaluation, p: EvaluateParams) -> Section:
    """How the models differ on the same clips, on whom they were tested, and how sure the numbers are."""
    size = found.deployed_model.test
    people = f"{size.n_speakers} speakers ({size.n_patients} patients), {size.n_clips} clips"
    tested, chosen = f"Test: {people}, not used for training.", "validation clips"
    if size.n_folds > 1:
        tested = (
            f"{size.n_folds}-fold cross-validation: {people}; each clip was scored by models that were not trained on "
            "its speaker."
        )
        chosen = "each fold's own validation clips"
    people_and_trainings = (
        f"Corpus: {found.corpus}. {tested} Mean over trainings: ",
        *_listed([(f"{model.test.n_seeds} of ", Code(name)) for name, model in found.models.items()]),
        f"; in brackets the {100 * p.confidence:g}% interval over resampled speakers. Thresholds were chosen on "
        f"{chosen} under ",
        Code(found.threshold_condition),
        ". The ensemble is the mean score over a model's trainings, at a threshold of its own. A difference is of the "
        "same clips; its interval allows for other speakers and other trainings.",
    )
    head, rows = found.table()
    table = Table(head, [[condition, name, *map(Unbroken, cells)] for condition, name, *cells in rows])
    others = [name for name in found.models if name != found.deployed]
    differences = [_difference(found, other) for other in others]
    return Section("side-by-side", "Side by side", [*differences, people_and_trainings, table], [models_figure(found)])


def _difference(found: Evaluation, other: str) -> Line:
    """Whether another model is better than the deployed one, in a sentence that begins with the answer."""
    less = found.beside_deployed(other).get(found.threshold_condition)
    if less is None:
        return (
            Strong("No comparison"),
            *(" with ", Code(other), ": an interval needs two patients and two controls in the test set."),
        )
    why = ""
    if less.lo <= 0 <= less.hi:
        answer = "No evidence of a difference"
    elif less.over_trainings:
        answer = f"{other if less.lo > 0 else found.deployed} is better"
    else:
        answer, why = "No verdict", ". A network was trained once, so another seed may explain it"
    models = ("the AUC of ", Code(other), " less that of ", Code(found.deployed))
    measured = (" is ", Unbroken(less.text), " under ", Code(found.threshold_condition))
    return (Strong(answer), ": ", *models, *measured, f"{why}.")


def _listed(parts: Sequence[Sequence[str]]) -> list[str]:
    """The parts of each, with commas between them."""
    return [piece for i, part in enumerate(parts) for piece in ([", "] * (i > 0) + [*part])]


def results_section(found: Evaluation, plots: Plots) -> Section:
    """The metrics of the deployed model under every condition."""
    head, rows = found.deployed_model.table()
    table = Table(head, [[name, *map(Unbroken, cells)] for name, *cells in rows])
    names = list(found.deployed_model.conditions)
    text = "From here on, everything is of the model that is deployed."
    figures = [roc_figure(plots, names), precision_figure(plots, names)]
    return Section("results", "Results", [text, table], figures, found.deployed)


def threshold_section(found: Evaluation, p: EvaluateParams) -> Section:
    """By which rule the threshold was chosen, and what the band about it leaves undecided."""
    rule, threshold = _RULES[p.threshold.rule].format(**p.threshold.model_dump()), found.deployed_model.threshold
    text = (
        f"Among the validation scores, each training takes {rule} as its threshold: {threshold.mean:.3f} on average "
        f"(sd {threshold.sd:.3f} over trainings). Test clips do not affect it. A score less than "
        f"{p.inconclusive_width / 2:g} from it can be called inconclusive rather than patient or control; the two "
        "columns on the right are for the other clips."
    )
    rows = []
    for name, condition in found.deployed_model.conditions.items():
        band = condition.inconclusive
        rows.append([name, *map(_estimate, (band.share, band.sensitivity, band.specificity))])
    head = ["condition", "share inconclusive", "sensitivity elsewhere", "specificity elsewhere"]
    return Section("threshold", "Threshold", [text, Table(head, rows)], model=found.deployed)


def operating_section(found: Evaluation, p: EvaluateParams) -> Section:
    """What other thresholds could achieve, and what a classification means where patients are rarer."""
    head = [
        "condition",
        f"sensitivity at {p.at_specificity:.0%} specificity",
        f"specificity at {p.at_sensitivity:.0%} sensitivity",
        "average precision",
    ]
    rows = []
    for name, condition in found.deployed_model.conditions.items():
        at = condition.operating_points
        points = (at.sensitivity_at_specificity, at.specificity_at_sensitivity, at.average_precision)
        rows.append([name, *map(_estimate, points)])
    values = [
        [share, _estimate(values.ppv), _estimate(values.npv)]
        for share, values in found.headline.predictive_values.items()
    ]
    blocks: list[Line | Table] = [
        "These points are read off the test clips' own curves; no threshold was chosen for them on validation.",
        Table(head, rows),
        (
            "Predictive values of a classification under ",
            Code(found.threshold_condition),
            ", by the share of patients among the people tested. Positive: of the clips classified as patient, the "
            "share that are. Negative: of the clips classified as control, the share that are.",
        ),
        Table(["share of patients", "positive predictive value", "negative predictive value"], values),
    ]
    return Section("operating-points", "Operating points", blocks, model=found.deployed)


def calibration_section(found: Evaluation, plots: Plots, p: EvaluateParams) -> Section:
    """Whether a score can be read as a probability, before and after calibration."""
    name = found.threshold_condition
    text = (
        "Scores are calibrated if, of the clips with a score of 0.8, eight in ten are patients'. "
        f"For each training, {_METHODS[p.calibration.method]} was fitted on validation clips under ",
        Code(name),
        ": it helps as far as those clips resemble the test clips. It holds for the test set's share of patients, and "
        "no classification depends on it. Brier score: mean squared error, lower is better. Expected calibration "
        "error: never 0 for so few clips; its interval is what as many people would give. Slope: 1 is calibrated, "
        "below 1 the scores are too confident. Intercept: 0 is calibrated, above 0 the scores are too low.",
    )
    rows = [
        [condition, when, *_calibration_cells(calibration)]
        for condition, values in found.deployed_model.conditions.items()
        for when, calibration in values.calibration
    ]
    head = ["condition", "calibration", "Brier score", "expected calibration error", "slope", "intercept"]
    figures = [calibration_figure(plots, name), decision_figure(plots, name)]
    return Section("calibration", "Calibration", [text, Table(head, rows)], figures, found.deployed)


def _calibration_cells(found: Calibration) -> list[str]:
    spreads = (found.slope.mean, found.intercept.mean)
    return [
        _estimate(found.brier),
        _estimate(found.expected_error),
        *("–" if isnan(mean) else f"{mean:.3f}" for mean in spreads),
    ]


def subgroup_section(found: Evaluation, p: EvaluateParams) -> Section:
    """For whom the model works better or worse."""
    metrics = tuple(GroupMetrics.model_fields)
    rows: list[list[Line]] = []
    for column, subgroups in found.deployed_model.subgroups.items():
        for name, group in subgroups.groups.items():
            people = f"{group.n_speakers} ({group.n_patients})"
            cells = ["too few"] * len(metrics)
            if group.metrics is not None:
                cells = [_estimate(estimate) for _, estimate in group.metrics]
            rows.append([column, name, people, str(group.n_clips), *cells])
        if subgroups.gap is not None:
            gaps = [(_estimate(gap.difference), f", {gap.worst} lowest") for _, gap in subgroups.gap]
            rows.append([column, Strong("gap"), "", "", *gaps])
    text = (
        "Under ",
        Code(found.threshold_condition),
        ". A gap whose interval includes 0 is no evidence of a difference. Between more than two groups it is the gap "
        "of the best and the worst, picked after looking, so it exaggerates the difference. Too few: fewer than "
        f"{p.min_speakers} patients or {p.min_speakers} controls.",
    )
    head = ["column", "group", "speakers (patients)", "clips", *map(title, metrics)]
    table = Table(head, rows, (Code("evaluate.subgroups"), " names no column."))
    return Section("subgroups", "Subgroups", [text, table], [forest_figure(found)], found.deployed)


def probe_section(deployed: str, probes: Mapping[str, Mapping[str, ProbeAnswer]]) -> Section:
    """What could be predicted without breathing, and what the models rely on.

    Args:
        deployed: the model whose reasons are shown.
        probes: by model and probe.
    """
    text = (
        "What could be predicted without any sound of breathing, and what a model relies on: a verdict a model, with "
        "the reasons of ",
        Code(deployed),
        ", the model that is deployed. If a probe failed, do not trust that model's numbers.",
    )
    rows: list[list[Line]] = []
    for name, probe in probes[deployed].items():
        verdicts = [Badge(answers[name].verdict) if name in answers else "–" for answers in probes.values()]
        rows.append([name, *verdicts, *map(sentence, (probe.question, probe.why, probe.rule))])
    head = ["probe", *probes, "question", f"why ({deployed})", "rule"]
    return Section("probes", "Probes", [text, Table(head, rows)])


def data_section(subsets: Sequence[Sequence[str]]) -> Section:
    """How the corpus was split: the table of subsets, its head first."""
    return Section("data", "Data", ["The corpus was split by speaker.", Table(subsets[0], subsets[1:])])


def parameter_section(params: Mapping[str, Any]) -> Section:
    """Every parameter, by its dotted key."""
    rows = [[name, str(value)] for name, value in flat(params).items()]
    return Section("parameters", "Parameters", [Table(["parameter", "value"], rows)])


def lineage_section(files: Sequence[Sequence[str]], packages: Sequence[Sequence[str]]) -> Section:
    """What the report was made from.

    Args:
        files: (path, md5) of each file read.
        packages: (name, version) of each package.
    """
    text = (
        "The files that this page was made from, with the hash that ",
        Code("dvc.lock"),
        " has too. That file also has the hashes of what these were made from: recordings, code, models. No file can "
        "name the commit that contains it: ",
        Code("git log -1 -- dvc.lock"),
        " does.",
    )
    tables = [Table(["file", "md5"], files), Table(["package", "version"], packages)]
    return Section("lineage", "Lineage", [text, *tables])


def _estimate(estimate: Estimate) -> Unbroken:
    return Unbroken(estimate.text)
