"""The stage evaluate: thresholds from validation, numbers from test, and both reported."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from evaluated import BASELINE, NETWORK, P, facts, predictions
from spira.base.errors import DataError, ParamKeyError
from spira.clips.recordings import clip_facts
from spira.evaluation.files import read_evaluation, write_evaluation
from spira.evaluation.metrics import LEAST
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Evaluation, Metrics
from spira.evaluation.thresholds import youden_threshold
from spira.features.conditions import CONDITIONS
from spira.probes.results import ProbeAnswer
from spira.report.files import read_plots
from spira.report.page import Sources, make_report
from spira.stages.evaluate import run
from tiny import evaluate_params

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("predictions.csv", "clips.csv")
METRICS = tuple(Metrics.model_fields)


class Evaluated:
    """What the stage wrote in one folder."""

    def __init__(self, table: pl.DataFrame, folder: Path, corpus: str = "demo", p: EvaluateParams = P) -> None:
        folder.mkdir()
        self.folder = folder
        table.write_csv(folder / "predictions.csv")
        facts(table).write_csv(folder / "clips.csv")
        run(
            corpus,
            p,
            predictions=folder / "predictions.csv",
            clips=folder / "clips.csv",
            metrics=folder / "metrics.json",
            evaluation=folder / "evaluation.json",
            worst=folder / "worst_clips.csv",
            plots=folder / "plots",
        )
        self.text = (folder / "evaluation.json").read_text(encoding="utf-8")
        self.tree: dict[str, Any] = json.loads(self.text)
        self.metrics: dict[str, Any] = self.tree["models"][self.tree["deployed"]]
        self.headline: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        self.found = read_evaluation(folder / "evaluation.json")
        self._p = p

    @cached_property
    def report(self) -> str:
        """Made where a test reads it: with its pictures it takes thrice as long as the stage."""
        probes: dict[str, dict[str, ProbeAnswer]] = {model: {} for model in self.found.models}
        sources = Sources(self.found, probes, read_plots(self.folder / "plots"), [["-"]], {}, [], [])
        return make_report(sources, self._p).markdown()

    def condition(self, name: str) -> dict[str, Any]:
        """``auc``, ``auc_lo``, ``auc_hi``, ``auc_sd`` and so on, as written."""
        return flat(self.metrics["conditions"][name]["metrics"])

    def plot(self, name: str) -> pl.DataFrame:
        return pl.read_csv(self.folder / "plots" / f"{name}.csv")

    def outputs(self) -> dict[str, bytes]:
        """Everything but the inputs, by its name."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name not in INPUTS)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}


