"""Scores -> what is answered: of each recording, and of the person whose recordings they are."""

from collections.abc import Mapping
from math import log
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

NOTICE = "Research, not a diagnosis."
Diagnosis = Literal["positive", "negative", "inconclusive"]
MACHINE = "machine"  # the code of a recording of which nothing is known, since the machine failed
UNTRAINED = "task"  # the code of one in which something else was said than in those that the model was trained on
# Of a golden score: another processor's arithmetic may differ in its last bits. Near 0 and 1 a score hardly moves, so
# its log odds must agree too.
TOLERANCE, TOLERANCE_LOG_ODDS = 1e-6, 1e-4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refused(_Part):
    """Why a recording has no score."""

    code: str  # of ingest, as in rejects.csv, or one of the two above
    reason: str


class RecordingAnswer(_Part):
    """Of one recording: a score and a diagnosis, or why there is none."""

    name: str
    score: float | None  # probability of patient, [0, 1]; None where it was refused
    diagnosis: Diagnosis  # inconclusive where it was refused
    refused: Refused | None


class Answer(_Part):
    """Of one person: the mean score of the recordings that were not refused, and what it means."""

    notice: str
    score: float | None  # None where every recording was refused
    diagnosis: Diagnosis
    recordings: tuple[RecordingAnswer, ...]
    threshold: float
    inconclusive_width: float
    package: str  # its hash: that of SHA256SUMS, which holds every other


class Band(NamedTuple):
    """Where a score is positive, and how near to that it says nothing."""

    threshold: float  # a score from it upwards is positive
    width: float  # of the inconclusive band about it; open, so 0 is none

    def diagnosis(self, score: float | None) -> Diagnosis:
        """``inconclusive`` inside the band, and where there is no score."""
        if score is None or abs(score - self.threshold) < self.width / 2:
            return "inconclusive"
        return "positive" if score >= self.threshold else "negative"


def answer(scored: Mapping[str, float | Refused], band: Band, package: str) -> Answer:
    """What is answered to a person's recordings.

    Args:
        scored: by the recording's name, its score or why it has none.
        band: what a score means.
        package: its hash.
    """
    scores = [score for score in scored.values() if not isinstance(score, Refused)]
    mean = float(np.mean(scores)) if scores else None
    return Answer(
        notice=NOTICE,
        score=mean,
        diagnosis=band.diagnosis(mean),
        recordings=tuple(_of_recording(name, found, band) for name, found in scored.items()),
        threshold=band.threshold,
        inconclusive_width=band.width,
        package=package,
    )


def _of_recording(name: str, found: float | Refused, band: Band) -> RecordingAnswer:
    refused = found if isinstance(found, Refused) else None
    score = None if isinstance(found, Refused) else found
    return RecordingAnswer(name=name, score=score, diagnosis=band.diagnosis(score), refused=refused)


def agree(expected: float | str, got: float | str | None) -> bool:
    """Whether a recording got the score that it must have, to the tolerances above, or the same code of refusal."""
    if isinstance(expected, str) or isinstance(got, str) or got is None:
        return expected == got
    return abs(expected - got) <= TOLERANCE and abs(_log_odds(expected) - _log_odds(got)) <= TOLERANCE_LOG_ODDS


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 1e-12), 1 - 1e-12)
    return log(kept / (1 - kept))
