"""The section of params.yaml that says when to train again."""

from typing import Annotated

from pydantic import Field

from spira.base.section import Count, Section

InARow = Annotated[int, Field(strict=True, ge=1, le=100)]
Days = Annotated[int, Field(strict=True, ge=1, le=36_525)]  # a century


class RetrainParams(Section):
    """The rules of `spira retrain`; docs/how-to/retrain.md has the reason of each number."""

    new_speakers: Count  # of each class, who are in the corpus and were not when the champion was trained
    drifts_in_a_row: InARow  # reports of drift about the champion, one a day
    max_age_days: Days  # of the champion, since it was registered