def flat(estimates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Each metric's mean by its name, and its interval and spread by its name and a suffix."""
    suffixes = {"mean": "", "lo": "_lo", "hi": "_hi", "sd": "_sd"}
    return {f"{name}{suffixes[key]}": value for name, of in estimates.items() for key, value in of.items()}


def cells(text: str) -> list[list[str]]:
    """Of every line of a table in Markdown."""
    return [re.split(r" *\| *", line.strip("| \n")) for line in text.splitlines() if line.startswith("|")]


def shown(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d[\d.]*", cell)]


def leaves(tree: dict[str, Any]) -> Iterator[Any]:
    for value in tree.values():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return Evaluated(predictions(), tmp_path_factory.mktemp("evaluate") / "run")


def test_metrics_are_scalars_that_dvc_can_compare(evaluated: Evaluated) -> None:
    """Finite numbers of six decimals and the corpus's name; ``dvc metrics diff`` drops lists, and NaN is no JSON."""
    json.loads(evaluated.text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert set(evaluated.tree) == {*Evaluation.model_fields}
    assert evaluated.tree["threshold_condition"] == "noisy"
    numbers = [
        number
        for model in evaluated.tree["models"].values()
        for number in leaves({name: tree for name, tree in model.items() if name not in ("subgroups", "test")})
        if number is not None  # no ensemble
    ]
    assert all(type(number) is float and isfinite(number) and round(number, 6) == number for number in numbers)
    group_numbers = [number for number in leaves(evaluated.metrics["subgroups"]) if isinstance(number, int | float)]
    assert len(group_numbers) > 100
    assert all(isfinite(number) and round(number, 6) == number for number in group_numbers)


def test_every_condition_has_every_metric_with_its_interval_and_spread(evaluated: Evaluated) -> None:
    """``auc``, ``auc_lo``, ``auc_hi``, ``auc_sd``, and so on; and the threshold's own mean and spread."""
    assert list(evaluated.metrics["conditions"]) == list(CONDITIONS)
    assert set(evaluated.metrics["threshold"]) == {"mean", "sd"}
    for condition in CONDITIONS:
        of = evaluated.condition(condition)
        assert set(of) == {f"{name}{suffix}" for name in METRICS for suffix in ("", "_lo", "_hi", "_sd")}
        for name in METRICS:
            assert LEAST[name] <= of[f"{name}_lo"] <= of[name] <= of[f"{name}_hi"] <= 1


def test_the_headline_is_few_numbers_and_the_same_ones(evaluated: Evaluated) -> None:
    """``dvc exp show`` has a column for each: an AUC a condition, one interval, one operating point, and validation's
    AUC, which is what settings may be chosen by."""
    noisy = evaluated.condition("noisy")
    chosen_by = (pl.col("subset") == "validation") & (pl.col("condition") == "noisy")
    aucs = {}
    for model, found in evaluated.found.models.items():
        table = predictions().filter(chosen_by & (pl.col("model") == model))
        by_seed = [roc_auc_score(part["label"], part["score"]) for part in table.partition_by("seed")]
        tested = {name: round(condition.metrics.auc.mean, 6) for name, condition in found.conditions.items()}
        aucs[model] = {"validation": pytest.approx(np.mean(by_seed), abs=1e-6), **tested}
    assert evaluated.headline == {
        "corpus": evaluated.tree["corpus"],
        "deployed": NETWORK,
        "auc": {**aucs[NETWORK], "noisy_lo": noisy["auc_lo"], "noisy_hi": noisy["auc_hi"]},
        "sensitivity": {"noisy": noisy["sensitivity"]},
        "specificity": {"noisy": noisy["specificity"]},
        "models": {model: {"auc": found} for model, found in aucs.items()},
    }


def test_the_demo_is_called_synthetic_wherever_its_numbers_are(evaluated: Evaluated, tmp_path: Path) -> None:
    """Nobody takes the demo's AUC for a medical result; and no real corpus is called synthetic."""
    assert "SYNTHETIC" in evaluated.tree["corpus"]
    assert "SYNTHETIC" in evaluated.report
    real = Evaluated(predictions((1,)), tmp_path / "real", corpus="hospital")
    assert real.tree["corpus"] == "hospital"
    assert "SYNTHETIC" not in real.report + real.text


def test_the_report_says_on_whom_and_how_sure(evaluated: Evaluated) -> None:
    """Speakers, clips, trainings, confidence, and tables with the very numbers of evaluation.json: all of the deployed
    model, and the first of every model beside each other with the ensemble's and the paired difference."""
    assert "Test: 20 speakers (10 patients), 40 clips" in evaluated.report
    assert f"Mean over trainings: 3 of `{NETWORK}`, 1 of `{BASELINE}`; in brackets the 95% interval" in evaluated.report
    assert "validation clips under `noisy`" in evaluated.report
    first, _, rest = evaluated.report.partition(f"\n## Results: `{NETWORK}`")
    head, _, *rows = cells(rest.partition("\n## ")[0])
    assert head == ["condition", "AUC", "sensitivity", "specificity", "accuracy", "F1"]
    assert [row[0] for row in rows] == list(CONDITIONS)
    for condition, *values in rows:
        of = evaluated.condition(condition)
        for name, cell in zip(METRICS, values, strict=True):
            assert shown(cell) == pytest.approx([of[name], of[f"{name}_lo"], of[f"{name}_hi"]], abs=6e-4)
    head, _, *rows = cells(first)
    aucs = ["AUC", f"AUC less that of {NETWORK}", "AUC of the ensemble"]
    assert head == ["condition", "model", *aucs, "sensitivity", "specificity"]
    assert [row[:2] for row in rows] == [
        [condition, model] for condition in CONDITIONS for model in (NETWORK, BASELINE)
    ]
    for condition, model, auc, less, together, *values in rows:
        of = flat(evaluated.tree["models"][model]["conditions"][condition]["metrics"])
        for name, cell in zip(METRICS, [auc, *values], strict=False):
            assert shown(cell) == pytest.approx([of[name], of[f"{name}_lo"], of[f"{name}_hi"]], abs=6e-4)
        difference = evaluated.tree["differences"][NETWORK][BASELINE][condition]  # here it is the baseline's less
        turned = [-difference["difference"], -difference["hi"], -difference["lo"]]
        assert shown(less) == pytest.approx(turned if model == BASELINE else [], abs=6e-4)
        whole = evaluated.found.models[model].ensemble
        assert together == (whole[condition].auc.text if whole else "–")


def test_a_fraction_of_a_percent_of_confidence_is_not_rounded_away(tmp_path: Path) -> None:
    """97.5 % is not 98 %."""
    p = P.model_copy(update={"confidence": 0.975})
    assert "the 97.5% interval" in Evaluated(predictions((1,)), tmp_path / "run", p=p).report


def test_thresholds_come_from_validation_under_the_named_condition(evaluated: Evaluated, tmp_path: Path) -> None:
    """Other test labels, other test scores, other conditions of validation: the same thresholds."""
    rng = np.random.default_rng(0)
    noisy_validation = (pl.col("subset") == "validation") & (pl.col("condition") == "noisy")
    table = predictions()
    other = table.with_columns(
        score=pl.when(noisy_validation).then("score").otherwise(pl.Series(rng.uniform(size=table.height))),
        label=pl.when(pl.col("subset") == "test").then(1 - pl.col("label")).otherwise("label"),
    )
    moved = Evaluated(other, tmp_path / "moved").metrics
    assert moved["threshold"] == evaluated.metrics["threshold"]
    assert all(moved["conditions"][name] != evaluated.metrics["conditions"][name] for name in CONDITIONS)
    under = Evaluated(table, tmp_path / "clean", p=P.model_copy(update={"threshold_condition": "clean"})).metrics
    assert under["threshold"] != evaluated.metrics["threshold"]


@pytest.mark.parametrize("rule", ["youden", "sensitivity", "cost"])
def test_no_rule_sees_a_test_label(rule: str, tmp_path: Path) -> None:
    """Test labels dealt out anew among the test speakers: by every rule, the very same thresholds."""
    p = evaluate_params(n_resamples=20, threshold={"rule": rule, "sensitivity": 0.8, "cost_of_a_miss": 3.0})
    table = predictions(models=(NETWORK,))
    speakers = table.filter(pl.col("subset") == "test")["speaker_id"].unique().sort()
    dealt = pl.Series(np.random.default_rng(5).permutation(np.arange(len(speakers)) % 2))
    of = pl.DataFrame({"speaker_id": speakers, "dealt": dealt})
    other = table.join(of, on="speaker_id", how="left", maintain_order="left").with_columns(
        label=pl.coalesce("dealt", "label")
    )
    assert other["label"].to_list() != table["label"].to_list()
    one, two = (Evaluated(t.drop("dealt", strict=False), tmp_path / n, p=p) for t, n in ((table, "a"), (other, "b")))
    assert one.metrics["threshold"] == two.metrics["threshold"]
    assert one.condition("noisy") != two.condition("noisy")


def test_the_rule_changes_the_threshold_and_the_report_says_which(evaluated: Evaluated, tmp_path: Path) -> None:
    """Validation's sensitivity is what was asked for; the report names the rule and the band."""
    p = evaluate_params(
        n_resamples=20,
        inconclusive_width=0.2,
        threshold={"rule": "sensitivity", "sensitivity": 0.95, "cost_of_a_miss": 1.0},
    )
    found = Evaluated(predictions(), tmp_path / "run", p=p)
    assert found.metrics["threshold"]["mean"] < evaluated.metrics["threshold"]["mean"]
    assert found.condition("noisy")["sensitivity"] > evaluated.condition("noisy")["sensitivity"]
    assert "the highest that finds at least 95% of the patients' clips" in found.report
    assert "A score less than 0.1 from it" in found.report
    inside, before = (of.found.headline.inconclusive.share.mean for of in (found, evaluated))
    assert inside > before
    assert "(Youden's index)" in evaluated.report


def test_every_answer_has_its_interval_and_a_place_in_the_report(evaluated: Evaluated) -> None:
    """Each lies in its interval, each interval in [0, 1]; the report has the numbers of evaluation.json."""
    for condition in evaluated.metrics["conditions"].values():
        for answers in (
            condition["inconclusive"],
            condition["operating_points"],
            *condition["predictive_values"].values(),
        ):
            of = flat(answers)
            for name in answers:
                assert 0 <= of[f"{name}_lo"] <= of[name] <= of[f"{name}_hi"] <= 1
    noisy = evaluated.metrics["conditions"]["noisy"]
    for of, name in (
        (noisy["operating_points"], "sensitivity_at_specificity"),
        (noisy["predictive_values"]["0.05"], "ppv"),
    ):
        assert f"| {of[name]['mean']:.3f} [{of[name]['lo']:.3f}, {of[name]['hi']:.3f}] |" in evaluated.report
    rare, common = (noisy["predictive_values"][share]["ppv"]["mean"] for share in ("0.05", "0.5"))
    assert rare < common


def test_calibration_is_fitted_on_validation_and_moves_no_call(evaluated: Evaluated, tmp_path: Path) -> None:
    """Other test labels: other figures, but the very same calibrated scores; and the headline knows nothing of it."""
    other = pl.when(pl.col("subset") == "test").then(1 - pl.col("label")).otherwise("label")
    moved = Evaluated(predictions().with_columns(label=other), tmp_path / "moved")
    for when in ("before", "after"):
        mine, theirs = (of.plot(f"reliability_{when}_noisy") for of in (evaluated, moved))
        assert mine["score"].to_list() == theirs["score"].to_list()
        assert mine["patients"].to_list() == pytest.approx((1 - theirs["patients"]).to_list(), abs=2e-6)
        assert mine["clips"].sum() == 3 * 40
        of = flat(evaluated.metrics["conditions"]["noisy"]["calibration"][when])
        assert of["brier_lo"] <= of["brier"] <= of["brier_hi"]
        numbers = " | ".join(f"{of[name]:.3f}" for name in ("slope", "intercept"))
        error = f"{of['expected_error']:.3f} [{of['expected_error_lo']:.3f}, {of['expected_error_hi']:.3f}]"
        assert f"[{of['brier_lo']:.3f}, {of['brier_hi']:.3f}] | {error} | {numbers} |" in evaluated.report
    p = evaluate_params(n_resamples=200, calibration={"method": "isotonic", "n_bins": 5})
    isotonic = Evaluated(predictions(), tmp_path / "isotonic", p=p)
    assert isotonic.headline == evaluated.headline
    assert isotonic.found.headline.calibration.after != evaluated.found.headline.calibration.after


@pytest.mark.ml_test_score("Model 6")
def test_groups_are_evaluated_counted_or_called_too_few_and_none_is_hidden(evaluated: Evaluated) -> None:
    """Every value of every column is there, its metrics those of its own clips; and the report has a row for each."""
    table = predictions(models=(NETWORK,)).filter((pl.col("subset") == "test") & (pl.col("condition") == "noisy"))
    with_facts = table.join(facts(table).drop("speaker_id"), on="clip_id")
    of = evaluated.metrics["subgroups"]
    assert list(of) == ["sex", "age", "site", "device", "task"]
    for sex in "FM":
        own = with_facts.filter(pl.col("sex") == sex)
        found = of["sex"]["groups"][sex]
        assert found["n_clips"] == own["clip_id"].n_unique()
        assert found["n_speakers"] == own["speaker_id"].n_unique()
        by_seed = [roc_auc_score(part["label"], part["score"]) for part in own.partition_by("seed")]
        if found["metrics"] is not None:
            assert found["metrics"]["auc"]["mean"] == pytest.approx(np.mean(by_seed), abs=1e-6)
    assert of["site"]["groups"]["south"] == {"n_speakers": 1, "n_patients": 1, "n_clips": 2, "metrics": None}
    assert of["site"]["gap"] is None
    assert of["device"]["groups"]["unknown"]["n_clips"] == 40
    assert of["age"]["groups"]["unknown"]["metrics"] is None
    for column, tree in of.items():
        for value, found in tree["groups"].items():
            people = f"{found['n_speakers']} ({found['n_patients']}) | {found['n_clips']}"
            assert f"| {column} | {value} | {people} |" in evaluated.report
            assert f"| {column} | {value} | {people} | too few |" in evaluated.report or found["metrics"] is not None


def test_a_group_that_the_corpus_cannot_tell_is_refused(tmp_path: Path) -> None:
    """A column that the table of clips lacks, and a clip that it lacks, are named."""
    p = evaluate_params(n_resamples=20, subgroups=("sex", "shoe_size"))
    with pytest.raises(DataError, match=r"clips.csv: expected columns clip_id, sex, shoe_size: .*shoe_size"):
        Evaluated(predictions((1,)), tmp_path / "run", p=p)
    write = tmp_path / "clips.csv"
    facts(predictions((1,)).filter(pl.col("clip_id") != "test3_1.wav")).write_csv(write)
    with pytest.raises(
        DataError, match=r"clips.csv: 1 of 2 clips that were scored are missing, such as test3_1.wav; run: dvc repro"
    ):
        clip_facts(["test3_0.wav", "test3_1.wav"], ["sex"], write)


def test_the_worst_clips_are_named_where_git_does_not_look(evaluated: Evaluated) -> None:
    """Each is on the wrong side, the most confident first, with what is known of it; no other file names a clip."""
    worst = pl.read_csv(evaluated.folder / "worst_clips.csv")
    assert worst.columns[:7] == ["clip_id", "speaker_id", "label", "score", "threshold", "wrong_by", "seeds_wrong"]
    assert {"sex", "age", "site", "device", "recorded_on", "spo2", "task"} <= set(worst.columns)
    assert 0 < worst.height <= P.n_worst
    assert worst["wrong_by"].is_sorted(descending=True)
    assert worst.select((pl.col("score") >= pl.col("threshold")) == (pl.col("label") == "control")).to_series().all()
    for name, content in evaluated.outputs().items():
        assert name == "worst_clips.csv" or (b".wav" not in content and b"test3" not in content), name
    ignored = (ROOT / "data/.gitignore").read_text().splitlines()
    assert "/worst_clips.csv" in ignored


def test_the_evaluation_survives_a_round_trip(evaluated: Evaluated, crossed: Evaluated, tmp_path: Path) -> None:
    """Read and written again it has the same bytes: with folds, without a group's metrics, and undetermined."""
    constant = Evaluated(predictions().with_columns(score=pl.lit(0.25)), tmp_path / "constant")
    for run_again in (evaluated, crossed, constant):
        write_evaluation(run_again.found, tmp_path / "again.json")
        assert (tmp_path / "again.json").read_text(encoding="utf-8") == run_again.text
    for found in (evaluated.found, crossed.found):  # of the third, NaN is no equal of NaN
        assert Evaluation.model_validate_json(found.model_dump_json()) == found
    assert isnan(constant.found.headline.predictive_values["0.05"].npv.mean)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda _: {"corpus": "demo", "noisy": {"auc": 0.8}}, "threshold_condition: Field required"),
        (lambda tree: tree["models"][NETWORK] | {"corpus": "demo"}, "threshold_condition: Field required"),
        (lambda tree: tree | {"deployed": "another"}, "the file: Value error, another is deployed, and was not"),
        (
            lambda tree: (
                tree | {"models": {NETWORK: tree["models"][NETWORK] | {"threshold": {"mean": "half", "sd": 0.0}}}}
            ),
            f"models.{NETWORK}.threshold.mean: Input should be a valid number",
        ),
        (lambda tree: tree | {"more": 1}, "more: Extra inputs are not permitted"),
        (lambda tree: [tree], "the file: Input should be a valid dictionary"),
    ],
    ids=["an older form", "one model alone", "an unknown model", "a word for a number", "a key too many", "a list"],
)
def test_an_evaluation_of_another_form_is_a_sentence(
    change: Callable[[Any], Any], why: str, evaluated: Evaluated, tmp_path: Path
) -> None:
    """What another version of the code wrote is named with its first difference and the command that renews it."""
    (tmp_path / "old.json").write_text(json.dumps(change(evaluated.tree)))
    with pytest.raises(DataError, match=rf"old.json: {why}.*; another version wrote it: dvc repro evaluate$"):
        read_evaluation(tmp_path / "old.json")


