"""data/evaluation.json as typed values: evaluate writes them; the report, the cards and compare read them.

Every number is written with six decimals. A number that the clips do not determine is NaN here and a word in the file.
"""

from math import isnan, nan
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator

from spira.evaluation.metrics import UNDETERMINED


def _read(value: object) -> object:
    return nan if value == UNDETERMINED else value


def written_number(value: float) -> float | str:
    """Six decimals, and a word in place of NaN: nobody reads the seventh, and JSON has no NaN."""
    return UNDETERMINED if isnan(value) else round(value, 6)


Number = Annotated[float, BeforeValidator(_read), PlainSerializer(written_number, when_used="json")]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Spread(_Result):
    """A mean over trainings, and its sample standard deviation over them."""

    mean: Number
    sd: Number


class Estimate(_Result):
    """A metric: its mean over seeds, its interval over speakers (lo to hi) and its spread over seeds."""

    mean: Number
    lo: Number
    hi: Number
    sd: Number

    @property
    def text(self) -> str:
        """``0.867 [0.719, 0.943]``; a dash where the clips do not determine it."""
        return "–" if isnan(self.mean) else f"{self.mean:.3f} [{self.lo:.3f}, {self.hi:.3f}]"


class Metrics(_Result):
    """What is read first of a condition; a field is a column of the report's first table."""

    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    f1: Estimate


class Inconclusive(_Result):
    """The band about the threshold: the share of clips inside, and the metrics of those outside."""

    share: Estimate
    sensitivity: Estimate
    specificity: Estimate


class OperatingPoints(_Result):
    """Points of the test clips' own curves."""

    sensitivity_at_specificity: Estimate
    specificity_at_sensitivity: Estimate
    average_precision: Estimate


class PredictiveValues(_Result):
    """What a classification is worth at one prevalence."""

    ppv: Estimate
    npv: Estimate


class Calibration(_Result):
    """How far scores are from probabilities."""

    brier: Estimate
    expected_error: Estimate
    slope: Spread
    intercept: Spread


class BeforeAfter(_Result):
    """The raw scores, and the same after calibration."""

    before: Calibration
    after: Calibration


class Condition(_Result):
    """All that was measured of the test clips under one condition of noise."""

    metrics: Metrics
    inconclusive: Inconclusive
    operating_points: OperatingPoints
    predictive_values: dict[str, PredictiveValues]  # by prevalence
    calibration: BeforeAfter


class GroupMetrics(_Result):
    """The metrics by which groups are compared."""

    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate


class Group(_Result):
    """The test clips that share a value of a column."""

    n_speakers: int
    n_patients: int
    n_clips: int
    metrics: GroupMetrics | None  # None: too few people of a class


class Gap(_Result):
    """The best group less the worst, by one metric."""

    best: str
    worst: str
    difference: Estimate


class Gaps(_Result):
    """The gap of each metric of ``GroupMetrics``."""

    auc: Gap
    sensitivity: Gap
    specificity: Gap


class Subgroups(_Result):
    """One column of the table of clips."""

    groups: dict[str, Group]  # by value
    gap: Gaps | None  # None: fewer than two groups have metrics


class Fold(_Result):
    """What one fold found by itself, as means over seeds, so that a fold which stands out is seen."""

    auc: Number
    threshold: Number


class TestSize(_Result):
    """On whom it was tested, and how often."""

    n_speakers: int
    n_patients: int
    n_clips: int
    n_seeds: int
    n_folds: int


