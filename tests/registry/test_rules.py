"""The gate's rules: what passes, what fails, and what has no verdict, which does not pass."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spira.base.params import load
from spira.evaluation.results import Evaluation
from spira.registry import comparison, rules
from spira.registry.params import GateParams
from spira.registry.power import Seen, chance, plan, speakers_needed
from spira.registry.record import Check, Gate
from tiny import ROOT

P = load("gate", GateParams, path=ROOT / "params.yaml")


def params(**changes: object) -> GateParams:
    return GateParams.model_validate(P.model_dump() | changes)


def people(n_speakers: int, n_clips: int = 2, **groups: list[str]) -> comparison.TestClips:
    """Every other speaker is a patient."""
    clips = tuple(f"s{i // n_clips}_{i % n_clips}.wav" for i in range(n_speakers * n_clips))
    speakers = tuple(clip.partition("_")[0] for clip in clips)
    labels = np.asarray([int(speaker[1:]) % 2 for speaker in speakers])
    return comparison.TestClips(clips, speakers, labels, tuple(f"d{clip}" for clip in clips), groups)


def scores(test: comparison.TestClips, distance: float, seed: int, noise: float = 0.3) -> dict[str, float | str]:
    """The same people are hard for every model; ``noise`` is a model's own, ``distance`` how far apart classes are."""
    shared, own = np.random.default_rng(1).normal(size=test.labels.size), np.random.default_rng(seed)
    odds = distance * (test.labels - 0.5) + shared + noise * own.normal(size=test.labels.size)
    return dict(zip(test.clips, (1 / (1 + np.exp(-odds))).tolist(), strict=True))


def auc_check(test: comparison.TestClips, champion: float, candidate: float, p: GateParams = P) -> Check:
    sides = (scores(test, champion, 2), scores(test, candidate, 3))
    before, after = (comparison.as_scored(test, side, 0.5) for side in sides)
    return comparison.champion_auc(before, after, 0, p)


def test_an_equal_model_passes_with_enough_people_and_has_no_verdict_with_few() -> None:
    """And it is said how many it would take."""
    assert auc_check(people(1000), 2.0, 2.0).verdict == "pass"
    few = auc_check(people(42), 2.0, 2.0)
    assert few.verdict == "no verdict"
    assert "for an equal model to pass, about " in few.reason


def test_a_model_that_is_worse_by_more_than_the_margin_fails() -> None:
    """The whole interval is below it."""
    assert auc_check(people(1000), 2.0, 1.2).verdict == "fail"
    assert auc_check(people(1000), 1.2, 2.0).verdict == "pass"


@pytest.mark.parametrize("speakers", [(42, 4), (42, 42)])
def test_too_few_of_a_class_have_no_verdict(speakers: tuple[int, int]) -> None:
    """And the looks at a test set are counted aloud."""
    check = rules.test_set(*speakers, looks=3, p=P)
    assert check.verdict == "no verdict"
    assert "looked at by 3 earlier gates" in check.reason
    assert rules.test_set(42, 21, looks=0, p=P).verdict == "pass"


def test_a_golden_recording_is_judged_as_where_a_package_is_loaded() -> None:
    """Near 1 a score hardly moves: a millionth apart is another answer there, at which the package would not start."""
    made: dict[str, float | str] = {"a.wav": 1 - 1e-7, "b.wav": 0.5, "c.wav": "silent"}
    assert rules.golden(made, made | {"b.wav": 0.5 + 1e-7}).verdict == "pass"
    found = rules.golden(made, {"a.wav": 1 - 2e-7, "b.wav": 0.6})
    assert found.verdict == "fail"
    assert [name for name in made if name in found.reason] == ["a.wav", "b.wav", "c.wav"]


def test_clips_that_the_champion_was_trained_on_are_left_out_by_speaker_and_by_recording() -> None:
    test = people(10)
    trained = comparison.Trained(frozenset({"s1"}), frozenset({"ds2_0.wav"}))
    everything = scores(test, 1.0, 2)
    kept, n_left_out = comparison.left_out(test, everything, everything, trained)
    assert n_left_out == 3
    assert set(test.clips) - set(kept.clips) == {"s1_0.wav", "s1_1.wav", "s2_0.wav"}
    assert comparison.left_out(test, {"s0_0.wav": 0.1}, everything, trained)[0].clips == ("s0_0.wav",)


