"""What the recordings of a training were like: the part of a package that recordings in use are compared with.

It holds numbers alone. A row is a person's mean and has no name; the rows' order says nothing; ages, sites and scores
stand in lists of their own, so that no row has them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from spira.ingest.personal_data import personal
from spira.population.recording import NUMBERS
from spira.predictions.scored import ScoredClips

REFERENCE = "reference.json"
FEWEST = 5  # people of whom something is shown by which fewer could be recognised
MOST_SPEAKERS = 500  # whose rows are kept; more would make a package large, and hardly a comparison finer
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_DIGITS = 6  # significant, of a number in the file

Row = Mapping[str, tuple[float, ...]]  # by task, the means of ``NUMBERS`` over one person's recordings
Score = Annotated[float, Field(ge=0, le=1)]
Scores = tuple[Score, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Promise(_Part):
    """Mean scores of the test speakers, clean, by the deployed model: what it is worth on people it never met."""

    patients: Scores
    controls: Scores


class Reference(_Part):
    """reference.json."""

    schema_version: Literal[1] = 1
    corpus: str
    n_speakers: int = Field(ge=1)  # of the corpus, though at most 500 have a row
    n_recordings: int = Field(ge=1)
    numbers: tuple[str, ...]  # of a row, in its order
    speakers: tuple[dict[str, tuple[float, ...]], ...] = Field(min_length=1)
    quantiles: dict[str, dict[str, tuple[float, ...]]]  # by task and number, of the recordings of those with a row
    scores: dict[str, Scores]  # by task, and of all tasks under "": means of those whom the model was not trained on
    values: dict[str, dict[str, int]]  # by column, how many speakers have each value
    ages: tuple[float, ...]  # years, of the speakers whose age is known; rising
    refused: dict[str, int]  # by code, recordings that ingest refused
    promise: Promise


class Clip(NamedTuple):
    """One recording of the corpus, as far as it is described."""

    speaker_id: str
    task: str
    numbers: Mapping[str, float]


def chosen_speakers(speakers: Iterable[str]) -> set[str]:
    """Those who get a row: all, or as many as there may be, by a hash of their names."""
    ranked = sorted(set(speakers), key=lambda name: sha256(f"reference\0{name}".encode()).digest())
    return set(ranked[:MOST_SPEAKERS])


def rows(clips: Iterable[Clip]) -> list[dict[str, tuple[float, ...]]]:
    """A row a speaker, in an order that is that of their content."""
    grouped: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        grouped[clip.speaker_id][clip.task].append([clip.numbers[name] for name in NUMBERS])
    found = [
        {task: tuple(map(_short, np.mean(values, axis=0))) for task, values in sorted(tasks.items())}
        for tasks in grouped.values()
    ]
    return sorted(found, key=lambda row: sha256(json.dumps(row, allow_nan=False).encode()).digest())


def quantiles(clips: Sequence[Clip]) -> dict[str, dict[str, tuple[float, ...]]]:
    """By task and number, over recordings."""
    by_task: dict[str, list[list[float]]] = defaultdict(list)
    for clip in clips:
        by_task[clip.task].append([clip.numbers[name] for name in NUMBERS])
    return {
        task: {
            name: tuple(map(_short, column))
            for name, column in zip(NUMBERS, np.quantile(values, QUANTILES, axis=0).T, strict=True)
        }
        for task, values in sorted(by_task.items())
    }


def person_means(speakers: Sequence[str], scores: Sequence[float]) -> tuple[float, ...]:
    """The mean score of each speaker, rising."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for speaker, score in zip(speakers, scores, strict=True):
        grouped[speaker].append(score)
    return tuple(sorted(_short(np.mean(values)) for values in grouped.values()))


def people_by_value(speakers: Sequence[str], columns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """By column and value, how many speakers have it in a recording.

    An empty cell is no value, and what is of few and may be a person's name is left out.
    """
    found = {}
    for column, cells in columns.items():
        pairs = {(speaker, cell) for speaker, cell in zip(speakers, cells, strict=True) if cell}
        counts = Counter(cell for _, cell in pairs)
        found[column] = {value: n for value, n in sorted(counts.items()) if n >= FEWEST or not personal(value)}
    return found


def _short(number: float | np.floating) -> float:
    return float(f"{number:.{_DIGITS}g}")


def make_reference(
    corpus: str,
    table: pl.DataFrame,
    clips: Sequence[Clip],
    refused: Sequence[str],
    validation: ScoredClips,
    test: ScoredClips,
) -> Reference:
    """What a corpus is like, and how the deployed model scores those of it whom it never met.

    Args:
        corpus: its name.
        table: of all its clips: speaker, task, sex, age, site, device, and how each file is stored.
        clips: the recordings that are described.
        refused: the code of each recording that ingest refused.
        validation: clips of one subset, with one score each.
        test: the same.
    """
    speakers = table["speaker_id"].to_list()
    stored = {
        "sex": table["sex"],
        "site": table["site"],
        "device": table["device"],
        "task": table["task"],
        "container": table["container"],
        "encoding": table["encoding"],
        "sample_rate": table["source_sample_rate"].cast(pl.String),
        "channels": table["n_channels"].cast(pl.String),
    }
    ages = table.select("speaker_id", "age").drop_nulls().group_by("speaker_id").agg(pl.col("age").min())["age"]
    tasks = dict(zip(table["clip_id"], table["task"], strict=True))
    unseen = [
        (task, speaker, float(score))
        for part in (validation, test)
        for clip, speaker, score in zip(part.clips, part.speakers, part.scores[0], strict=True)
        for task in {tasks[clip], ""}
    ]
    by_class = {
        label: person_means(
            [speaker for speaker, kept in zip(test.speakers, test.labels == label, strict=True) if kept],
            test.scores[0][test.labels == label].tolist(),
        )
        for label in (0, 1)
    }
    return Reference(
        corpus=corpus,
        n_speakers=len(set(speakers)),
        n_recordings=len(table),
        numbers=NUMBERS,
        speakers=tuple(rows(clips)),
        quantiles=quantiles(clips),
        scores={
            task: person_means([who for t, who, _ in unseen if t == task], [s for t, _, s in unseen if t == task])
            for task in sorted({task for task, _, _ in unseen})
        },
        values=people_by_value(speakers, {name: cells.fill_null("").to_list() for name, cells in stored.items()}),
        ages=tuple(sorted(ages)),
        refused=dict(sorted(Counter(refused).items())),
        promise=Promise(patients=by_class[1], controls=by_class[0]),
    )