def test_what_the_clips_do_not_determine_is_said_in_words(tmp_path: Path) -> None:
    """A constant predictor calls everybody a patient: nobody called control can be right."""
    constant = Evaluated(predictions().with_columns(score=pl.lit(0.25)), tmp_path / "run")
    of = flat(constant.metrics["conditions"]["noisy"]["predictive_values"]["0.05"])
    assert of["npv"] == of["npv_lo"] == "not determined by these clips"
    assert of["ppv"] == 0.05
    assert re.search(r"^\| 0\.05 \| 0\.050 \[0\.0\d\d, 0\.\d{3}\] \| – \|$", constant.report, re.MULTILINE)
    assert "NaN" not in constant.text


def test_each_seed_is_evaluated_at_its_own_threshold(tmp_path: Path) -> None:
    """Seed 2 scores half of seed 1: its own threshold is half as high, and the metrics are the same."""
    one = predictions((1,), models=(NETWORK,))
    both = pl.concat([one, one.with_columns(pl.lit(2, dtype=pl.Int64).alias("seed"), score=pl.col("score") / 2)])
    first, second = Evaluated(one, tmp_path / "single"), Evaluated(both, tmp_path / "double")
    assert [second.condition(name) for name in CONDITIONS] == [first.condition(name) for name in CONDITIONS]
    double, t = second.metrics, first.metrics["threshold"]["mean"]
    assert double["threshold"]["mean"] == pytest.approx(0.75 * t, abs=2e-6)
    assert double["threshold"]["sd"] == pytest.approx(t / 2 / 2**0.5, abs=2e-6)  # of a sample, as every other sd


