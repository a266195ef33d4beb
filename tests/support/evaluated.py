"""Predictions and facts of clips as evaluate reads them."""

import numpy as np
import polars as pl

from spira.features.conditions import CONDITIONS
from tiny import evaluate_params

P = evaluate_params(n_resamples=200)


def predictions(seeds: tuple[int, ...] = (1, 2, 3)) -> pl.DataFrame:
    """Of 16 validation and 20 test speakers, two clips each: patients score higher, every seed and condition anew."""
    rng = np.random.default_rng(7)
    rows = [
        (subset, condition, seed, f"{subset}{who}_{clip}.wav", f"{subset}{who}", who % 2)
        for subset, n_speakers in (("validation", 16), ("test", 20))
        for condition in CONDITIONS
        for seed in seeds
        for who in range(n_speakers)
        for clip in range(2)
    ]
    table = pl.DataFrame(rows, schema=["subset", "condition", "seed", "clip_id", "speaker_id", "label"], orient="row")
    logits = 1.5 * (table["label"].to_numpy() - 0.5) + rng.standard_normal(table.height)
    return table.with_columns(score=1 / (1 + np.exp(-logits)))


def facts(table: pl.DataFrame) -> pl.DataFrame:
    """What a corpus knows of the clips: every third speaker is a man, four are of unknown age, and one of the south."""
    clips = table.select("clip_id", "speaker_id").unique().sort("clip_id")
    who = clips["speaker_id"].str.extract(r"(\d+)").cast(pl.Int64)
    one = (who == 3).cast(pl.Int64)
    return clips.with_columns(
        sex=pl.Series(["FFM"[i % 3] for i in who]),
        age=pl.Series(["" if i < 4 else str(30 + 2 * i) for i in who]),
        site=pl.Series(["south" if i else "north" for i in one]),
        device=pl.lit(""),
        task=pl.Series(["ab"[i % 2] for i in range(len(clips))]),
        recorded_on=pl.lit("2020-10-11"),
        spo2=pl.lit(""),
    )
