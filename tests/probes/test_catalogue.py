"""Every model is probed, what depends on no model is computed once, and the page shows the models side by side."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import probe_studies as benchmark
from spira.base.params import load
from spira.probes.catalogue import PROBES, probe_all
from spira.probes.results import ProbeAnswers
from spira.probes.shortcut_models import out_of_fold
from spira.probes.study import ProbeParams
from spira.probes.summary import probe_report

P = load("probe", ProbeParams, path=benchmark.PARAMS).model_copy(update={"n_resamples": 100, "n_shuffles": 2})


@pytest.fixture
def n_fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The columns of each table of a shortcut that is fitted, as it is."""
    fitted: list[int] = []

    def counted(table: pl.DataFrame, *others: Any) -> Any:
        fitted.append(table.width)
        return out_of_fold(table, *others)

    monkeypatch.setattr("spira.probes.shortcuts.out_of_fold", counted)
    return fitted


def test_two_models_are_probed_by_the_same_shortcuts(n_fits: list[int]) -> None:
    """One fit a shortcut; each model's own AUC, verdicts and reasons, which the page and its reader give back."""
    rng = np.random.default_rng(0)
    case = benchmark.plain(rng)
    study = benchmark.with_sound(case.study, rng, P)
    unsteady = {**case.scores, "louder": case.scores["clean"]._replace(scores=1 - case.scores["clean"].scores)}
    found = probe_all(study, {"a_net": case.scores, "other": unsteady}, P)
    assert len(n_fits) == 8  # metadata, date, header, duration; background, level, spectrum, edges
    assert list(found) == ["a_net", "other"]
    assert all(set(model["probes"]) == set(PROBES) for model in found.values())
    net, other = (model["probes"] for model in found.values())
    assert {name for name in PROBES if net[name] != other[name]} == {"gain"}
    assert (net["gain"]["verdict"], other["gain"]["verdict"], found["other"]["verdict"]) == ("pass", "fail", "fail")

    answers = ProbeAnswers.model_validate(json.loads(json.dumps({"corpus": "mine", "models": found})))
    assert answers.models["other"].verdict == "fail"
    assert answers.models["other"].probes["gain"].why == other["gain"]["why"]

    text = probe_report("mine", found, 0.95)
    assert text.partition("\n\n**")[2].startswith("The probes FAIL the model `other`**: gain.\n\nCorpus: mine. ")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == "| probe | `a_net` | `other` | question | found |"
    assert lines[2].startswith(
        "| gain | pass | fail | Do the scores stay the same when a recording is made louder? | `a_net`: "
    )
    assert "<br>`other`: mean absolute change of the scores 0." in lines[2]
    (polarity,) = (line for line in lines if line.startswith("| polarity"))
    assert "<br>" not in polarity
    assert len(lines) == 2 + len(PROBES)


def test_a_long_name_of_a_column_cannot_break_the_page() -> None:
    """Nor can a reason that differs between models: a cell ends where it ends."""
    case = benchmark.plain(np.random.default_rng(0))
    probes = {
        "metadata": {"question": "?", "verdict": "pass", "rule": "r", "why": "a | b <b> " + case.study.speakers[0]}
    }
    other = {"metadata": {**probes["metadata"], "why": "c\n| d"}}
    text = probe_report(
        "mine", {"x": {"verdict": "pass", "probes": probes}, "y": {"verdict": "pass", "probes": other}}, 0.9
    )
    assert text.startswith(
        "All probes that were run pass the model `x`.\n\nAll probes that were run pass the model `y`.\n"
    )
    assert "| metadata | pass | pass | ? | `x`: a \\| b &lt;b> s000<br>`y`: c \\| d |" in text
