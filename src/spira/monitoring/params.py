"""The section of params.yaml by which recordings in use are compared with those of the training."""

from math import ceil
from typing import Annotated, Self

from pydantic import Field, model_validator

from spira.base.section import Resamples, Section, Seed

BY_NUMBER, TOGETHER = 0.5, 0.25  # of the false alarms: for the numbers one by one, for either test of all together


class DriftParams(Section):
    """What counts as drift; docs/how-to/monitor.md has the reason of each number."""

    min_speakers: Annotated[int, Field(strict=True, ge=10, le=1_000_000)]  # in use, and in the reference
    false_alarms: Annotated[float, Field(strict=True, gt=0, le=0.2)]  # share of reports that alarm where nothing moved
    n_shuffles: Annotated[int, Field(strict=True, ge=199, le=100_000)]  # of who is in which sample
    n_resamples: Resamples
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1)]  # of intervals
    seed: Seed

    @model_validator(mode="after")
    def _can_alarm(self) -> Self:
        least = ceil(1 / (TOGETHER * self.false_alarms)) - 1  # so that the least p is small enough
        if self.n_shuffles < least:
            raise ValueError(
                f"n_shuffles: must be at least {least} for false_alarms={self.false_alarms}, or two of the tests could "
                f"never alarm, got {self.n_shuffles}"
            )
        return self
