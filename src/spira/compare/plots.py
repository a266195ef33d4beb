"""Both sides of a comparison, curve by curve."""

import numpy as np

from spira.compare.sides import Comparison
from spira.evaluation.curves import mean_roc
from spira.plots.charts import Chart, Line, learning_curves, roc


def drawings(compared: Comparison) -> dict[str, Chart]:
    """By file name; a drawing is left out where a side lacks what it shows."""
    sides = {f"{role}: {side.commit[:8]}": side for role, side in zip(("base", "head"), compared.both, strict=True)}
    demo = "demo" in (side.params.get("corpus") for side in compared.both)
    warning = " (demo: SYNTHETIC)" if demo else ""
    found: dict[str, Chart] = {}
    if all(compared.headline in clips for clips in compared.clips()):
        scored = dict(zip(sides, (clips[compared.headline] for clips in compared.clips()), strict=True))
        lines = [Line(name, *mean_roc(clips.labels, clips.scores)) for name, clips in scored.items()]
        found["roc.png"] = roc(lines, f"under {compared.headline}, mean over seeds, test clips{warning}")
    if all(side.losses for side in compared.both):
        losses = [
            (f"{name} {model}", loss)
            for name, side in sides.items()
            for model, trainings in side.losses.items()
            for loss in trainings.values()
        ]
        lines = [Line(name, np.arange(loss.size, dtype=np.float64), loss) for name, loss in losses]
        found["validation_loss.png"] = learning_curves(lines, f"validation loss, a curve a seed{warning}")
    return found
