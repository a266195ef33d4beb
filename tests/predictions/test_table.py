"""predictions.csv holds every model's scores; a table of an earlier version is still read."""

from pathlib import Path

import polars as pl
import pytest
from numpy.testing import assert_allclose

from spira.base.errors import DataError
from spira.predictions.table import models_in, read_predictions, scored_clips, write_predictions

CLIPS = ("a.wav", "b.wav", "c.wav")


def rows(model: str, seeds: tuple[int, ...], base: float) -> pl.DataFrame:
    """Three clips under two conditions; every score is another number."""
    found = [
        (model, "holdout", "test", condition, seed, clip, f"s{i}", i % 2, base + 0.1 * s + 0.01 * i + 0.001 * c)
        for c, condition in enumerate(("clean", "noisy"))
        for s, seed in enumerate(seeds)
        for i, clip in enumerate(CLIPS)
    ]
    names = ["model", "fold", "subset", "condition", "seed", "clip_id", "speaker_id", "label", "score"]
    return pl.DataFrame(found, schema=names, orient="row")


def both() -> pl.DataFrame:
    """A network of two seeds, then a baseline, whose name and seed sort before it."""
    return pl.concat([rows("pooled_cnn", (2, 1), 0.0), rows("a_baseline", (0,), 0.5)])


def test_each_model_has_its_own_scores_and_seeds(tmp_path: Path) -> None:
    """Models in the order of the file, seeds and clips sorted, whatever the order of the rows within a model."""
    shuffled = pl.concat([rows("pooled_cnn", (2, 1), 0.0)[::-1], rows("a_baseline", (0,), 0.5)])
    write_predictions(shuffled, tmp_path / "predictions.csv")
    table = read_predictions(tmp_path / "predictions.csv")
    assert models_in(table) == ("pooled_cnn", "a_baseline")
    network, baseline = (scored_clips(table, "test", name)["noisy"] for name in models_in(table))
    assert network.clips == baseline.clips == CLIPS
    assert_allclose(network.scores, [[0.101, 0.111, 0.121], [0.001, 0.011, 0.021]])
    assert_allclose(baseline.scores, [[0.501, 0.511, 0.521]])
    assert scored_clips(table, "validation", "pooled_cnn") == scored_clips(table, "test", "another") == {}


def test_a_table_of_before_there_were_models_or_folds_is_one_networks(tmp_path: Path) -> None:
    """Committed results of an earlier version are compared with today's."""
    new = rows("network", (1, 2), 0.0)
    for lacking in (["model"], ["model", "fold"]):
        new.drop(lacking).write_csv(tmp_path / "old.csv")
        table = read_predictions(tmp_path / "old.csv")
        assert models_in(table) == ("network",)
        assert table["fold"].unique().to_list() == ["holdout"]
        write_predictions(new, tmp_path / "new.csv")
        assert table.select(sorted(table.columns)).equals(
            read_predictions(tmp_path / "new.csv").select(sorted(table.columns))
        )


def test_the_model_is_the_first_column_and_an_empty_table_is_read(tmp_path: Path) -> None:
    """What a person sees first."""
    write_predictions(both().clear(), tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().startswith("model,fold,subset,condition,seed,clip_id,")
    assert models_in(read_predictions(tmp_path / "none.csv")) == ()


def test_a_score_that_is_not_finite_names_its_clips_and_models(tmp_path: Path) -> None:
    """And nothing is written."""
    broken = both().with_columns(
        score=pl.when(pl.col("clip_id") == "b.wav", pl.col("seed") < 2).then(float("nan")).otherwise(pl.col("score"))
    )
    with pytest.raises(
        DataError, match=r"got nan for b\.wav from the models a_baseline/holdout/0, pooled_cnn/holdout/1$"
    ):
        write_predictions(broken, tmp_path / "predictions.csv")
    assert not (tmp_path / "predictions.csv").exists()
