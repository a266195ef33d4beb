"""Vega-Lite drawings as PNG files, without a browser or a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import vl_convert

from spira.base.files import write_bytes
from spira.base.tables import write_table
from spira.sweeps.optuna_study import Trial

PIXELS_A_POINT = 2
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


def draw_study(name: str, history: Sequence[Trial], importances: Mapping[str, float], folder: Path) -> None:
    """``history`` and ``importances``, each as a CSV table and a PNG picture.

    Args:
        history: in the order of the trials' numbers.
        importances: fraction of the loss's variance by parameter; nothing is drawn of none.
    """
    rows, best = list[dict[str, Any]](), float("inf")
    for trial in history:
        lowest = trial.loss if trial.loss is not None else min(loss for _, loss in trial.curve)
        best = best if trial.loss is None else min(best, trial.loss)
        facts = {"trial": trial.number, "state": trial.state, "loss": _read(lowest), "best": _read(best)}
        rows.append(facts | dict(trial.parameters) | {"minutes": round(trial.seconds / 60, 2)})
    write_table(pl.DataFrame(rows, infer_schema_length=None), folder / "history.csv")
    _draw_history([{key: row[key] for key in ("trial", "state", "loss", "best")} for row in rows], name, folder)
    if importances:
        table = pl.DataFrame({"parameter": list(importances), "fraction": list(importances.values())})
        write_table(table, folder / "importances.csv")
        _draw_bars(importances, f"{name}: what explains the loss", folder / "importances.png")


def _read(loss: float) -> float | None:
    """As much of it as a person reads; None for none."""
    return float(f"{loss:.4g}") if loss < float("inf") else None


def _draw_history(rows: list[dict[str, Any]], name: str, folder: Path) -> None:
    """Each trial's lowest loss, and the lowest so far as a line."""
    x = {"field": "trial", "type": "quantitative", "axis": {"tickMinStep": 1, "format": "d"}}
    y = {"field": "loss", "type": "quantitative", "title": "validation loss", "scale": {"zero": False}}
    state = {"field": "state", "type": "nominal", "title": None, "scale": {"domain": ["complete", "pruned"]}}
    points = {
        "mark": {"type": "point", "filled": True, "size": 60},
        "encoding": {"x": x, "y": y, "color": state, "shape": state},
    }
    best = {"mark": {"type": "line", "interpolate": "step-after"}, "encoding": {"x": x, "y": y | {"field": "best"}}}
    _draw(
        {
            "title": f"{name}: each trial; the line is the lowest so far",
            "data": {"values": rows},
            "layer": [best, points],
        },
        folder / "history.png",
    )


def _draw_bars(fractions: Mapping[str, float], title: str, path: Path) -> None:
    """One bar a name, the longest on top."""
    rows = [{"name": name, "fraction": fraction} for name, fraction in fractions.items()]
    x = {"field": "fraction", "type": "quantitative", "scale": {"domain": [0, 1]}, "title": "fraction of the variance"}
    y = {"field": "name", "type": "nominal", "sort": "-x", "title": None, "axis": {"labelLimit": 0}}
    bars = {"mark": "bar", "encoding": {"x": x, "y": y}, "height": {"step": 40}}
    _draw({"title": title, "data": {"values": rows}, **bars}, path)


def _draw(drawing: dict[str, Any], path: Path) -> None:
    size = {"width": 420, "height": 220, "background": "white"}
    png = vl_convert.vegalite_to_png({"$schema": _SCHEMA, **size, **drawing}, scale=PIXELS_A_POINT)
    write_bytes(png, path)
