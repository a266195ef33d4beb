"""The section of params.yaml by which feedback is judged."""

from typing import Annotated

from pydantic import Field

from spira.base.section import Resamples, Section, Seed

People = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]


class FeedbackParams(Section):
    """When the champion counts as below its promise; docs/how-to/feedback.md has the reasons."""

    min_people: People  # of each class with a label, before anything is said
    least_ratio: float = Field(gt=0, le=1)  # of the shares labelled by answer, the least to the most
    confidence: float = Field(ge=0.5, lt=1)  # of intervals; and that no look of all finds what is not there
    tightest: float = Field(gt=0, le=1)  # share of the promise's information at which its bounds are tightest
    n_bins: int = Field(strict=True, ge=2, le=100)  # of equal width, for calibration
    n_resamples: Resamples  # of the people, for intervals at this look
    seed: Seed

    @property
    def alpha(self) -> float:
        """Of one bound on one share: sensitivity and specificity are watched, and have half of the errors each."""
        return (1 - self.confidence) / 2