def test_the_order_of_rows_does_not_matter(evaluated: Evaluated, tmp_path: Path) -> None:
    """Byte for byte, in every file, but for the models' own; and the input's own folder is not in them."""
    models = predictions().partition_by("model", maintain_order=True)
    shuffled = pl.concat([model.sample(fraction=1, shuffle=True, seed=3) for model in models])
    assert Evaluated(shuffled, tmp_path / "run").outputs() == evaluated.outputs()


def test_a_rerun_gives_the_same_bytes(evaluated: Evaluated, tmp_path: Path) -> None:
    """Seeded intervals, no clock."""
    assert Evaluated(predictions(), tmp_path / "run").outputs() == evaluated.outputs()


def test_a_constant_predictor_is_worth_nothing(tmp_path: Path) -> None:
    """AUC 0.5, no interval that excludes it, everybody called a patient, precision at the prevalence."""
    constant = Evaluated(predictions().with_columns(score=pl.lit(0.25)), tmp_path / "run")
    for condition in CONDITIONS:
        of = constant.condition(condition)
        assert (of["auc"], of["auc_sd"]) == (0.5, 0.0)
        assert of["auc_lo"] < 0.5 < of["auc_hi"]
        assert (of["sensitivity"], of["specificity"]) == (1.0, 0.0)
        assert set(constant.plot(f"precision_recall_{condition}")["precision"]) == {0.5}
    assert constant.metrics["threshold"] == {"mean": 0.25, "sd": 0.0}


