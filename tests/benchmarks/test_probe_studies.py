"""Each probe catches what is planted for it and is silent where nothing is: the quick form of `make bench-probes`."""

from dataclasses import replace

import numpy as np
import pytest

import probe_studies as benchmark
from spira.base.params import load
from spira.probes.catalogue import PROBES
from spira.probes.study import ProbeParams

P = load("probe", ProbeParams, path=benchmark.PARAMS).model_copy(update={"n_resamples": 300, "n_shuffles": 10})


def test_every_probe_that_can_answer_has_its_confound() -> None:
    """A new probe comes with the study that proves it."""
    assert set(benchmark.PLANTED) == set(PROBES) - {"speaker_similarity"}


@pytest.mark.parametrize("probe", sorted(benchmark.PLANTED))
def test_a_planted_confound_is_caught(probe: str) -> None:
    """In each of three studies."""
    assert benchmark.caught(probe, 3, P) == 1


def test_a_plain_study_fails_no_probe() -> None:
    """Of two studies in which nothing is planted, no more than one probe of eighteen fails one."""
    assert sum(failed for failed, _ in benchmark.cried_out(2, P).values()) <= 0.5


def test_what_is_not_known_is_never_a_pass() -> None:
    """Without a column, without two classes' people or without altered clips there is a sentence and no verdict."""
    case = benchmark.plain(np.random.default_rng(0))
    scores = {name: case.scores[name] for name in benchmark.CONDITIONS[:2]}
    bare = benchmark.Case(replace(case.study, columns={}), scores)
    for probe, why in (
        ("metadata", "not run: no column `sex` or `age` or `site`"),
        ("recording_date", "not run: no column `recorded_on`"),
        ("duration", "not run: no column `n_samples`"),
        ("within_groups", "not run: nothing is known of site, device, channel"),
        ("matched", "not run: no column `sex` or `site` or `age`"),
        ("ward_noise_swap", "not run: no clip was scored with another speaker's background"),
        ("noise_conditions", "not run: no clip was scored with noise added"),
        ("gain", "not run: no clip was scored with the alteration `louder`"),
    ):
        found = benchmark.ask(probe, bare, P)
        assert (found.verdict, found.why, dict(found.numbers)) == ("not run", why, {})
    strict = P.model_copy(update={"min_speakers": 50})
    few = benchmark.ask("metadata", case, strict)
    assert few.why == "not run: the test set has 20 control speakers, and an interval over speakers needs 50"


def test_a_column_that_is_partly_there_is_tested_by_the_rest_and_not_cleared() -> None:
    """Sex and age that tell nothing are no pass where the site is unknown; an age that tells all still fails."""
    case = benchmark.plain(np.random.default_rng(0))
    found = benchmark.ask("metadata", case.with_columns(site=[]), P)
    assert found.verdict == "not run"
    assert found.why.startswith(
        "no column `site`; a simple model of sex and age alone separates patients from controls with AUC 0."
    )
    planted = benchmark.PLANTED["metadata"](np.random.default_rng(1), P)
    blank = planted.with_columns(site=[""] * len(planted.study.speakers))
    assert benchmark.ask("metadata", blank, P).verdict == "fail"


def test_a_score_that_nothing_moves_passes_for_certain() -> None:
    """A wave turned upside down has the same spectrum: a shift of 0 in every clip has the interval [0, 0]."""
    study, scores = benchmark.plain(np.random.default_rng(0))
    found = benchmark.ask("polarity", benchmark.Case(study, {**scores, "inverted": scores["clean"]}), P)
    assert found.verdict == "pass"
    assert (found.numbers["shift_lo"], found.numbers["shift_hi"]) == (0, 0)
