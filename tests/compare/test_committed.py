"""What a commit's evaluation.json says, of this version of the code and of older ones."""

import json

import pytest

from spira.base.errors import DataError
from spira.compare.committed import Distance, Evaluated, Metrics, ProbeFile, evaluated, probed, read_committed

WHERE = "old:data/evaluation.json"
UNKNOWN = "not determined by these clips"


def estimate(mean: float | str) -> dict[str, float | str]:
    return {"mean": mean, "lo": 0.25, "hi": 0.75, "sd": 0.01}


def read(tree: object) -> Evaluated:
    return evaluated(read_committed(json.dumps(tree).encode(), WHERE, Metrics), WHERE)


METRICS = {"auc": estimate(0.5), "sensitivity": estimate(1), "specificity": estimate(UNKNOWN), "more": []}
CONDITIONS = {"noisy": {"metrics": METRICS, "more": 1}, "in_rain": "yes"}


@pytest.mark.parametrize(
    ("tree", "model"),
    [
        ({"conditions": CONDITIONS, "more": None}, "network"),
        ({"deployed": "b", "models": {"a": {"conditions": {}}, "b": {"conditions": CONDITIONS, "more": 1}}}, "b"),
    ],
)
def test_a_condition_s_numbers_are_flat_and_what_is_not_determined_is_left_out(tree: object, model: str) -> None:
    """Of a commit with one model, whose metrics stand at the top, and of one with several.

    Other keys, conditions and metrics are not looked at.
    """
    found = read(tree)
    assert found.deployed == model
    conditions = found.metrics[model]
    assert list(conditions) == ["noisy"]
    assert conditions["noisy"]["sensitivity"] == 1
    assert "specificity" not in conditions["noisy"]
    assert {name: conditions["noisy"][name] for name in ("auc", "auc_lo", "auc_hi")} == {
        "auc": 0.5,
        "auc_lo": 0.25,
        "auc_hi": 0.75,
    }


def test_how_far_models_are_apart_is_read_by_pair_and_condition() -> None:
    """In the order of conditions; what is not determined, and a condition that nobody knows, are left out."""
    apart = {"difference": -0.1, "lo": -0.2, "hi": 0.0, "over_trainings": True}
    conditions = {
        "noisy": apart,
        "clean": apart | {"hi": 0.1},
        "in_rain": apart,
        "noisy_controls": {**apart, "lo": UNKNOWN},
    }
    tree = {"deployed": "a", "models": {}, "differences": {"a": {"b": conditions}}}
    assert read(tree).distances == {
        ("a", "b"): {"clean": Distance(-0.1, -0.2, 0.1), "noisy": Distance(-0.1, -0.2, 0.0)}
    }


def test_an_older_form_is_a_sentence_and_no_file_is_no_numbers() -> None:
    """From before there were conditions in it."""
    with pytest.raises(DataError, match=r"^old:data/evaluation\.json: has an older form, without conditions; its"):
        read({"corpus": "demo", "noisy": {"auc": 0.8, "auc_lo": 0.7}})
    assert evaluated({}, WHERE) == Evaluated()


def test_probes_are_a_models_and_in_the_older_form_the_deployed_ones() -> None:
    """Neither form makes the other's of none."""
    probe = {"gain": {"verdict": "fail", "why": "loud"}}
    for tree, found in (
        ({"probes": probe}, {"b": probe}),
        ({"models": {"a": {"verdict": "fail", "probes": probe}, "b": {}}}, {"a": probe, "b": {}}),
        ({"corpus": "demo"}, {}),
    ):
        assert probed(read_committed(json.dumps(tree).encode(), "old:data/probes.json", ProbeFile), "b") == found
