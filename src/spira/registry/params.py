"""The section of params.yaml by which a model is promoted or refused."""

from typing import Annotated

from pydantic import Field

from spira.base.section import Section

# GTO's own rule for the name of an artifact, without its folders: it becomes part of a tag.
RegistryName = Annotated[str, Field(strict=True, pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9_-]{0,60}[a-zA-Z0-9])?$")]
Speakers = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]


class GateParams(Section):
    """What a model must show before it is promoted; docs/reference/gate.md has the reason of each number."""

    registry: RegistryName  # whose versions and stages the tags record; `demo` takes the demo alone, and nothing else
    min_speakers: Speakers  # of each class in the test set
    min_sensitivity: float = Field(ge=0, le=1)  # of the deployed threshold: what its lower bound must reach
    max_seconds: float = Field(gt=0, le=600)  # of CPU time for a recording, the median; decoding is left out
    max_megabytes: int = Field(strict=True, ge=100, le=1_000_000)  # of memory, of the process that scores
    margin: float = Field(gt=0, le=0.5)  # of AUC: what a new model may lack and count as not worse
    confidence: float = Field(ge=0.5, lt=1)  # of the lower bound of the difference of AUC, one-sided
    power: float = Field(ge=0.5, lt=1)  # with which an equal model is to pass, where speakers are counted
    group_min_speakers: Speakers  # of each class in a group that is compared
    group_margin: float = Field(gt=0, le=0.5)  # of AUC: what a group may lose