def test_a_perfect_predictor_is_worth_everything(tmp_path: Path) -> None:
    """All metrics 1, no interval beyond it, and none that is a point: other people may yet be called wrong."""
    table = predictions().with_columns(score=0.1 + 0.8 * pl.col("label"))
    run_once = Evaluated(table, tmp_path / "run")
    perfect = {c: run_once.condition(c) for c in CONDITIONS}
    assert {perfect[c][f"{name}{suffix}"] for c in CONDITIONS for name in METRICS for suffix in ("", "_hi")} == {1.0}
    for name in METRICS:
        lows = [perfect[c][f"{name}_lo"] for c in CONDITIONS]
        assert all(0.5 < (low - LEAST[name]) / (1 - LEAST[name]) < 0.95 for low in lows), name


def test_what_stands_first_is_of_the_model_that_is_deployed(evaluated: Evaluated, tmp_path: Path) -> None:
    """Named in the parameters: its curves, worst clips and headline are those of a run of it alone. What is found of
    each model, and of their difference, is as before."""
    named = Evaluated(predictions(), tmp_path / "named", p=P.model_copy(update={"deploy": BASELINE}))
    alone = Evaluated(predictions().filter(pl.col("model") == BASELINE), tmp_path / "alone")
    files = [name for name in alone.outputs() if name.endswith(".csv")]
    assert len(files) > 20
    assert all(named.outputs()[name] == alone.outputs()[name] for name in files)
    assert all(named.outputs()[name] != evaluated.outputs()[name] for name in files if "decision" not in name)
    for key in ("auc", "sensitivity", "specificity"):
        assert named.headline[key] == alone.headline[key] != evaluated.headline[key]
    assert (named.tree["deployed"], alone.tree["deployed"]) == (BASELINE, BASELINE)
    assert "because `evaluate.deploy` names it" in named.report
    for key in ("models", "differences"):
        assert named.tree[key] == evaluated.tree[key]


