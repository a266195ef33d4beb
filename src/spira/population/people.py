"""People in use, and what is kept of each of their recordings: numbers, and nothing of a voice or a name."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spira.population.recording import NUMBERS
from spira.scorer.answer import Diagnosis

VALUES = ("sex", "age", "site", "device")  # of a person, where a table has them
FACTS = ("container", "encoding", "sample_rate", "channels")  # of a file
OTHER_TASK = "(other)"  # in the place of what is no task of the training: it may be anything, a name too
_MOST = 1e6  # of a number, either way; none of a recording comes near
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(ge=-_MOST, le=_MOST)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AnsweredRecording(_Part):
    """One recording of a request."""

    task: str  # the name that it was sent under
    score: Score | None  # None where it was refused
    refused: str | None  # the code
    digest: Sha256 | None  # of the waveform, as in data/clips/clips.csv; None where it was refused
    facts: dict[str, str] | None  # of the file: container, encoding, sample_rate, channels
    statistics: dict[str, Number] | None  # ``population.recording.NUMBERS``

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.statistics is not None and self.statistics.keys() != set(NUMBERS):
            raise ValueError(f"statistics: must be {', '.join(NUMBERS)}")
        return self


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


def one_person(groups: Sequence[Collection[str]]) -> list[list[int]]:
    """Which of these are of one person: those that share a mark, themselves or through others, in order of the first.

    Args:
        groups: the marks of each, such as the digests of its recordings.
    """
    leader = list(range(len(groups)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    first: dict[str, int] = {}
    for i, marks in enumerate(groups):
        for mark in marks:
            a, b = sorted((find(first.setdefault(mark, i)), find(i)))
            leader[b] = a
    found: dict[int, list[int]] = {}
    for i in range(len(groups)):
        found.setdefault(find(i), []).append(i)
    return list(found.values())
