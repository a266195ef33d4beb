"""The AUC within groups counts the pairs of one group and no other; a column that cannot be measured clears nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probe_studies as benchmark
from score_studies import weighted_studies
from spira.base.array_types import Floats, Ints
from spira.base.params import load
from spira.evaluation.metrics import auc
from spira.probes.catalogue import PROBES
from spira.probes.study import Fold, ModelScores, ProbeParams, Study
from spira.probes.within_groups import within_auc

P = load("probe", ProbeParams, path=benchmark.PARAMS).model_copy(update={"n_resamples": 200})


@st.composite
def grouped_studies(draw: st.DrawFn) -> tuple[Ints, Floats, Ints, Ints]:
    """(labels, scores, weights, groups); every group has a patient and a control, perhaps of no weight."""
    labels, scores, weights = draw(weighted_studies())
    groups = np.array(draw(st.lists(st.integers(0, 2), min_size=labels.size, max_size=labels.size)))
    for group in np.unique(groups):
        if np.unique(labels[groups == group]).size < 2:
            groups[groups == group] = 0
    if np.unique(labels[groups == 0]).size < 2:
        groups[:] = 0
    return labels, scores, weights, groups


@given(grouped_studies())
def test_it_is_the_share_of_pairs_of_one_group_that_are_ordered_rightly(
    study: tuple[Ints, Floats, Ints, Ints],
) -> None:
    """Pair by pair, each as often as its two clips count; a tie counts half."""
    labels, scores, weights, groups = study
    won = pairs = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero((labels == 0) & (groups == groups[i])):
            times = weights[i] * weights[j]
            pairs += times
            won += times * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
    with np.errstate(invalid="ignore"):  # no pair counts: not a number
        found = within_auc(labels, scores[None], groups)(weights[None].astype(float))
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(won / pairs, abs=1e-12) if pairs else np.isnan(found[0, 0])


def test_in_one_group_it_is_the_auc() -> None:
    """Of every seed, with weights and without."""
    rng = np.random.default_rng(0)
    labels, scores, weights = np.arange(40) % 2, rng.uniform(size=(2, 40)), rng.integers(0, 3, (5, 40)).astype(float)
    within = within_auc(labels, scores, np.zeros(40, dtype=int))
    assert np.allclose(within(None), [auc(labels, seed) for seed in scores])
    assert np.allclose(within(weights), [auc(labels, seed, weights) for seed in scores])


def people(sites: dict[str, tuple[int, int]], follows: str = "label") -> benchmark.Case:
    """So many patients and controls of each site, one test clip each; scores follow the label, or the first site."""
    cells = [site for site, counts in sites.items() for _ in range(sum(counts))]
    labels = np.array([label for patients, controls in sites.values() for label in [1] * patients + [0] * controls])
    everybody = np.ones(labels.size, dtype=np.bool_)
    study = Study(
        tuple(f"s{i}" for i in range(labels.size)), labels, (Fold(~everybody, everybody),), 16_000, {"site": cells}
    )
    rng = np.random.default_rng(0)
    signal = labels if follows == "label" else np.array(cells) == next(iter(sites))
    scores = benchmark.score(3 * signal + rng.standard_normal((2, labels.size)))
    return benchmark.Case(study, {P.condition: ModelScores(np.arange(labels.size), scores)})


@pytest.mark.parametrize(
    ("sites", "follows", "verdict", "why"),
    [
        ({"a": (60, 20), "b": (20, 60)}, "site", "fail", "among pairs of one site (2 of them) the AUC is 0."),
        ({"a": (60, 20), "b": (20, 60)}, "label", "pass", "a drop of +0.00 ["),
        ({"a": (20, 20)}, "site", "pass", "a drop of +0.00 [+0.00, +0.00]"),
        (
            {"a": (20, 0), "b": (0, 20)},
            "site",
            "warn",
            "site and label are nearly the same: all but 0 of 40 test clips",
        ),
        (
            {"a": (20, 1), "b": (0, 20)},
            "site",
            "not run",
            "not run: groups of one site with both classes have 1 control",
        ),
        ({"a": (20, 2), "b": (0, 20), "c": (20, 0)}, "site", "warn", "all but 22 of 62 test clips"),
        (
            {"": (20, 20), "b": (20, 20)},  # what is unknown is no group, and could hide as much as the rest shows
            "label",
            "not run",
            "(40 of 80 test clips share no site with the other class)",
        ),
        ({f"{i}": (i % 2, 1 - i % 2) for i in range(40)}, "label", "not run", "both classes have 0 control"),
    ],
)
def test_each_verdict(sites: dict[str, tuple[int, int]], follows: str, verdict: str, why: str) -> None:
    """A model of the site; one of the label; one site; a site a class; a site a speaker, which says nothing."""
    found = benchmark.ask("within_groups", people(sites, follows), P)
    assert found.verdict == verdict, found.why
    assert why in found.why


def test_the_channel_is_what_the_header_says() -> None:
    """Two encodings in one container are two channels."""
    case = people({"north": (60, 20), "south": (20, 60)}, "site")
    known = {"container": ["WAV"] * 160, "source_sample_rate": ["16000"] * 160, "n_channels": ["1"] * 160}
    for encodings, verdict in ((["PCM_16"] * 160, "pass"), (["PCM_16"] * 80 + ["PCM_24"] * 80, "fail")):
        study = replace(case.study, columns={**known, "encoding": encodings})
        found = PROBES["within_groups"].run(study, P)(case.scores)
        assert found.verdict == verdict
        assert set(found.numbers) == {
            f"channel_{name}{end}" for name in ("auc", "pooled", "drop") for end in ("", "_lo", "_hi")
        }
