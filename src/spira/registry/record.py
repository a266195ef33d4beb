"""What a promotion leaves behind: the gate's checks, and who promoted what and why, in the message of a tag."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spira.base.errors import DataError

Verdict = Literal["pass", "fail", "no verdict"]
Stage = Literal["champion", "challenger"]
Action = Literal["register", "assign", "withdraw"]
STAGES: tuple[Stage, ...] = ("champion", "challenger")
_LONGEST = 100_000  # characters of a message that is read; ours have a twentieth of it

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Md5Folder = Annotated[str, Field(pattern=r"^[0-9a-f]{32}\.dir$")]
Version = Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Check(_Part):
    """One question of the gate. ``no verdict`` does not pass."""

    name: str
    verdict: Verdict
    reason: str  # names no recording and no speaker, for it is kept in git


class Tried(_Part):
    """On whom the model was tried."""

    hash: Sha256  # of each test clip's name, speaker, label and samples
    n_speakers: int
    n_patients: int
    n_clips: int
    looks: int  # earlier gates of promotions that read these very clips


class Gate(_Part):
    """All checks of one package, and what they were made with."""

    schema_version: Literal[1] = 1
    registry: str
    commit: Commit
    package: str  # its hash; "" where there is none
    model: str
    corpus: str
    against: Version | None  # the champion that it was compared with; None for a first promotion
    test_set: Tried | None  # None where it could not be read
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(check.verdict == "pass" for check in self.checks)

    @property
    def refused_by(self) -> list[str]:
        """The names of the checks that did not pass."""
        return [check.name for check in self.checks if check.verdict != "pass"]


class Lineage(_Part):
    """Hashes of what the package was made from, and its headline numbers."""

    clips: Sha256
    params: Sha256
    code: Sha256
    requirements: Sha256
    metrics: dict[str, float]  # of data/metrics.json: auc, auc_lo, auc_hi, sensitivity, specificity


class Record(_Part):
    """The message of one tag of the registry."""

    schema_version: Literal[1] = 1
    action: Action
    registry: str
    version: Version
    stage: Stage | None  # None where a version is registered
    commit: Commit  # at which the tag stands
    package: Sha256  # the hash of its SHA256SUMS
    folder: Md5Folder  # what dvc.lock of that commit calls data/package by
    by: str
    why: str
    previous: str | None  # object of the tag before it in this registry, so that none can be replaced unseen
    lineage: Lineage | None  # where a version is registered
    gate: Gate | None  # where a version is registered or assigned


def message(record: Record) -> str:
    """A first line for people, and the whole record as JSON."""
    what = {"register": "register", "assign": f"promote to {record.stage}", "withdraw": f"withdraw as {record.stage}"}
    why = " ".join(record.why.split())
    body = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    return f"{record.registry} {record.version}: {what[record.action]}: {why}"[:200] + f"\n\n{body}\n"


def read_message(text: str, where: str) -> Record:
    """The record in a tag's message.

    Args:
        where: the tag's name, as messages call it.

    Raises:
        DataError: it is not as ``message`` writes it.
    """
    body = text.partition("\n\n")[2]
    try:
        if len(body) > _LONGEST:
            raise DataError(f"{where}: its message is too long for a record of the registry")
        return Record.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"])) or "the message"
        raise DataError(f"{where}: not a record of the registry: {key}: {problem['msg']}") from error
