"""data/probes.json as typed values: what the report and compare read of each model's probes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Read(BaseModel):
    """Figures stand beside the words and are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class ProbeAnswer(_Read):
    """A probe's answer in words."""

    question: str
    verdict: Literal["fail", "warn", "pass", "not run"]
    rule: str
    why: str


class ModelAnswers(_Read):
    """What the probes found of a model."""

    verdict: Literal["fail", "warn", "pass"]  # the worst
    probes: dict[str, ProbeAnswer]  # by name


class ProbeAnswers(_Read):
    """The whole file."""

    corpus: str
    models: dict[str, ModelAnswers]  # by name
