"""Split speakers into training, validation and test, each by a hash of their id."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from spira.base.array_types import CLASSES
from spira.base.errors import DataError
from spira.base.section import HOLDOUT, Count, Section, Seed

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")


def _fold(value: object) -> object:
    """One message where a union of types has one for each."""
    if value == HOLDOUT or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63):
        return value
    raise PydanticCustomError("fold", "must be a number from 0, or holdout")


class SplitParams(Section):
    scheme: Literal["holdout", "kfold"]
    folds: tuple[Annotated[Any, AfterValidator(_fold)], ...] = Field(max_length=100)
    seed: Seed
    validation: float = Field(gt=0, lt=1)  # fraction of the speakers
    test: float = Field(gt=0, lt=1)  # fraction of the speakers
    min_speakers: Count  # of each class in each subset

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"test: validation + test must leave speakers to train on, got {self.validation + self.test}"
            )
        return self

    @model_validator(mode="after")
    def _folds_fit_scheme(self) -> Self:
        written = f"got [{', '.join(self.names)}]"
        if self.scheme == "holdout" and self.names != (HOLDOUT,):
            raise ValueError(f"folds: must be [{HOLDOUT}] for split.scheme=holdout, {written}; or split.scheme=kfold")
        if self.scheme == "kfold" and (HOLDOUT in self.names or not 3 <= len(set(self.names)) == len(self.names)):
            raise ValueError(f"folds: must be three different numbers or more for split.scheme=kfold, {written}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the folds, in their order."""
        return tuple(map(str, self.folds))


def id_hash(name: str, seed: int) -> bytes:
    """32 bytes that a speaker's or clip's id and the seed decide, as good as random."""
    return sha256(f"{seed}\0{name}".encode()).digest()


def assign(speaker_id: str, p: SplitParams) -> Subset:
    """The subset of one speaker, by a hash of their id and the seed, and of nothing else.

    ::

        0        test      test + validation          1
        |--------|---------|--------------------------|
           test   validation          train             a hash of (seed, speaker)

    Every stratum (label, sex) is cut at the same places, so subsets agree in it as
    closely as independent draws allow, and no closer: an assignment that no new
    speaker can ever change cannot look at the other speakers. Hashing the stratum
    too would balance nothing better, and would move a speaker from one subset to
    another, test to train among them, when a blank sex is filled in or a label is
    corrected. A corpus whose proportions must be exact brings a ``split`` column,
    or another ``split.seed`` that happens to suit it.
    """
    position = int.from_bytes(id_hash(speaker_id, p.seed)[:8], "big") / 2**64
    if position < p.test:
        return "test"
    return "validation" if position < p.test + p.validation else "train"


def split(
    speakers: Sequence[str],
    labels: Sequence[int],
    given: Sequence[str],
    p: SplitParams,
) -> list[Subset]:
    """Assigns each clip a subset; all clips of a speaker share one.

    Args:
        speakers: the speaker of each clip, shape (n_clips,).
        labels: 1 for patient, 0 for control, shape (n_clips,).
        given: the metadata's own subset of each clip, "" where it has none, shape (n_clips,).
        p: seed and fractions.

    Raises:
        DataError: a speaker is in two given subsets, in one that does not exist, or has two
            labels; or a subset holds too few speakers of a class.
    """
    labels_by_speaker = one_label_each(speakers, labels)
    given_by_speaker: dict[str, set[str]] = {}
    for speaker, subset in zip(speakers, given, strict=True):
        given_by_speaker.setdefault(speaker, set()).update({subset} - {""})
    assigned = {speaker: _subset_for(speaker, subsets, p) for speaker, subsets in given_by_speaker.items()}
    if short := too_few(assigned, labels_by_speaker, p.min_speakers):
        raise DataError(
            f"the corpus cannot be split: each subset needs split.min_speakers={p.min_speakers} of each class, "
            f"but {'; '.join(short)}. Bring more speakers, another split.seed, or a `split` column in metadata.csv"
        )
    return [assigned[speaker] for speaker in speakers]


def one_label_each(speakers: Sequence[str], labels: Sequence[int]) -> dict[str, int]:
    """The label of each speaker; raises DataError where one has both."""
    found: dict[str, int] = {}
    for speaker, label in zip(speakers, labels, strict=True):
        if found.setdefault(speaker, label) != label:
            raise DataError(f"speaker {speaker}: must be patient or control in all clips, got both")
    return found


def _subset_for(speaker: str, given: set[str], p: SplitParams) -> Subset:
    if len(given) > 1:
        raise DataError(f"speaker {speaker}: must be in one subset, got {' and '.join(sorted(given))}")
    for subset in SUBSETS:
        if subset in given:
            return subset
    if given:
        raise DataError(f"speaker {speaker}: must be in {', '.join(SUBSETS)} or left blank, got {given.pop()!r}")
    return assign(speaker, p)


def too_few(assigned: Mapping[str, Subset], labels: Mapping[str, int], least: int) -> list[str]:
    """The subsets with fewer than ``least`` speakers of a class, in words."""
    counts = {(subset, label): 0 for subset in SUBSETS for label in (0, 1)}
    for speaker, subset in assigned.items():
        counts[subset, labels[speaker]] += 1
    return [f"{subset} has {n} {CLASSES[label]} speakers" for (subset, label), n in counts.items() if n < least]