def test_a_model_that_was_not_scored_cannot_be_deployed(tmp_path: Path) -> None:
    """The names that there are, before anything is written."""
    message = f"evaluate.deploy: expected best, {NETWORK} or {BASELINE}, got 'panns'"
    with pytest.raises(ParamKeyError, match=message):
        Evaluated(predictions(), tmp_path / "run", p=P.model_copy(update={"deploy": "panns", "n_resamples": 20}))
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(INPUTS)


def test_plots_show_what_the_metrics_say(evaluated: Evaluated) -> None:
    """The ROC's area is the AUC, the matrix's rows are sensitivity and specificity, histograms sum to 1."""
    kinds = ("roc", "precision_recall", "scores", "confusion", "reliability_before", "reliability_after", "decision")
    assert {path.stem for path in (evaluated.folder / "plots").glob("*.csv")} == {
        f"{k}_{c}" for k in kinds for c in CONDITIONS
    }
    for condition in CONDITIONS:
        of = evaluated.condition(condition)
        roc = evaluated.plot(f"roc_{condition}")
        assert roc.row(0) == (0, 0)
        assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(of["auc"], abs=0.01)
        pairs = evaluated.plot(f"confusion_{condition}")
        assert pairs.height == 3 * 40
        for actual, name in (("patient", "sensitivity"), ("control", "specificity")):
            rows = pairs.filter(pl.col("actual") == actual)
            assert (rows["predicted"] == actual).mean() == pytest.approx(of[name], abs=1e-6)
        scores = evaluated.plot(f"scores_{condition}")
        assert scores["controls"].sum() == pytest.approx(1, abs=1e-5)
        assert scores["patients"].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("subset", ["validation", "test"])
