"""Several models of one run: which is deployed, what its ensemble is worth, and how they differ on the same clips."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from evaluated import BASELINE, NETWORK, predictions
from spira.evaluation.deploy import deployed
from spira.evaluation.params import EvaluateParams
from spira.evaluation.protocol import evaluate
from spira.evaluation.results import Evaluation
from spira.evaluation.test_set import make_test_sets
from spira.evaluation.thresholds import youden_threshold
from spira.predictions.table import models_in, scored_clips
from tiny import evaluate_params

P = evaluate_params(n_resamples=20)
TABLE = predictions().with_columns(fold=pl.lit("holdout"))
BASELINES = {BASELINE, "another_baseline"}
IN_TEST = pl.col("subset") == "test"


def evaluated(table: pl.DataFrame, p: EvaluateParams = P) -> Evaluation:
    validation = {name: scored_clips(table, "validation", name)[p.threshold_condition] for name in models_in(table)}
    tests = {name: make_test_sets(clips, scored_clips(table, "test", name), p) for name, clips in validation.items()}
    return evaluate("demo", validation, tests, {}, p)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluated(TABLE)


@pytest.mark.parametrize(
    ("aucs", "deploy", "name", "why"),
    [
        ({NETWORK: 0.9, BASELINE: 0.8}, "best", NETWORK, f"is the highest, 0.900; `{BASELINE}` has 0.800."),
        ({NETWORK: 0.8, BASELINE: 0.9}, "best", BASELINE, f"is the highest, 0.900; `{NETWORK}` has 0.800."),
        ({NETWORK: 0.9, BASELINE: 0.9}, "best", BASELINE, "and of equally good models a baseline is preferred."),
        ({NETWORK: 0.9004, BASELINE: 0.9}, "best", BASELINE, f"than its 0.900; `{NETWORK}` has 0.900, and of equally"),
        ({NETWORK: 0.901, BASELINE: 0.9}, "best", NETWORK, "is the highest, 0.901"),
        ({NETWORK: 0.9, "another": 0.9, BASELINE: 0.8}, "best", NETWORK, "and it is named first."),
        ({NETWORK: 0.9, BASELINE: 0.9, "another_baseline": 0.9}, "best", BASELINE, "a baseline is preferred"),
        ({NETWORK: 0.8, BASELINE: 0.9}, NETWORK, NETWORK, "`evaluate.deploy` names it; AUC on validation clips under"),
        ({BASELINE: 0.9}, "best", BASELINE, "it is the only model."),
    ],
)
def test_the_best_on_validation_is_deployed_and_a_baseline_where_equal(
    aucs: dict[str, float], deploy: str, name: str, why: str
) -> None:
    """Equal as the sentence prints them, to three decimals; and the sentence has every model's number."""
    chosen, because = deployed(aucs, BASELINES, deploy, "noisy")
    assert chosen == name
    assert because.startswith(f"`{name}` is deployed")
    assert why in because
    assert because.endswith(".")
    assert len(aucs) == 1 or all(f"{auc:.3f}" in because and f"`{model}`" in because for model, auc in aucs.items())


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**32 - 1))
def test_nothing_of_the_test_set_enters_the_choice(seed: int) -> None:
    """Test scores dealt out anew: other results, and the same model for the same reason, whichever is better."""
    rng = np.random.default_rng(seed)
    table, few = TABLE.filter(pl.col("condition") == "noisy"), P.model_copy(update={"n_resamples": 1})
    drawn = [rng.permutation(part["score"].to_numpy()) for part in table.partition_by("subset", maintain_order=True)]
    validation, test = table.partition_by("subset", maintain_order=True)
    validation = validation.with_columns(score=pl.Series(drawn[0]))  # now either model may be better
    one, other = (
        evaluated(pl.concat([validation, part]), few) for part in (test, test.with_columns(score=pl.Series(drawn[1])))
    )
    assert (one.deployed, one.deployed_because) == (other.deployed, other.deployed_because)
    assert one.models != other.models


