"""data/probes.json as typed values: what the report reads of each probe."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ProbeAnswer(BaseModel):
    """A probe's answer in words; its figures stand beside them and are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    question: str
    verdict: Literal["fail", "warn", "pass", "not run"]
    rule: str
    why: str


class ModelAnswers(BaseModel):
    """All answers about one model, by the name of the probe."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    probes: dict[str, ProbeAnswer]


class ProbeAnswers(BaseModel):
    """All answers, by the name of the model."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    models: dict[str, ModelAnswers]
