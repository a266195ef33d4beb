"""Both sides' curves as Vega-Lite specifications, which vl-convert draws without a browser or a network."""

from typing import Any

import numpy as np

from spira.base.array_types import Floats
from spira.compare.sides import Comparison, Side
from spira.evaluation.curves import mean_roc
from spira.evaluation.markdown import COLOURS

Spec = dict[str, Any]
_SIZE = 360  # points, of either side
_SIDES = ("base", "head")


def drawings(compared: Comparison) -> dict[str, Spec]:
    """By file name; a drawing is left out where a side lacks what it shows."""
    found = {}
    if all(compared.headline in side.judged for side in compared.both):
        found["roc.png"] = _roc(compared)
    if all(side.losses for side in compared.both):
        found["validation_loss.png"] = _learning(compared)
    return found


def _roc(compared: Comparison) -> Spec:
    rows = []
    for name, side in zip(_SIDES, compared.both, strict=True):
        judged = side.judged[compared.headline]
        fpr, tpr = mean_roc(judged.labels, judged.scores)
        rows += _rows(fpr, tpr, {"side": _named(name, side)})
    title = f"ROC under {compared.headline}, mean over seeds, test clips{_warning(compared)}"
    chance: Spec = {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "color": "#bbb", "strokeDash": [4, 4]},
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}},
    }
    axes = ("false positive rate (controls called patient)", "true positive rate (patients called patient)")
    lines = _lines(compared, rows, axes, {})
    return {**_frame(title), "layer": [chance, lines]}


def _learning(compared: Comparison) -> Spec:
    rows = []
    for name, side in zip(_SIDES, compared.both, strict=True):
        for seed, losses in side.losses.items():
            rows += _rows(np.arange(len(losses), dtype=np.float64), losses, {"side": _named(name, side), "seed": seed})
    title = f"Validation loss, a line a seed{_warning(compared)}"
    return {**_frame(title), **_lines(compared, rows, ("epoch", "loss"), {"detail": {"field": "seed"}})}


def _frame(title: str) -> Spec:
    schema = "https://vega.github.io/schema/vega-lite/v5.json"
    return {"$schema": schema, "title": title, "width": _SIZE, "height": _SIZE, "background": "white"}


def _lines(compared: Comparison, rows: list[Spec], axes: tuple[str, str], more: Spec) -> Spec:
    names = [_named(name, side) for name, side in zip(_SIDES, compared.both, strict=True)]
    colour = {"field": "side", "type": "nominal", "title": None, "scale": {"domain": names, "range": list(COLOURS)}}
    x, y = ({"field": key, "type": "quantitative", "title": title} for key, title in zip("xy", axes, strict=True))
    # in the order of the rows: a curve that goes straight up has several points at one x
    encoding = {"x": x, "y": y, "order": {"field": "i", "type": "quantitative"}, "color": colour, **more}
    return {"data": {"values": rows}, "mark": {"type": "line", "opacity": 0.9}, "encoding": encoding}


def _rows(x: Floats, y: Floats, more: Spec) -> list[Spec]:
    return [{"i": i, "x": float(at), "y": float(value), **more} for i, (at, value) in enumerate(zip(x, y, strict=True))]


def _named(name: str, side: Side) -> str:
    return f"{name}: {side.commit[:8]}"


def _warning(compared: Comparison) -> str:
    return " (demo: SYNTHETIC)" if "demo" in (side.params.get("corpus") for side in compared.both) else ""