@pytest.mark.parametrize(("label", "missing"), [(0, "patient"), (1, "control")])
def test_a_missing_class_is_a_sentence(subset: str, label: int, missing: str, tmp_path: Path) -> None:
    """Where, and which; before anything is written."""
    table = predictions().filter((pl.col("subset") != subset) | (pl.col("label") == label))
    message = rf"predictions.csv: {subset}: needs patients and controls, has no {missing} clip$"
    with pytest.raises(DataError, match=message):
        Evaluated(table, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(INPUTS)


@pytest.mark.parametrize(
    "broken",
    [
        predictions()[1:],
        pl.concat([predictions(), predictions()[:1]]),
        pl.concat([predictions()[1:], predictions()[1:2]]),
        predictions().filter((pl.col("seed") != 2) | (pl.col("condition") != "noisy")),
        predictions()[:-1],
    ],
    ids=["one missing", "one twice", "one twice for another", "one seed not scored in noise", "the baseline's last"],
)
def test_scores_that_do_not_pair_are_refused(broken: pl.DataFrame, tmp_path: Path) -> None:
    """Seeds are stacked by place: a missing row would pair every later score with another clip's label."""
    with pytest.raises(DataError, match=r"predictions.csv: must have one score of each clip under each condition"):
        Evaluated(broken, tmp_path / "run")


@pytest.mark.parametrize(
    "other",
    [
        pl.col("clip_id") != "test3_1.wav",
        pl.col("condition") != "clean",
    ],
    ids=["a clip less", "a condition less"],
)
def test_models_that_scored_other_clips_are_refused(other: pl.Expr, tmp_path: Path) -> None:
    """Each is complete by itself; paired they would not be of the same people."""
    broken = predictions().filter((pl.col("model") == NETWORK) | other)
    message = f"every model must score the same clips under the same conditions, {NETWORK} and {BASELINE} do not"
    with pytest.raises(DataError, match=rf"predictions.csv: {message}; dvc repro -f predict$"):
        Evaluated(broken, tmp_path / "run")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.5, None])
def test_a_score_that_is_no_probability_is_refused(score: float | None, tmp_path: Path) -> None:
    """A diverged model's NaN never becomes a metric; the clip is named."""
    table = predictions().with_columns(score=pl.when(pl.int_range(pl.len()) == 5).then(score).otherwise("score"))
    with pytest.raises(DataError, match=r"score must be in \[0, 1\], got .* for clip validation2_1.wav"):
        Evaluated(table, tmp_path / "run")


