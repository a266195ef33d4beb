"""A reference holds what a corpus is like and nothing of whom: means by person, in no order, with no name."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from populations import TASKS, draw, reference
from spira.base.errors import DataError
from spira.population.recording import NUMBERS
from spira.population.reference import (
    MOST_SPEAKERS,
    Clip,
    chosen_speakers,
    make_reference,
    people_by_value,
    person_means,
    quantiles,
    rows,
)
from spira.population.reference_file import read_reference
from spira.predictions.scored import ScoredClips


def clip(speaker: str, task: str, value: float) -> Clip:
    return Clip(speaker, task, dict.fromkeys(NUMBERS, value))


def test_a_row_is_a_persons_mean_by_task() -> None:
    found = rows([clip("a", "x", 1.0), clip("a", "x", 3.0), clip("a", "y", 5.0), clip("b", "x", 7.0)])
    assert sorted(found, key=len) == [
        {"x": (7.0,) * len(NUMBERS)},
        {"x": (2.0,) * len(NUMBERS), "y": (5.0,) * len(NUMBERS)},
    ]


def test_neither_names_nor_their_order_reach_the_rows() -> None:
    clips = [clip(name, "x", value) for name, value in zip("abcdef", (3, 1, 4, 1.5, 9, 2), strict=True)]
    renamed = [clip(name, "x", value) for name, value in zip("uvwxyz", (2, 9, 1.5, 4, 1, 3), strict=True)]
    assert rows(clips) == rows(renamed)


def test_at_most_500_people_have_a_row_and_new_ones_hardly_move_old_ones() -> None:
    names = [f"s{i}" for i in range(2000)]
    chosen = chosen_speakers(names)
    assert len(chosen) == MOST_SPEAKERS
    assert len(chosen & chosen_speakers([*names, "new"])) >= MOST_SPEAKERS - 1
    assert chosen_speakers(["a", "a", "b"]) == {"a", "b"}


def test_quantiles_are_of_recordings() -> None:
    found = quantiles([clip("a", "x", float(i)) for i in range(101)])
    assert found["x"]["level_db"] == (5.0, 25.0, 50.0, 75.0, 95.0)


def test_a_value_is_counted_once_a_person_and_an_empty_cell_never() -> None:
    found = people_by_value(["a", "a", "b", "c"], {"site": ["n", "n", "n", ""], "device": ["p", "q", "q", ""]})
    assert found == {"site": {"n": 2}, "device": {"p": 1, "q": 2}}


def test_person_means_are_of_people_and_rise() -> None:
    assert person_means(["b", "a", "a"], [0.9, 0.2, 0.4]) == (0.3, 0.9)


def scored(clips: dict[str, float], speakers: list[str], labels: list[int]) -> ScoredClips:
    scores = np.array([list(clips.values())])
    return ScoredClips(tuple(clips), tuple(speakers), ("holdout",) * len(clips), np.array(labels), scores)


def test_only_people_whom_the_model_never_met_have_a_score() -> None:
    names = ["t1", "v1", "v1b", "p1", "c1"]
    table = pl.DataFrame(
        {
            "clip_id": names,
            "speaker_id": ["t", "v", "v", "p", "c"],
            "task": ["x", "x", "y", "x", "x"],
            "sex": ["F", "F", "F", "", "M"],
            "age": [50.0, 40.0, 40.0, None, 30.0],
            "site": [""] * 5,
            "device": [""] * 5,
            "container": ["WAV"] * 5,
            "encoding": ["PCM_16"] * 5,
            "source_sample_rate": [8000] * 5,
            "n_channels": [1, 1, 1, None, 2],
        }
    )
    validation = scored({"v1": 0.2, "v1b": 0.6}, ["v", "v"], [0, 0])
    test = scored({"p1": 0.9, "c1": 0.1}, ["p", "c"], [1, 0])
    found = make_reference("c", table, [clip("t", "x", 1.0)], ["silent", "silent", "clipped"], validation, test)
    assert found.scores == {"": (0.1, 0.4, 0.9), "x": (0.1, 0.2, 0.9), "y": (0.6,)}
    assert found.promise.patients == (0.9,)
    assert found.promise.controls == (0.1,)
    assert found.ages == (30.0, 40.0, 50.0)
    assert found.values["sex"] == {"F": 2, "M": 1}
    assert found.values["channels"] == {"1": 2, "2": 1}
    assert found.refused == {"clipped": 1, "silent": 2}
    assert (found.n_speakers, found.n_recordings) == (4, 5)


def test_it_is_read_back_and_another_form_is_refused_by_its_key(tmp_path: Path) -> None:
    path, made = tmp_path / "reference.json", reference(draw(0, 5))
    path.write_text(made.model_dump_json())
    assert read_reference(path) == made
    assert TASKS[0] in made.quantiles
    tree = json.loads(path.read_text()) | {"n_speakers": 0}
    path.write_text(json.dumps(tree, allow_nan=False))
    with pytest.raises(DataError, match="n_speakers"):
        read_reference(path)
    with pytest.raises(DataError, match="before packages had one"):
        read_reference(tmp_path / "none.json")
