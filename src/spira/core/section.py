"""The base of every typed section of params.yaml, and the types of its bare numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SampleRate = Annotated[int, Field(strict=True, ge=8000, le=48000)]  # Hz, of everything after ingest
Seeds = Annotated[tuple[Annotated[int, Field(strict=True, ge=0, lt=2**63)], ...], Field(min_length=1)]  # 64 bits
FolderName = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # under data/raw


class Section(BaseModel):
    """One section of ``params.yaml``: frozen, complete, and nothing more than it names.

    A section lives beside the code that it steers. It has no defaults: a
    default in code is a parameter that ``dvc params diff`` cannot see. Unknown
    keys, numbers written as text, NaN and infinities are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
