"""The parameters of evaluate and report."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spira.base.section import Columns, Count, FolderName, Resamples, Section, Seed
from spira.features.conditions import Condition

BEST = "best"  # of evaluate.deploy: the model of the highest AUC on validation clips
_NO_GROUPS = ("clip_id", "speaker_id", "digest", "shard", "start", "label")
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]


class ThresholdParams(Section):
    rule: Literal["youden", "sensitivity", "cost"]
    sensitivity: float = Field(gt=0, le=1)  # at least, among validation's patients' clips; read by that rule
    cost_of_a_miss: float = Field(gt=0, le=10**6)  # a false alarm costs 1; read by the rule cost


class CalibrationParams(Section):
    method: Literal["temperature", "isotonic"]
    n_bins: int = Field(strict=True, ge=2, le=100)  # bins of equal width, for the expected error and its curve


class EvaluateParams(Section):
    deploy: FolderName  # BEST, or the name of a model
    threshold_condition: Condition  # under which validation clips choose the threshold
    threshold: ThresholdParams
    inconclusive_width: float = Field(ge=0, le=1)  # width of the band about the threshold, in score; 0 is none
    at_specificity: Share  # at which the best sensitivity is read off the test clips' curve
    at_sensitivity: Share  # and the reverse
    # shares of patients; predictive values are stated for each
    prevalences: tuple[Share, ...] = Field(min_length=1, max_length=100)
    calibration: CalibrationParams
    subgroups: Columns  # columns of the table of clips
    # years; at each the next band begins
    age_bands: tuple[Annotated[int, Field(gt=0, le=150)], ...] = Field(min_length=1, max_length=100)
    min_speakers: Count  # of each class, for a group to have metrics
    n_worst: Count  # clips listed as most confidently wrong
    n_resamples: Resamples  # of the speakers, for intervals
    confidence: float = Field(gt=0, lt=1)
    seed: Seed

    @model_validator(mode="after")
    def _groups(self) -> Self:
        for name in self.subgroups:
            if name in _NO_GROUPS:
                raise ValueError(f"subgroups: must group people, not name a person or the label, got {name!r}")
        for key in ("subgroups", "age_bands"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: must differ from each other, got {list(values)}")
        if list(self.age_bands) != sorted(self.age_bands):
            raise ValueError(f"age_bands: must rise, got {list(self.age_bands)}")
        return self


class ReportParams(Section):
    embed_audio: bool  # whether the page holds the sound of the worst clips; the demo's is always there
