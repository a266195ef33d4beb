"""Pairs of a patient and a control alike in what must not decide: age within a caliper, other columns exactly."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.probes.study import Study


def matched_pairs(study: Study, exactly: Sequence[str], caliper_years: float) -> list[tuple[str, str]]:
    """(patient, control) among the test speakers: as many pairs as possible, and of those the closest in age.

    A speaker whose age or one of whose ``exactly`` columns is unknown is in no pair.

    Raises:
        DataError: an age is neither a number nor unknown.
    """
    from scipy.optimize import linear_sum_assignment  # which `check` need not wait for

    speakers = _test_speakers(study, exactly)
    patients, controls = (speakers.filter(pl.col("class") == label) for label in (1, 0))
    if patients.is_empty() or controls.is_empty():
        return []
    years = np.abs(np.subtract.outer(patients["years"].to_numpy(), controls["years"].to_numpy()))
    alike = years <= caliper_years
    for name in exactly:
        alike &= np.equal.outer(patients[name].to_numpy(), controls[name].to_numpy()).astype(np.bool_)
    cost = np.where(alike, years, (caliper_years + 1) * len(speakers))  # never worth a pair less
    rows, columns = linear_sum_assignment(cost)
    kept = alike[rows, columns]
    return list(zip(patients["speaker"][rows[kept]], controls["speaker"][columns[kept]], strict=True))


def _test_speakers(study: Study, exactly: Sequence[str]) -> pl.DataFrame:
    """One row a test speaker of whom all is known: each column's first known cell among the speaker's clips."""
    ages = require_read(read_numbers("age", study.columns["age"]), study.columns["age"])
    known = {name: [None if is_unknown(cell) else cell for cell in study.columns[name]] for name in exactly}
    fixed = {"speaker": study.speakers, "class": study.labels, "years": pl.Series(ages, dtype=pl.Float64)}
    clips = pl.DataFrame(fixed | known)[study.test_clips]
    return clips.group_by("speaker").agg(pl.all().drop_nulls().first()).drop_nulls().sort("speaker")
