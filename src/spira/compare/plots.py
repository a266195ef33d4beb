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
    if all(compared.headline in side.test_clips for side in compared.both):
        clips = {name: side.test_clips[compared.headline] for name, side in sides.items()}
        lines = [Line(name, *mean_roc(scored.labels, scored.scores)) for name, scored in clips.items()]
        found["roc.png"] = roc(lines, f"under {compared.headline}, mean over seeds, test clips{warning}")
    if all(side.losses for side in compared.both):
        losses = [(name, loss) for name, side in sides.items() for loss in side.losses.values()]
        lines = [Line(name, np.arange(loss.size, dtype=np.float64), loss) for name, loss in losses]
        found["validation_loss.png"] = learning_curves(lines, f"validation loss, a curve a seed{warning}")
    return found
