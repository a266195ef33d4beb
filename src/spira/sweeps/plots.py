"""A study's history and importances, each as a table and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from spira.base.tables import write_table
from spira.plots.charts import Attempt, search_history
from spira.plots.charts import importances as importance_chart
from spira.plots.png import write_png
from spira.sweeps.optuna_study import Trial


def draw_study(name: str, history: Sequence[Trial], importances: Mapping[str, float], folder: Path) -> None:
    """``history`` and ``importances``, each as a CSV table and a PNG picture.

    Args:
        history: in the order of the trials' numbers.
        importances: fraction of the loss's variance by parameter; nothing is drawn of none.
    """
    rows, attempts, best = list[dict[str, Any]](), list[Attempt](), float("inf")
    for trial in history:
        lowest = trial.loss if trial.loss is not None else min(loss for _, loss in trial.curve)
        best = best if trial.loss is None else min(best, trial.loss)
        attempts.append(Attempt(trial.number, trial.state, _read(lowest), _read(best)))
        rows.append(attempts[-1]._asdict() | dict(trial.parameters) | {"minutes": round(trial.seconds / 60, 2)})
    write_table(pl.DataFrame(rows, infer_schema_length=None), folder / "history.csv")
    write_png(search_history(attempts, name), folder / "history.png")
    if importances:
        table = pl.DataFrame({"parameter": list(importances), "fraction": list(importances.values())})
        write_table(table, folder / "importances.csv")
        write_png(importance_chart(importances, name), folder / "importances.png")


def _read(loss: float) -> float | None:
    """As much of it as a person reads; None for none."""
    return float(f"{loss:.4g}") if loss < float("inf") else None
