"""What a commit's evaluation.json says, of this version of the code and of older ones."""

import json

import pytest

from spira.base.errors import DataError
from spira.compare.committed import Metrics, measured, read_committed

WHERE = "old:data/evaluation.json"
UNKNOWN = "not determined by these clips"


def estimate(mean: float | str) -> dict[str, float | str]:
    return {"mean": mean, "lo": 0.25, "hi": 0.75, "sd": 0.01}


def test_a_condition_s_numbers_are_flat_and_what_is_not_determined_is_left_out() -> None:
    """Other keys, conditions and metrics are not looked at."""
    metrics = {"auc": estimate(0.5), "sensitivity": estimate(1), "specificity": estimate(UNKNOWN), "more": []}
    tree = {"conditions": {"noisy": {"metrics": metrics, "more": 1}, "in_rain": "yes"}, "more": None}
    found = measured(read_committed(json.dumps(tree).encode(), WHERE, Metrics), WHERE)
    assert list(found) == ["noisy"]
    assert found["noisy"].pop("sensitivity") == 1
    assert "specificity" not in found["noisy"]
    assert {name: found["noisy"][name] for name in ("auc", "auc_lo", "auc_hi")} == {
        "auc": 0.5,
        "auc_lo": 0.25,
        "auc_hi": 0.75,
    }


def test_an_older_form_is_a_sentence_and_no_file_is_no_numbers() -> None:
    """From before there were conditions in it."""
    old = read_committed(b'{"corpus": "demo", "noisy": {"auc": 0.8, "auc_lo": 0.7}}', WHERE, Metrics)
    with pytest.raises(DataError, match=r"^old:data/evaluation\.json: has an older form, without conditions; its"):
        measured(old, WHERE)
    assert measured({}, WHERE) == {}
