"""feedback.json as typed values: what `spira feedback` finds, from which its page and its Markdown are made."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spira.evaluation.results import Number

Verdict = Literal["as promised", "below its promise", "too few"]
AS_PROMISED: Verdict = "as promised"
BELOW: Verdict = "below its promise"
TOO_FEW: Verdict = "too few"
Metric = Literal["auc", "sensitivity", "specificity"]
Watch = Literal["sensitivity", "specificity"]
StratumName = Literal["positive", "inconclusive above", "inconclusive below", "negative"]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Part):
    """Of people, where nothing else is said. Only people with a score count as answered."""

    answered: Count
    labelled_patients: Count
    labelled_controls: Count
    positive: Count  # answered with a score at the threshold or above
    positive_labelled: Count
    negative: Count
    negative_labelled: Count
    inconclusive: Count  # within the band about the threshold; they are among the two above
    inconclusive_labelled: Count
    without_score: Count  # every recording was refused
    in_corpus: Count  # with a score; the model may have been trained on them, so they are not among the answered
    repeated_answers: Count  # to somebody who had one before
    other_packages_answers: Count  # lines of the log, by other packages
    unknown_ids: Count  # ids in the feedback, of nobody who was answered
    other_packages_ids: Count  # ids in the feedback, of people whom another package answered

    @property
    def labelled(self) -> int:
        """People whose truth is known."""
        return self.labelled_patients + self.labelled_controls


class Stratum(_Part):
    """People who were answered alike, of whom each with a label stands for all."""

    name: StratumName
    answered: Count
    labelled: Count


class Decile(_Part):
    """A tenth of the people who were answered, by score."""

    low: Number
    high: Number
    mean: Number
    answered: Count
    labelled: Count


class Interval(_Part):
    """An estimate and its interval over people, at this look alone."""

    value: Number
    lo: Number
    hi: Number

    @property
    def text(self) -> str:
        """``0.867 [0.719, 0.943]``."""
        return f"{self.value:.3f} [{self.lo:.3f}, {self.hi:.3f}]"


class Compared(_Part):
    """A metric on the test set and in use."""

    promised: Interval
    used: Interval


class Watched(_Part):
    """A share that must not fall: its promise less what it is in use, with bounds that hold at all looks."""

    n_promised: Count  # people of the class in the test set
    n_used: Count  # whose truth is known
    fall: Number
    lo: Number  # above 0: below its promise
    hi: Number
    least_fall: Number  # that this test set could ever show, with feedback without end


class Bin(_Part):
    """People with scores in one of the bins of equal width."""

    mean_score: Number
    share_patients: Number
    people: Count


class Calibrated(_Part):
    """Scores beside shares of patients."""

    mean_score: Number
    share_patients: Number
    bins: tuple[Bin, ...]


class Performance(_Part):
    """What the champion does on the people whose truth is known, beside its promise."""

    metrics: dict[Metric, Compared]
    watched: dict[Watch, Watched]
    calibration_promised: Calibrated
    calibration_used: Calibrated


class Feedback(_Part):
    """feedback.json."""

    schema_version: Literal[1]
    package: str  # SHA-256
    day: date  # on which it was looked
    verdict: Verdict
    reason: str  # sentences
    threshold: Number
    confidence: Number
    counts: Counts
    sources: dict[str, Count]  # by who knew the truth, labelled people; none of fewer than five
    strata: tuple[Stratum, ...]  # everybody who was answered is in one of them; none is empty
    labelled_ratio: Number | None  # of the shares labelled in the strata, the least to the most
    deciles: tuple[Decile, ...]
    performance: Performance | None  # where there are too few, or too one-sidedly labelled people: none
