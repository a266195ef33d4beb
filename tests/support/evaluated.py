"""Predictions and facts of clips as evaluate reads them."""

import numpy as np
import polars as pl

from spira.features.conditions import CONDITIONS
from tiny import evaluate_params

P = evaluate_params(n_resamples=200)
NETWORK, BASELINE = "pooled_cnn", "statistics"
MODEL_PARAMS = {  # of params.yaml, what the model card reads
    "models": {"networks": [NETWORK], "baselines": [BASELINE]},
    "network": {"init_from": "none"},
}


def predictions(seeds: tuple[int, ...] = (1, 2, 3), models: tuple[str, ...] = (NETWORK, BASELINE)) -> pl.DataFrame:
    """Of 16 validation and 20 test speakers, two clips each: patients score higher, every seed and condition anew.

    The network is better than the baseline, in validation as in test.
    """
    rng = np.random.default_rng(7)
    rows = [
        (model, subset, condition, seed, f"{subset}{who}_{clip}.wav", f"{subset}{who}", who % 2)
        for model in models
        for subset, n_speakers in (("validation", 16), ("test", 20))
        for condition in CONDITIONS
        for seed in (seeds if model == NETWORK else (0,))
        for who in range(n_speakers)
        for clip in range(2)
    ]
    columns = ["model", "subset", "condition", "seed", "clip_id", "speaker_id", "label"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    apart = np.where(table["model"] == NETWORK, 1.5, 0.8)
    logits = apart * (table["label"].to_numpy() - 0.5) + rng.standard_normal(table.height)
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
