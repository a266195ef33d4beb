"""The section of params.yaml by which recordings in use are compared with those of the training."""

from typing import Annotated

from pydantic import Field

from spira.base.section import Resamples, Section, Seed


class DriftParams(Section):
    """What counts as drift; docs/how-to/monitor.md has the reason of each number."""

    min_speakers: Annotated[int, Field(strict=True, ge=10, le=1_000_000)]  # in use, and in the reference
    false_alarms: Annotated[float, Field(strict=True, gt=0, le=0.2)]  # share of reports that alarm where nothing moved
    n_shuffles: Annotated[int, Field(strict=True, ge=199, le=100_000)]  # of who is in which sample
    n_resamples: Resamples
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1)]  # of intervals
    seed: Seed
