"""data/predictions.csv as it is read: several models, and tables from before there were any."""

from pathlib import Path

import numpy as np
import pytest

from spira.predictions.table import models_in, read_predictions, scored_clips

HEAD = "model,fold,subset,condition,seed,clip_id,speaker_id,label,score\n"
# The baseline first, though its name is last in the alphabet, and clips in no order.
TABLE = (
    HEAD
    + "statistics,holdout,test,clean,0,b.wav,s2,0,0.2\n"
    + "statistics,holdout,test,clean,0,a.wav,s1,1,0.9\n"
    + "cnn,holdout,test,clean,2,a.wav,s1,1,0.6\n"
    + "cnn,holdout,test,clean,1,b.wav,s2,0,0.3\n"
    + "cnn,holdout,test,clean,1,a.wav,s1,1,0.7\n"
    + "cnn,holdout,test,clean,2,b.wav,s2,0,0.4\n"
)


def written(folder: Path, text: str) -> Path:
    (folder / "predictions.csv").write_text(text)
    return folder / "predictions.csv"


def test_each_model_has_its_own_clips_and_seeds(tmp_path: Path) -> None:
    """Models in the file's order; clips in the same order in each, so that they pair by position."""
    table = read_predictions(written(tmp_path, TABLE))
    assert models_in(table) == ("statistics", "cnn")
    baseline, network = (scored_clips(table, "test", model)["clean"] for model in ("statistics", "cnn"))
    assert baseline.clips == network.clips == ("a.wav", "b.wav")
    np.testing.assert_array_equal(baseline.scores, [[0.9, 0.2]])
    np.testing.assert_array_equal(network.scores, [[0.7, 0.3], [0.6, 0.4]])
    assert scored_clips(table, "validation", "cnn") == {}


@pytest.mark.parametrize("n_absent", [1, 2])
def test_a_table_from_before_has_one_model_called_network(tmp_path: Path, n_absent: int) -> None:
    """And before there were folds, one fold."""
    lines = [",".join(line.split(",")[n_absent:]) for line in TABLE.splitlines() if not line.startswith("statistics")]
    table = read_predictions(written(tmp_path, "\n".join(lines)))
    assert models_in(table) == ("network",)
    clips = scored_clips(table, "test", "network")["clean"]
    assert (clips.folds, clips.scores.shape) == (("holdout", "holdout"), (2, 2))
