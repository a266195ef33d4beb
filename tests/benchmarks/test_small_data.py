"""The tables of tens of speakers are those that the benchmarks wrote, and a difference is of the same clips."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import learning_curves
from learning_curves import GROUPS, N_TEST, VALIDATION, choose
from small_data import auc_difference, settings_for
from small_data_table import PAGE, read, tables
from spira.predictions.scored import ScoredClips
from tiny import evaluate_params


def test_the_page_has_the_figures_of_the_file() -> None:
    """`benchmarks/small_data.py` writes both anew."""
    assert tables(read()) in PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_learning_curves_of_the_file() -> None:
    """`benchmarks/learning_curves.py` writes both anew, and the picture."""
    points = json.loads(learning_curves.JSON.read_text(encoding="utf-8"))["points"]
    assert learning_curves.table(points) in learning_curves.PAGE.read_text(encoding="utf-8")


def test_a_difference_is_paired_by_speaker() -> None:
    """Of two models that score alike it is 0 without doubt; one that is right of everybody is better than chance."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    scores = rng.normal(size=(1, 40))
    names = tuple(f"c{i:02}" for i in range(40))
    base = ScoredClips(names, names, ("1",) * 40, labels, scores, drawn=False)
    p = evaluate_params(n_resamples=200)
    assert auc_difference(base, base, p) == [0, 0, 0]
    value, lo, hi = auc_difference(base, replace(base, scores=labels[None].astype(np.float64)), p)
    assert 0 < lo < value < hi
    with pytest.raises(ValueError, match="expected the same clips, got the test sets differ: 20 clips only in base"):
        auc_difference(base, base.subset(labels == 1), p)


def test_a_network_brings_the_settings_of_its_row() -> None:
    """Those of experiments/compare.yaml, where the network itself is no setting."""
    assert settings_for("spiraconv_v2") == {}
    assert settings_for("cnn6")["features.kind"] == "mel"


@pytest.mark.parametrize("size", GROUPS)
def test_groups_of_a_size_share_nobody(size: int) -> None:
    """Nor does any meet the test speakers; each has as many speakers as it says, a tenth of them for validation."""
    names = [f"train-s{i:04}" for i in range(max(GROUPS))] + [f"test-s{i:04}" for i in range(N_TEST)]
    table = pl.DataFrame({"speaker_id": names})
    groups = [choose(table, size, group) for group in range(GROUPS[size])]
    trained = [name for group in groups for name in group.filter(pl.col("split") != "test")["speaker_id"]]
    assert len({*trained}) == len(trained) == size * len(groups)
    for group in groups:
        counts = dict(group["split"].value_counts().iter_rows())
        assert counts == {"train": size - size // VALIDATION, "validation": size // VALIDATION, "test": N_TEST}