def test_a_group_that_falls_fails_whatever_the_whole_does() -> None:
    """Women lose; the men gain as much. A group of few is counted and not judged."""
    n = 120
    sex = ["F" if i // 2 % 4 < 2 else "M" for i in range(2 * n)]
    test = people(n, sex=sex, site=["x"] * (2 * n - 8) + ["y"] * 8)
    champion = scores(test, 2.0, 2)
    worse, better = scores(test, 0.5, 3), scores(test, 3.5, 3)
    candidate = {clip: (worse if s == "F" else better)[clip] for clip, s in zip(test.clips, sex, strict=True)}
    before, after = (comparison.as_scored(test, side, 0.5) for side in (champion, candidate))
    check = comparison.champion_groups(test, before, after, params(margin=0.5))
    assert check.verdict == "fail"
    assert "sex F: -0." in check.reason
    assert "sex M" not in check.reason
    assert "1 are smaller than 20 of each class" in check.reason
    assert comparison.champion_groups(test, before, before, P).verdict == "pass"
    assert comparison.champion_groups(people(10, sex=["F"] * 20), before, before, P).verdict == "no verdict"


@pytest.mark.parametrize(
    ("corpus", "registry", "verdict"),
    [
        ("demo (SYNTHETIC speech: no medical meaning)", "demo", "pass"),
        ("demo (SYNTHETIC speech: no medical meaning)", "hospital", "fail"),
        ("hospital", "demo", "fail"),
        ("hospital", "hospital", "pass"),
    ],
)
def test_the_demo_is_promoted_in_its_own_registry_alone(corpus: str, registry: str, verdict: str) -> None:
    """Synthetic speech never becomes the champion of a hospital."""
    assert rules.corpus(corpus, params(registry=registry)).verdict == verdict


def test_a_probe_that_fails_fails_the_gate_and_none_that_ran_has_no_verdict() -> None:
    one, other = {"verdict": "pass"}, {"verdict": "not run"}
    assert rules.probes({"gain": one, "level": {"verdict": "fail"}}).reason == "failed: level"
    assert rules.probes({"gain": one, "level": {"verdict": "warn"}}).verdict == "pass"
    assert rules.probes({"gain": other}).verdict == rules.probes({}).verdict == "no verdict"


def test_a_card_with_an_empty_field_fails() -> None:
    assert rules.cards(["consent"], []).reason == "docs/card.yaml lacks, of this corpus, consent"
    assert "older than the card" in rules.cards([], ["evidence/model_card.md"]).reason
    assert rules.cards([], []).verdict == "pass"


def test_a_score_for_a_crafted_recording_is_named() -> None:
    assert rules.bad_input(["a", "b"], {"a": "silent", "b": "short"}).verdict == "pass"
    assert rules.bad_input(["a", "b"], {"a": 0.7}).reason == "a: 0.700000; b: no answer"


def test_parity_counts_what_has_another_answer_and_names_nobody() -> None:
    """The reason is kept in git, where no recording's name belongs."""
    pipeline: dict[str, float | str] = {"s1.wav": 0.4, "s2.wav": 0.6, "s3.wav": 0.7}
    check = rules.parity(pipeline, {"s1.wav": 0.6, "s2.wav": 0.61, "s3.wav": 0.7 + 1e-9}, 0.5)
    assert check.reason == "2 of 3 test recordings have another score than the pipeline's, 1 of them another answer"
    assert rules.parity(pipeline, {"s1.wav": 0.4}, 0.5).verdict == "no verdict"
    assert rules.parity(pipeline, {}, 0.5).verdict == "no verdict"
    assert rules.parity(pipeline, pipeline, 0.5).verdict == "pass"


@pytest.fixture(scope="module")
def found() -> Evaluation:
    """The demo's own, as it is committed."""
    return Evaluation.model_validate_json((ROOT / "data/evaluation.json").read_bytes())


def shortcut(lead: float, lo: float, hi: float) -> dict[str, Any]:
    return {"verdict": "pass", "auc": 0.6, "lead": lead, "lead_lo": lo, "lead_hi": hi}


def test_the_first_model_must_not_be_worse_than_the_best_shortcut(found: Evaluation) -> None:
    """The best by its own AUC; what no probe says is not passed."""
    weak = shortcut(-0.5, -0.6, -0.4) | {"auc": 0.5}
    for lead, lo, hi, verdict in [
        (0.2, 0.1, 0.3, "pass"),
        (0.0, -0.1, 0.1, "no verdict"),
        (-0.2, -0.3, -0.1, "fail"),
    ]:
        check = comparison.first_auc(found, {"a": weak, "b": shortcut(lead, lo, hi)}, [found.deployed], P)
        assert check.verdict == verdict
        assert "against the shortcut b" in check.reason
    assert comparison.first_auc(found, {"a": {"verdict": "pass"}}, [], P).verdict == "no verdict"


def test_the_first_model_must_not_be_worse_than_the_baseline(found: Evaluation) -> None:
    """Of the demo, whose baseline is deployed: the network in its place is compared with it."""
    (network,) = [name for name in found.models if name != found.deployed]
    turned = found.model_copy(update={"deployed": network})
    check = comparison.first_auc(turned, {"a": shortcut(0.2, 0.1, 0.3)}, [found.deployed], P)
    assert f"against {found.deployed}" in check.reason
    text = found.beside_deployed(network)[found.threshold_condition].text
    assert f"{text} against" in check.reason


def test_a_sensitivity_of_which_too_little_is_known_has_no_verdict(found: Evaluation) -> None:
    """The lower bound decides; a point estimate above it is not enough."""
    got = found.headline.metrics.sensitivity
    assert rules.sensitivity(found, params(min_sensitivity=got.lo - 0.01)).verdict == "pass"
    assert rules.sensitivity(found, params(min_sensitivity=got.mean - 0.01)).verdict == "no verdict"
    assert rules.sensitivity(found, params(min_sensitivity=min(1.0, got.hi + 0.01))).verdict == "fail"


def test_no_verdict_does_not_pass_and_neither_does_nothing() -> None:
    check = Check(name="AUC", verdict="pass", reason="")
    facts: dict[str, Any] = {"registry": "r", "commit": "0" * 40, "package": "", "model": "", "corpus": ""}
    facts |= {"against": None, "test_set": None}
    assert Gate(**facts, checks=(check,)).passed
    assert not Gate(**facts, checks=()).passed
    unsure = check.model_copy(update={"verdict": "no verdict"})
    assert Gate(**facts, checks=(check, unsure)).refused_by == ["AUC"]


def test_more_speakers_and_a_better_model_pass_more_often() -> None:
    """Half of the models that lose no more than the margin's edge plus the error's reach; and the table says it."""
    chances = [chance(0.0, Seen(0.02, 40).at(n), 0.02, 0.95) for n in (40, 100, 400, 1600)]
    assert all(a < b for a, b in pairwise(chances))
    assert chance(-0.02, 0.01, 0.02, 0.95) == pytest.approx(0.05)
    needed = speakers_needed(0.0, Seen(0.02, 40), 0.02, 0.95, 0.8)
    assert needed is not None
    assert chance(0.0, Seen(0.02, 40).at(needed), 0.02, 0.95) == pytest.approx(0.8, abs=0.01)
    assert speakers_needed(-0.02, Seen(0.02, 40), 0.02, 0.95, 0.8) is None
    head, *rows = plan(Seen(0.02, 40), 0.02, 0.95, 0.8)
    assert head[-1] == "speakers for 80%"
    assert [row[-1] for row in rows][-2:] == ["no number", "no number"]


def test_the_power_of_the_formula_is_that_of_the_rule() -> None:
    """Of 200 simulated comparisons of equal models, as many pass as the normal approximation says."""
    test, p, n_passed, errors = people(150), params(margin=0.03), 0, []
    for seed in range(200):
        shared = np.random.default_rng(1000 + seed).normal(size=test.labels.size)
        sides = []
        for model in (0, 1):
            own = np.random.default_rng((seed, model)).normal(size=test.labels.size)
            odds = 2.0 * (test.labels - 0.5) + shared + 0.5 * own
            sides.append(replace(comparison.as_scored(test, dict.fromkeys(test.clips, 0.5), 0.5), scores=odds[None]))
        found = comparison.difference_of_auc(sides[0], sides[1], p)
        n_passed += found.lo > -p.margin
        errors.append(comparison.seen(found, test.n_speakers, p.confidence).error)
    assert n_passed / 200 == pytest.approx(chance(0.0, float(np.mean(errors)), p.margin, p.confidence), abs=0.1)


@pytest.mark.ml_test_score("Monitoring 6", manual=True)
@pytest.mark.parametrize(
    ("seconds", "megabytes", "verdict"), [(0.4, 1900.0, "pass"), (0.6, 1900.0, "fail"), (0.4, 2100.0, "fail")]
)
def test_a_model_that_is_slow_or_large_fails(seconds: float, megabytes: float, verdict: str) -> None:
    """By limits of its own; the champion's figures stand beside, in the record of each promotion."""
    own, champion = {"seconds": seconds, "megabytes": megabytes}, {"seconds": 0.1, "megabytes": 400.0}
    found = rules.cost(own, champion, params(max_seconds=0.5, max_megabytes=2000))
    assert found.verdict == verdict
    assert "the champion 0.100 s, 400 MB" in found.reason
    assert ("are allowed" in found.reason) is (verdict == "fail")


def test_what_a_recording_costs_is_not_known_where_none_was_scored() -> None:
    assert rules.cost({}, None, P).verdict == "no verdict"
    assert "the champion" not in rules.cost({"seconds": 0.1, "megabytes": 400.0}, None, P).reason
    assert "the champion" not in rules.cost({"seconds": 0.1, "megabytes": 400.0}, {}, P).reason