def test_the_ensemble_is_the_mean_score_at_a_threshold_of_its_own(found: Evaluation) -> None:
    """By hand under each condition, with scikit-learn's AUC; better than one training, and a baseline has none."""
    assert found.models[BASELINE].ensemble is None
    ensemble = found.models[NETWORK].ensemble
    assert ensemble is not None
    own = TABLE.filter(pl.col("model") == NETWORK)
    mean = own.group_by("subset", "condition", "clip_id", "label").agg(pl.col("score").mean()).sort("clip_id")
    chosen_by = mean.filter(~IN_TEST & (pl.col("condition") == "noisy"))
    threshold = youden_threshold(chosen_by["label"].to_numpy(), chosen_by["score"].to_numpy())
    for condition, metrics in ensemble.items():
        test = mean.filter(IN_TEST & (pl.col("condition") == condition))
        labels, scores = test["label"].to_numpy(), test["score"].to_numpy()
        assert metrics.auc.mean == pytest.approx(roc_auc_score(labels, scores))
        assert metrics.auc.lo < metrics.auc.mean < metrics.auc.hi
        assert metrics.sensitivity.mean == pytest.approx(np.mean(scores[labels == 1] >= threshold))
        assert metrics.specificity.mean == pytest.approx(np.mean(scores[labels == 0] < threshold))
        assert metrics.auc.mean > found.models[NETWORK].conditions[condition].metrics.auc.mean


def test_the_ensemble_of_one_training_thrice_is_that_training() -> None:
    """Metric for metric, and its intervals; across folds as well, whose thresholds are their own."""
    one = TABLE.filter((pl.col("model") == NETWORK) & (pl.col("seed") == 1))
    fold = pl.when(pl.col("clip_id").str.contains(r"[0-4]_")).then(pl.lit("1")).otherwise(pl.lit("2"))
    folds = one.with_columns(fold=fold)
    for table in (one, folds):
        thrice = pl.concat([table.with_columns(seed=pl.lit(seed, pl.Int64)) for seed in (1, 2, 3)])
        found = evaluated(thrice).models[NETWORK]
        assert found.ensemble is not None
        assert evaluated(table).models[NETWORK].ensemble is None
        for condition, metrics in found.ensemble.items():
            for name, estimate in metrics:
                each = getattr(found.conditions[condition].metrics, name)
                assert_allclose([estimate.mean, estimate.lo, estimate.hi], [each.mean, each.lo, each.hi], atol=1e-12)


def test_models_differ_by_their_means_over_seeds_on_the_same_clips(found: Evaluation) -> None:
    """The network's AUC less the baseline's: each pair once, and over trainings too, since nothing in a baseline is
    drawn; but not where the network has one training."""
    assert {first: list(others) for first, others in found.differences.items()} == {NETWORK: [BASELINE]}
    for condition, less in found.differences[NETWORK][BASELINE].items():
        network, baseline = (found.models[name].conditions[condition].metrics.auc for name in (NETWORK, BASELINE))
        assert less.difference == pytest.approx(network.mean - baseline.mean)
        assert less.lo < less.difference < less.hi
        assert less.over_trainings
    assert found.deployed == NETWORK
    turned = found.beside_deployed(BASELINE)["noisy"]
    assert turned.difference == -found.differences[NETWORK][BASELINE]["noisy"].difference
    assert turned.lo < turned.difference < turned.hi
    named = evaluated(TABLE, P.model_copy(update={"deploy": BASELINE}))
    assert named.beside_deployed(NETWORK) == found.differences[NETWORK][BASELINE]
    single = evaluated(TABLE.filter(pl.col("seed") < 2)).differences[NETWORK][BASELINE]["noisy"]
    assert not single.over_trainings


def test_three_models_are_paired_each_with_each() -> None:
    """And one that scores as another does differs from it by exactly 0."""
    twin = TABLE.filter(pl.col("model") == BASELINE).with_columns(model=pl.lit("twin"))
    found = evaluated(pl.concat([TABLE, twin]))
    assert {first: list(others) for first, others in found.differences.items()} == {
        NETWORK: [BASELINE, "twin"],
        BASELINE: ["twin"],
    }
    same = found.differences[BASELINE]["twin"]["clean"]
    assert (same.difference, same.lo, same.hi) == (0, 0, 0)
    assert found.deployed == NETWORK


def test_too_few_people_to_pair_are_evaluated_all_the_same() -> None:
    """One patient in the test set has no spread: no difference is made up."""
    one = TABLE.filter(~IN_TEST | (pl.col("label") == 0) | (pl.col("speaker_id") == "test1"))
    found = evaluated(one)
    assert found.differences == {}
    assert found.beside_deployed(BASELINE) == {}
