"""Patients and controls in pairs alike in what must not decide: age within a caliper, and what is to agree exactly."""

from collections.abc import Sequence

import numpy as np

from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.probes.study import Study


def matched_pairs(study: Study, exactly: Sequence[str], caliper_years: float) -> list[tuple[str, str]]:
    """(patient, control) among the speakers who are judged: as many pairs as there can be, and then the closest in age.

    Who is of unknown age, or unknown in a column that must agree, is in no pair.

    Raises:
        DataError: an age is neither a number nor unknown.
    """
    from scipy.optimize import linear_sum_assignment  # which `check` need not wait for

    people = _people(study, exactly)
    patients, controls = (sorted(who for who, (label, *_) in people.items() if label == of) for of in (1, 0))
    if not patients or not controls:
        return []
    apart = np.array([[abs(people[a][1] - people[b][1]) for b in controls] for a in patients])
    alike = np.array([[people[a][2] == people[b][2] for b in controls] for a in patients]) & (apart <= caliper_years)
    cost = np.where(alike, apart, (caliper_years + 1) * (len(patients) + len(controls)))  # never worth a pair less
    rows, columns = linear_sum_assignment(cost)
    return [(patients[i], controls[j]) for i, j in zip(rows, columns, strict=True) if alike[i, j]]


def _people(study: Study, exactly: Sequence[str]) -> dict[str, tuple[int, float, tuple[str, ...]]]:
    """By speaker: label, age, and what must agree; a speaker's first clip may leave blank what another tells."""
    ages = require_read(read_numbers("age", study.columns["age"]), study.columns["age"])
    years: dict[str, float | None] = {}
    rest: dict[str, list[str]] = {}
    labels: dict[str, int] = {}
    for clip in study.judged:
        who, cells = study.speakers[clip], [study.columns[name][clip] for name in exactly]
        told = ["" if is_unknown(cell) else cell for cell in cells]
        rest[who] = [old or new for old, new in zip(rest.get(who, told), told, strict=True)]
        years[who] = ages[clip] if years.get(who) is None else years[who]
        labels[who] = int(study.labels[clip])
    return {
        who: (labels[who], age, tuple(rest[who])) for who, age in years.items() if age is not None and all(rest[who])
    }
