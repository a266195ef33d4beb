"""Tables of experiments and studies: what they may say, and how a value is written for ``dvc exp run -S``."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from spira.base.section import Section

# Part of a git ref, and of a file's name. DVC lets no two experiments of a commit share one.
RowName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9]+([-_.][a-z0-9]+)*$")]
ModelName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9_]+$")]
Scalar = bool | int | float | str
DIGITS = 4  # of a number that a study proposes; more says nothing and is tiring to read


def _setting(value: object) -> object:
    """One message where a union of types has one for each."""
    for item in value if isinstance(value, tuple) else (value,):
        if not isinstance(item, bool | int | float | str):
            raise PydanticCustomError("setting", "must be a number, a text, true or false, or a list of them")
    return value


Overrides = dict[str, Annotated[Any, AfterValidator(_setting)]]  # dotted parameter -> value


class Range(Section):
    """Numbers in [low, high]."""

    low: float
    high: float
    log: bool  # drawn evenly in the logarithm

    @model_validator(mode="after")
    def _order(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"high: must be over low={self.low}, got {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low: must be over 0 where log is true, got {self.low}")
        return self

    def rounded(self, value: float) -> float:
        """The value to ``DIGITS`` significant digits, inside [low, high]."""
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


class Choices(Section):
    """One of a few values."""

    choices: Annotated[tuple[Scalar, ...], Field(min_length=2)]


class StudyParams(Section):
    """How many trials, and how the next one is found; what is varied stands in ``study.parameters``."""

    model: ModelName  # whose loss it is: one of those that ``models`` names
    # mean over the model's trainings of the lowest; nothing of the test set can be named
    objective: Literal["validation_loss"]
    n_trials: PositiveInt
    n_startup: NonNegativeInt  # drawn at random, and never pruned, before the others are compared with them
    seed: NonNegativeInt
    # stop a trial whose validation loss is worse than the median of the earlier ones at that epoch; a network's alone
    prune: bool


@dataclass(frozen=True)
class Study:
    params: StudyParams
    parameters: dict[str, Range | Choices]  # by dotted parameter


@dataclass(frozen=True)
class Training:
    """One training of a model."""

    model: str
    fold: str
    seed: int  # 0 of a baseline, which draws nothing
    stage: str  # in dvc.yaml's matrix

    @property
    def folder(self) -> str:
        """Of its model and of its curve, each in its own folder of data/."""
        return f"{self.model}/{self.fold}/{self.seed}"


def trainings(model: str, params: Mapping[str, Any]) -> list[Training]:
    """Those of a model in the order in which DVC runs them: a network's by fold and seed, a baseline's by fold."""
    folds = list(map(str, params["split"]["folds"]))
    if model in params["models"]["baselines"]:
        return [Training(model, fold, 0, f"fit@{model}-{fold}") for fold in folds]
    return [Training(model, fold, seed, f"train@{model}-{fold}-{seed}") for fold in folds for seed in params["seeds"]]


@dataclass(frozen=True)
class Plan:
    """One file of ``experiments/``: a table of rows, or a study."""

    name: str
    base: Overrides  # of every row or trial
    rows: dict[str, Overrides]
    published: dict[str, dict[str, str]]  # column -> row -> text
    study: Study | None

    def experiment(self, row: str) -> str:
        """The row's name among DVC's experiments."""
        return f"{self.name}-{row}"


def override(key: str, value: object) -> str:
    """``key=value`` as Hydra's grammar, which ``dvc exp run -S`` speaks, reads the very value again."""
    return f"{key}={_written(value)}"


def applied(tree: Mapping[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """The parameters with the overrides in their places, which exist."""
    changed = deepcopy(dict(tree))
    for key, value in overrides.items():
        *sections, last = key.split(".")
        place = changed
        for section in sections:
            place = place[section]
        place[last] = list(value) if isinstance(value, tuple) else value
    return changed


def _written(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"  # else a comma is a sweep, and `true` no text
    return json.dumps(value, allow_nan=False)
