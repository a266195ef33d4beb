"""Groups are cut where the parameters say, evaluated on their own clips, and compared with people resampled once."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from score_studies import as_clips
from spira.base.array_types import Floats, Ints
from spira.base.errors import DataError
from spira.evaluation import test_set
from spira.evaluation.bootstrap import share_interval, speaker_resamples
from spira.evaluation.metrics import auc
from spira.evaluation.results import Gap, Group, Subgroups
from spira.evaluation.subgroups import age_band, group_names, subgroups
from tiny import evaluate_params

P = evaluate_params(n_resamples=400)


def people(n_speakers: int, harm: float, seed: int) -> tuple[Ints, list[str], Floats, Floats, list[str]]:
    """(labels, speakers, scores, thresholds, sex): two clips each; men's scores tell less by ``harm``."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(n_speakers), 2)
    labels, man = who % 2, who // 2 % 2
    odds = labels * (2.0 - harm * man) + rng.standard_normal(n_speakers)[who] + 0.5 * rng.standard_normal(who.size)
    scores = (1 / (1 + np.exp(-odds)))[None]
    return labels, [f"s{i}" for i in who], scores, np.full(scores.shape, 0.7), ["FM"[i] for i in man]


def evaluated(
    labels: Ints, who: list[str], scores: Floats, at: Floats, columns: Mapping[str, Sequence[str]]
) -> dict[str, Subgroups]:
    resamples = speaker_resamples(labels, who, P.n_resamples, P.seed)
    return subgroups(test_set.TestSet(as_clips(labels, scores, at, speakers=who), scores, resamples), columns, P)


def auc_gap(column: Subgroups) -> Gap:
    assert column.gap is not None
    return column.gap.auc


@pytest.mark.parametrize(
    ("age", "band"),
    [("39", "0 to 39"), ("40", "40 to 59"), ("59.9", "40 to 59"), ("60", "60 and over"), ("97", "60 and over")]
    + [(odd, "unknown") for odd in ("", "NA", "nan")],
)
def test_an_age_is_in_the_band_that_begins_there(age: str, band: str) -> None:
    """At its edge a band begins; what is unknown is shown so, and what is no number is refused."""
    assert age_band(age, (40, 60)) == band
    with pytest.raises(DataError, match=r"age must be a number of years from 0 to 150, .* got 'forty'"):
        age_band("forty", (40, 60))


def test_only_ages_are_banded_and_an_empty_cell_is_a_group() -> None:
    """Not knowing is a group of its own, for recordings without metadata may be of another kind."""
    assert group_names("site", ["40", ""], P) == ["40", "unknown"]
    assert group_names("age", ["40", ""], P) == ["40 to 59", "unknown"]


def test_a_group_has_the_metrics_of_its_own_clips() -> None:
    """And sizes in people; sensitivity and specificity counted at each clip's threshold."""
    labels, who, scores, at, sex = people(40, 1.0, 0)
    found = evaluated(labels, who, scores, at, {"sex": sex})["sex"].groups
    for value in "FM":
        own = np.asarray(sex) == value
        of = found[value]
        assert of.metrics is not None
        assert (of.n_speakers, of.n_patients, of.n_clips) == (20, 10, 40)
        assert of.metrics.auc.mean == pytest.approx(float(auc(labels[own], scores[0, own])))
        called = scores[0, own & (labels == 1)] >= 0.7
        assert of.metrics.sensitivity.mean == pytest.approx(called.mean())
        assert of.metrics.auc.lo <= of.metrics.auc.mean <= of.metrics.auc.hi


@pytest.mark.ml_test_score("Model 7", manual=True)
def test_a_planted_gap_is_found_and_none_is_not() -> None:
    """300 speakers whose men are hard to tell: the interval excludes 0. Two alike: it does not."""
    labels, who, scores, at, sex = people(300, 1.8, 1)
    gap = auc_gap(evaluated(labels, who, scores, at, {"sex": sex})["sex"])
    assert (gap.best, gap.worst) == ("F", "M")
    assert 0 < gap.difference.lo < gap.difference.mean < gap.difference.hi
    labels, who, scores, at, sex = people(300, 0.0, 2)
    same = auc_gap(evaluated(labels, who, scores, at, {"sex": sex})["sex"])
    assert same.difference.lo < 0 < same.difference.hi


def test_groups_that_share_people_are_compared_with_those_people() -> None:
    """Each person in both tasks, with the same score: a gap of 0 with no width, where two samples would have one."""
    labels, who, scores, at, _ = people(40, 0.0, 3)
    scores[:, 1::2] = scores[:, ::2]
    gap = auc_gap(evaluated(labels, who, scores, at, {"task": ["a", "b"] * 40})["task"]).difference
    assert (gap.mean, gap.lo, gap.hi) == (0, 0, 0)


def test_few_people_with_many_clips_are_still_few() -> None:
    """Four patients are four, whatever they say; the group is counted, has no metrics, and takes no part in the gap."""
    labels, who, scores, at, _ = people(40, 0.0, 4)
    values = ["few" if int(name[1:]) < 8 else "many" for name in who]
    tree = evaluated(labels, who, scores, at, {"site": values})["site"]
    assert tree.groups["few"] == Group(n_speakers=8, n_patients=4, n_clips=16, metrics=None)
    assert tree.groups["many"].metrics is not None
    assert tree.gap is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subgroups": ["clip_id"]}, "subgroups: must group people, not name a person or the label, got 'clip_id'"),
        ({"subgroups": ["sex", "sex"]}, "subgroups: must differ from each other"),
        ({"age_bands": [60, 40]}, r"age_bands: must rise, got \[60, 40\]"),
    ],
)
def test_groups_that_cannot_be_are_refused(changed: dict[str, list[str]], message: str) -> None:
    """A clip's name would end in git."""
    with pytest.raises(ValueError, match=message):
        evaluate_params(**{name: tuple(value) for name, value in changed.items()})


def test_a_groups_interval_is_of_its_own_people() -> None:
    """By hand, of the weights that its own clips have in resamples of everybody, and of its own ten of each class."""
    labels, who, scores, at, sex = people(40, 0.5, 5)
    own = np.asarray(sex) == "F"
    weights = speaker_resamples(labels, who, P.n_resamples, P.seed).weights(0, P.n_resamples)[:, own]
    once, resampled = float(auc(labels[own], scores[0, own])), auc(labels[own], scores[0, own], weights)
    expected = share_interval(once, resampled, 10, 0.95)
    found = evaluated(labels, who, scores, at, {"sex": sex})["sex"].groups["F"].metrics
    assert found is not None
    assert [found.auc.lo, found.auc.hi] == pytest.approx(expected)
