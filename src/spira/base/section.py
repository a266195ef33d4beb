"""The base of every typed section of params.yaml, the types of its bare numbers, and the name of the only fold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SampleRate = Annotated[int, Field(strict=True, ge=8000, le=48000)]  # Hz, of everything after ingest
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]  # 64 bits
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=100)]  # a training each
Count = Annotated[int, Field(strict=True, gt=0, le=1_000_000)]  # of things that a corpus may have many of
Resamples = Annotated[int, Field(strict=True, gt=0, le=100_000)]  # of the speakers, for intervals
Seconds = Annotated[float, Field(strict=True, gt=0, le=600)]  # of a stretch of sound
Columns = Annotated[tuple[str, ...], Field(max_length=100)]  # of the table of clips
FolderName = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # under data/raw
HOLDOUT = "holdout"  # the one of ``split.folds`` where a corpus is split once, and of tables from before folds


class Section(BaseModel):
    """One section of ``params.yaml``: frozen, complete, and nothing more than it names.

    A section lives beside the code that it steers; where that code needs torch,
    in a module of sections alone, for `check` to start without. It has no defaults: a
    default in code is a parameter that ``dvc params diff`` cannot see. Unknown
    keys, numbers written as text, NaN and infinities are refused. Every number
    has a highest value and every list a greatest length, far beyond what is
    sensible and short of what fills the memory or never ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
