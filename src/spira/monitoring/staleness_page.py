"""The staleness curve -> sections of tables, and a picture."""

import numpy as np

from spira.monitoring.page import Page
from spira.monitoring.staleness import Staleness
from spira.plots.charts import Chart, Line, auc_by_months
from spira.plots.svg import svg
from spira.report.blocks import Figure, Section, Table, Unbroken


def staleness_page(found: Staleness) -> Page:
    """The page; its verdict says only how much there is to see."""
    months = {trial.tested_in for trial in found.trials} | {trial.trained_until for trial in found.trials}
    seen = f"{len(found.trials)} trials over {len(months)} months" if found.trials else "too few people with a date"
    undated = [f"{found.n_undated} clips have no date, and are left out."] if found.n_undated else []
    return Page(
        title="How old is too old",
        origin=f"{found.corpus}: {found.n_clips} clips with a date.",
        level="pass" if found.trials else "warn",
        verdict=seen,
        why="A model of all clips until one month, on people of later months whom it never met. A later training has "
        "more people, so compare the rows of one training first.",
        sections=[
            Section("ages", "AUC by the months since the training's last", [*undated, by_age(found)], _figures(found)),
            Section("trials", "Each trial", [_each(found)]),
        ],
    )


def by_age(found: Staleness) -> Table:
    """A row a distance."""
    rows = [
        [
            str(age.months),
            str(age.n_trials),
            str(age.n_speakers),
            Unbroken(f"{age.auc:.3f} [{age.low:.3f}, {age.high:.3f}]"),
        ]
        for age in found.ages
    ]
    return Table(["months since", "models", "people tested", "AUC"], rows, "There are too few people with a date.")


def _each(found: Staleness) -> Table:
    rows = [
        [trial.trained_until, trial.tested_in, str(trial.n_patients), str(trial.n_controls), f"{trial.auc:.3f}"]
        for trial in found.trials
    ]
    head = ["trained until", "tested in", "patients", "controls", "AUC"]
    return Table(head, rows, "There are too few people with a date.")


def _figures(found: Staleness) -> list[Figure]:
    if len(found.ages) < 2:
        return []
    caption = "Solid: AUC over pairs that one model scored. Dashed: its interval over other people."
    return [Figure(svg(picture(found)), caption)]


def picture(found: Staleness) -> Chart:
    """The curve and its interval."""
    months = np.array([float(age.months) for age in found.ages])
    lines = [
        Line("AUC", months, np.array([age.auc for age in found.ages])),
        Line("interval", months, np.array([age.low for age in found.ages])),
        Line("interval", months, np.array([age.high for age in found.ages])),
    ]
    return auc_by_months(lines, found.corpus)