def test_the_stage_that_evaluates_imports_no_torch() -> None:
    """Evaluating again costs a second, on a machine that need not hold a deep-learning framework."""
    code = "import spira.stages.evaluate, sys; sys.exit('torch' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def folded(seeds: tuple[int, ...] = (1, 2)) -> pl.DataFrame:
    """Three folds of 36 speakers, each tested by one and choosing for another; fold 3's models score half as high."""
    rng = np.random.default_rng(11)
    rows = [
        (str(fold), subset, condition, seed, f"{who}.wav", f"s{who}", who % 2)
        for fold in (1, 2, 3)
        for subset, place in (("test", fold), ("validation", fold % 3 + 1))
        for condition in CONDITIONS
        for seed in seeds
        for who in range(12 * (place - 1), 12 * place)
    ]
    names = ["fold", "subset", "condition", "seed", "clip_id", "speaker_id", "label"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    logits = 1.5 * (table["label"].to_numpy() - 0.5) + rng.standard_normal(table.height)
    half = pl.when(pl.col("fold") == "3").then(0.5).otherwise(1.0)
    return table.with_columns(score=half / (1 + np.exp(-logits)))


TESTED_ONCE = (pl.col("subset") == "test") & (pl.col("seed") == 1)
OF_FOLD_1 = (pl.col("fold") == "1") & (pl.col("condition") == "noisy")


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return Evaluated(folded(), tmp_path_factory.mktemp("evaluate") / "crossed")


def test_each_clip_is_classified_by_the_threshold_of_its_own_fold(crossed: Evaluated) -> None:
    """By hand, a fold and a seed at a time; AUC over all clips together, validation's a fold at a time."""
    table, right, aucs, thresholds = folded().filter(pl.col("condition") == "noisy"), [], [], {}
    for (fold, seed), part in table.partition_by("fold", "seed", as_dict=True).items():
        validation, test = (part.filter(pl.col("subset") == subset) for subset in ("validation", "test"))
        threshold = youden_threshold(validation["label"].to_numpy(), validation["score"].to_numpy())
        thresholds[fold, seed] = threshold
        aucs.append(roc_auc_score(validation["label"], validation["score"]))
        right += ((test["score"] >= threshold) == (test["label"] == 1)).to_list()
    assert crossed.condition("noisy")["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
    assert crossed.headline["auc"]["validation"] == pytest.approx(np.mean(aucs), abs=1e-6)
    assert crossed.metrics["threshold"]["mean"] == pytest.approx(np.mean(list(thresholds.values())), abs=1e-6)
    tested = table.filter(pl.col("subset") == "test").partition_by("seed")
    pooled = [roc_auc_score(part["label"], part["score"]) for part in tested]
    assert crossed.condition("noisy")["auc"] == pytest.approx(np.mean(pooled), abs=1e-6)
    assert list(crossed.metrics["folds"]) == ["1", "2", "3"]
    assert crossed.metrics["folds"]["3"]["threshold"] < crossed.metrics["folds"]["1"]["threshold"]


def test_a_change_in_one_folds_validation_moves_no_other_fold(crossed: Evaluated, tmp_path: Path) -> None:
    """Other labels and scores among fold 1's validation clips: its threshold moves, the others' stay."""
    chooses = OF_FOLD_1 & (pl.col("subset") == "validation")
    table = folded().with_columns(
        label=pl.when(chooses).then(1 - pl.col("label")).otherwise("label"),
        score=pl.when(chooses).then(pl.col("score") ** 2).otherwise("score"),
    )
    moved = Evaluated(table, tmp_path / "moved").metrics["folds"]
    assert moved["1"]["threshold"] != crossed.metrics["folds"]["1"]["threshold"]
    assert {fold: moved[fold] for fold in "23"} == {fold: crossed.metrics["folds"][fold] for fold in "23"}


def test_test_clips_of_no_fold_move_a_threshold(crossed: Evaluated, tmp_path: Path) -> None:
    """The clips that one fold tests are those that another chooses by: only the rows of its own validation count."""
    other = pl.when(pl.col("subset") == "test").then(1 - pl.col("score")).otherwise("score")
    moved = Evaluated(folded().with_columns(score=other), tmp_path / "moved")
    assert moved.metrics["threshold"] == crossed.metrics["threshold"]
    assert moved.condition("noisy")["auc"] != crossed.condition("noisy")["auc"]


def test_the_report_says_that_it_is_cross_validation(crossed: Evaluated) -> None:
    """How many folds, on whom, and where thresholds come from; the plots hold everybody once a seed."""
    assert (
        "3-fold cross-validation: 36 speakers (18 patients), 36 clips; each clip was scored by models that were not "
        "trained on its speaker. Mean over trainings: 2 of `network`"
    ) in crossed.report
    assert "Thresholds were chosen on each fold's own validation clips under `noisy`" in crossed.report
    assert crossed.plot("confusion_noisy").height == 2 * 36


def test_a_table_from_before_there_were_models_is_of_one_network(tmp_path: Path) -> None:
    """Which is deployed, without a word on others: nothing is compared."""
    old = predictions(models=(NETWORK,))
    of_old, of_new = Evaluated(old.drop("model"), tmp_path / "old"), Evaluated(old, tmp_path / "new")
    assert (of_old.tree["deployed"], list(of_old.tree["models"])) == ("network", ["network"])
    assert of_old.metrics == of_new.metrics
    assert of_old.tree["differences"] == {}
    assert "`network` is deployed: it is the only model." in of_old.report


def test_one_fold_of_that_name_is_a_table_from_before_folds(evaluated: Evaluated, tmp_path: Path) -> None:
    """Byte for byte the same in every file, with the column and without."""
    assert (
        Evaluated(predictions().with_columns(fold=pl.lit("holdout")), tmp_path / "run").outputs() == evaluated.outputs()
    )


@pytest.mark.parametrize(
    "broken",
    [
        folded().with_columns(fold=pl.when(OF_FOLD_1 & TESTED_ONCE).then(pl.lit("2")).otherwise("fold")),
        folded().filter((pl.col("fold") != "1") | (pl.col("seed") != 2)),
        pl.concat([folded(), folded().filter(OF_FOLD_1).with_columns(fold=pl.lit("2"))]),
        folded().with_columns(fold=pl.lit("1")),
    ],
    ids=["another fold under one condition", "a seed short of a fold", "tested by two folds", "validates and tests"],
)
def test_folds_that_do_not_pair_are_refused(broken: pl.DataFrame, tmp_path: Path) -> None:
    """Thresholds are matched to clips by the fold that scored them."""
    with pytest.raises(DataError, match=r"predictions.csv: must have one score of each clip under each condition"):
        Evaluated(broken, tmp_path / "run")


def test_a_fold_of_one_class_is_named(tmp_path: Path) -> None:
    """Its threshold cannot be chosen; the others could hide it in a pool."""
    lost = (pl.col("fold") == "2") & (pl.col("subset") == "validation") & (pl.col("label") == 1)
    with pytest.raises(DataError, match=r"predictions.csv: validation of fold 2: needs .*, has no patient clip$"):
        Evaluated(folded().filter(~lost), tmp_path / "run")