class ModelEvaluation(_Result):
    """All that evaluate found of one model."""

    validation_auc: Number  # under the threshold's condition; models and settings are chosen by it, test stays unseen
    threshold: Spread  # over trainings
    test: TestSize
    conditions: dict[str, Condition]
    ensemble: dict[str, Metrics] | None  # by condition, of the mean score over seeds; None for a single training
    folds: dict[str, Fold]  # empty where the corpus is split once
    subgroups: dict[str, Subgroups]  # by column, under the threshold's condition

    @property
    def aucs(self) -> dict[str, float]:
        """By condition, the AUC on test clips."""
        return {condition: found.metrics.auc.mean for condition, found in self.conditions.items()}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(head, rows): a row a condition, a column a metric."""
        names = list(Metrics.model_fields)
        rows = [
            [condition, *(getattr(found.metrics, name).text for name in names)]
            for condition, found in self.conditions.items()
        ]
        return ["condition", *map(title, names)], rows


class PairedDifference(_Result):
    """One model's AUC less another's on the same test clips, and its interval over speakers and trainings."""

    difference: Number
    lo: Number
    hi: Number
    over_trainings: bool  # False: a model that is drawn has one training, so the interval is over speakers alone

    @property
    def text(self) -> str:
        """``+0.020 [-0.010, +0.050]``."""
        return f"{self.difference:+.3f} [{self.lo:+.3f}, {self.hi:+.3f}]"

    def turned(self) -> "PairedDifference":
        """The second model's less the first's."""
        return self.model_copy(update={"difference": -self.difference, "lo": -self.hi, "hi": -self.lo})


class Evaluation(_Result):
    """All that evaluate found: of every model, how they differ, and which of them is deployed."""

    corpus: str
    threshold_condition: str  # under which validation chose the thresholds: its test metrics come first
    deployed: str  # a key of models, chosen without the test set
    deployed_because: str  # a sentence; names stand between backticks
    models: dict[str, ModelEvaluation]
    # by model, another model and condition: the first's AUC less the second's; each pair once. Empty where people are
    # too few for an interval
    differences: dict[str, dict[str, dict[str, PairedDifference]]]

    @model_validator(mode="after")
    def _deployed_is_known(self) -> Self:
        if self.deployed not in self.models:
            raise ValueError(f"{self.deployed} is deployed, and was not evaluated")
        return self

    @property
    def deployed_model(self) -> ModelEvaluation:
        """What everything but the comparison of the models is about."""
        return self.models[self.deployed]

    @property
    def headline(self) -> Condition:
        """What is read first."""
        return self.deployed_model.conditions[self.threshold_condition]

    def columns(self) -> dict[str, Any]:
        """data/metrics.json: the few numbers that are columns of ``dvc exp show``, each metric a group."""
        name, metrics, model = self.threshold_condition, self.headline.metrics, self.deployed_model
        interval = {f"{name}_lo": metrics.auc.lo, f"{name}_hi": metrics.auc.hi}
        return {
            "corpus": self.corpus,
            "deployed": self.deployed,
            "auc": model.aucs | interval | {"validation": model.validation_auc},
            "sensitivity": {name: metrics.sensitivity.mean},
            "specificity": {name: metrics.specificity.mean},
            "models": {
                name: {"auc": {"validation": found.validation_auc} | found.aucs} for name, found in self.models.items()
            },
        }

    def beside_deployed(self, model: str) -> dict[str, PairedDifference]:
        """By condition, the AUC of another model less that of the deployed one; {} where they were not paired."""
        if turned := self.differences.get(self.deployed, {}).get(model):
            return {condition: found.turned() for condition, found in turned.items()}
        return self.differences.get(model, {}).get(self.deployed, {})

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(head, rows): a row a condition and model, side by side; a dash where there is no such number."""
        rows = []
        for condition in self.deployed_model.conditions:
            for model, found in self.models.items():
                metrics, less = found.conditions[condition].metrics, self.beside_deployed(model).get(condition)
                together = found.ensemble[condition].auc.text if found.ensemble else "–"
                aucs = (metrics.auc.text, less.text if less else "–", together)
                rows.append([condition, model, *aucs, metrics.sensitivity.text, metrics.specificity.text])
        head = ["AUC", f"AUC less that of {self.deployed}", "AUC of the ensemble", "sensitivity", "specificity"]
        return ["condition", "model", *head], rows


def title(metric: str) -> str:
    """The head of a metric's column."""
    return metric.upper() if metric in ("auc", "f1") else metric
