"""People who are drawn: a package's reference, and people in use, from one population or from another."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from spira.population.people import AnsweredRecording, Person
from spira.population.recording import NUMBERS
from spira.population.reference import Clip, Promise, Reference, person_means, quantiles, rows
from spira.scorer.answer import Band

TASKS = ("rhyme", "sentence")
BAND = Band(0.6, 0.2)
_BETWEEN, _WITHIN = 1.0, 0.5  # standard deviations of people, and of a person's recordings


def draw(seed: int, n: int, shift: Mapping[str, float] | None = None, tasks: tuple[str, ...] = TASKS) -> list[Person]:
    """People with a recording of each task.

    Args:
        shift: by number, in standard deviations between people.
    """
    rng, people = np.random.default_rng(seed), []
    moved = np.array([(shift or {}).get(name, 0.0) for name in NUMBERS])
    for _ in range(n):
        centre, log_odds = moved + _BETWEEN * rng.normal(size=len(NUMBERS)), rng.normal()
        recordings = []
        for task in tasks:
            numbers = centre + _WITHIN * rng.normal(size=len(NUMBERS))
            score = float(1 / (1 + np.exp(-2 * (log_odds + 0.3 * rng.normal()))))
            recordings.append(_recording(task, score, dict(zip(NUMBERS, numbers.tolist(), strict=True))))
        mean = float(np.mean([recording.score for recording in recordings]))
        people.append(Person(mean, BAND.diagnosis(mean), tuple(recordings), {"site": "norte", "sex": "F"}))
    return people


def _recording(task: str, score: float, numbers: dict[str, float], **facts: str) -> AnsweredRecording:
    stored = {"container": "WAV", "encoding": "PCM_16", "sample_rate": "16000", "channels": "1"} | facts
    return AnsweredRecording(
        task=task,
        score=score,
        refused=None,
        digest=sha256(repr(numbers).encode()).hexdigest(),
        facts=stored,
        statistics=numbers,
    )


def reference(people: list[Person], **fields: Any) -> Reference:
    """What a package says of these people, as if all were of the corpus and none of the training."""
    clips = [
        Clip(str(i), recording.task, recording.statistics or {})
        for i, person in enumerate(people)
        for recording in person.recordings
    ]
    scores = [
        (task, str(i), r.score or 0.0)
        for i, person in enumerate(people)
        for r in person.recordings
        for task in (r.task, "")
    ]
    means = sorted(person.score or 0.0 for person in people)
    n = len(people)
    found = {
        "corpus": "nobody's",
        "n_speakers": n,
        "n_recordings": len(clips),
        "numbers": NUMBERS,
        "speakers": tuple(rows(clips)),
        "quantiles": quantiles(clips),
        "scores": {
            task: person_means([who for t, who, _ in scores if t == task], [s for t, _, s in scores if t == task])
            for task in ("", *TASKS)
        },
        "values": {
            "sex": {"F": n},
            "site": {"norte": n},
            "device": {},
            "task": dict.fromkeys(TASKS, n),
            "container": {"WAV": n},
            "encoding": {"PCM_16": n},
            "sample_rate": {"16000": n},
            "channels": {"1": n},
        },
        "ages": (),
        "refused": {},
        "promise": Promise(patients=tuple(means[n // 2 :]), controls=tuple(means[: n // 2])),
    }
    return Reference.model_validate(found | fields)
