"""People in use, and what is kept of each of their recordings: numbers, and nothing of a voice or a name."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from spira.scorer.answer import Diagnosis

VALUES = ("sex", "age", "site", "device")  # of a person, where a table has them
FACTS = ("container", "encoding", "sample_rate", "channels")  # of a file
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AnsweredRecording(_Part):
    """One recording of a request."""

    task: str  # the name that it was sent under
    score: Score | None  # None where it was refused
    refused: str | None  # the code
    digest: Sha256 | None  # of the waveform, as in data/clips/clips.csv; None where it was refused
    facts: dict[str, str] | None  # of the file: container, encoding, sample_rate, channels
    statistics: dict[str, float] | None  # ``population.recording.NUMBERS``


class Answered(_Part):
    """One request: the recordings of one person."""

    schema_version: Literal[1] = 1
    package: Sha256
    inference: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]  # drawn; the answer's header Inference-Id
    day: date  # UTC; the time of day is nobody's business
    score: Score | None
    diagnosis: Diagnosis
    recordings: tuple[AnsweredRecording, ...]


class Person(NamedTuple):
    """One person, as far as is known: the recordings of one request, or of one speaker of a folder."""

    score: float | None  # None where every recording was refused
    diagnosis: Diagnosis
    recordings: tuple[AnsweredRecording, ...]
    values: Mapping[str, str]  # those of ``VALUES`` that are known
