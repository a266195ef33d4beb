"""A candidate beside the champion, or beside baseline and shortcut where there is none: is it worse, and for whom?

Conventions: those of ``spira.evaluation.paired``. A difference is the candidate's AUC less the other's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from scipy.special import stdtrit

from spira.base.array_types import Ints, Mask
from spira.base.errors import DataError
from spira.evaluation.paired import Difference, paired_differences, why_not_paired
from spira.evaluation.results import Evaluation
from spira.predictions.scored import People, ScoredClips
from spira.registry.params import GateParams
from spira.registry.power import Seen, speakers_needed
from spira.registry.record import Check, Verdict
from spira.registry.rules import Answers, judged, named, unknown


@dataclass(frozen=True)
class TestClips(People):
    """The test recordings of a commit, and what is known of them."""

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    labels: Ints  # (n_clips,), 1 for patient
    digests: tuple[str, ...]  # of the samples
    groups: Mapping[str, Sequence[str]]  # by column, the group of each clip

    def subset(self, members: Mask) -> "TestClips":
        """The clips that are members, in the same order."""
        clips, speakers, digests = (tuple(compress(x, members)) for x in (self.clips, self.speakers, self.digests))
        groups = {column: list(compress(names, members)) for column, names in self.groups.items()}
        return TestClips(clips, speakers, self.labels[members], digests, groups)


@dataclass(frozen=True)
class Trained:
    """Whom and what a model was fitted on, or had its threshold chosen by."""

    speakers: frozenset[str]
    digests: frozenset[str]


def comparable(test: TestClips, trained: Trained) -> Mask:
    """The test clips whose speaker and samples the other model has not met, shape (n_clips,)."""
    met = [
        speaker in trained.speakers or digest in trained.digests
        for speaker, digest in zip(test.speakers, test.digests, strict=True)
    ]
    return ~np.asarray(met, dtype=bool)


def left_out(test: TestClips, champion: Answers, candidate: Answers, trained: Trained) -> tuple[TestClips, int]:
    """The clips that both packages may be asked about, and how many the champion was trained on.

    Args:
        champion, candidate: their scores, by clip.
    """
    kept = comparable(test, trained)
    asked = np.asarray([clip in champion and clip in candidate for clip in test.clips], dtype=bool)
    return test.subset(kept & asked), int((~kept).sum())


def as_scored(test: TestClips, answers: Answers, threshold: float) -> ScoredClips:
    """One package's scores of the clips; a package is one thing, so no other training of it is thought of.

    A recording that it refuses has the score 0.5: it says nothing about it.
    """
    scores = [0.5 if isinstance(score := answers[clip], str) else score for clip in test.clips]
    folds = ("package",) * len(test.clips)
    at = np.full((1, len(scores)), threshold)
    return ScoredClips(test.clips, test.speakers, folds, test.labels, np.asarray([scores]), at, drawn=False)


def difference_of_auc(champion: ScoredClips, candidate: ScoredClips, p: GateParams) -> Difference:
    """Candidate less champion, with the interval whose lower bound has the gate's one-sided confidence."""
    return paired_differences(champion, candidate, 2 * p.confidence - 1, ("auc",))["auc"]


def seen(found: Difference, n_speakers: int, confidence: float) -> Seen:
    """What a comparison says of its own error.

    Args:
        confidence: one-sided, of its bounds.
    """
    reach = float(stdtrit(n_speakers - 2, confidence))
    return Seen(max(found.hi - found.difference, found.difference - found.lo) / reach, n_speakers)


def seen_in_report(found: Evaluation, confidence: float) -> Seen:
    """The error of the difference between the deployed model and the next best, by the report's interval.

    Args:
        confidence: two-sided, of that interval.

    Raises:
        DataError: the report compares no two models.
    """
    others = {name: _beside(found, name) for name in found.models if name != found.deployed}
    known = [numbers for numbers in others.values() if numbers is not None]
    if not known:
        raise DataError("power needs two models to compare: a champion, or a second model in params.yaml")
    n_speakers = found.deployed_model.test.n_speakers
    _, lo, hi = known[0]
    return Seen((hi - lo) / 2 / float(stdtrit(n_speakers - 2, 0.5 + confidence / 2)), n_speakers)


def champion_auc(champion: ScoredClips, candidate: ScoredClips, n_left_out: int, p: GateParams) -> Check:
    """The candidate's AUC is not below the champion's by the margin: the lower bound of the difference says so."""
    if reason := why_not_paired(champion, candidate):
        return unknown("AUC", f"{reason}; {n_left_out} recordings left out, which the champion was trained on")
    found = difference_of_auc(champion, candidate, p)
    n = candidate.n_speakers
    text = (
        f"{found.difference:+.3f}, at least {found.lo:+.3f} with {p.confidence:.0%} confidence, margin {p.margin}: "
        f"{found.head:.3f} against {found.base:.3f} of the champion, {n} speakers, {len(candidate.clips)} recordings"
    )
    text += f"; {n_left_out} recordings left out, which the champion was trained on" if n_left_out else ""
    verdict = _not_worse(found.lo, found.hi, p)
    if verdict == "no verdict":
        needed = speakers_needed(0.0, seen(found, n, p.confidence), p.margin, p.confidence, p.power)
        text += f"; for an equal model to pass, about {needed} such speakers are needed"
    return judged("AUC", verdict, text)


def champion_groups(test: TestClips, champion: ScoredClips, candidate: ScoredClips, p: GateParams) -> Check:
    """No group with enough people falls by more than its margin.

    By the difference itself, not by its interval: in a group this is a reason to look, and a look costs little.
    """
    falls, n_judged, n_small = list[str](), 0, 0
    for column, names in test.groups.items():
        values = np.asarray(names)
        for group in np.unique(values).tolist():
            members = values == group
            part = test.subset(members)
            if min(part.n_patients, part.n_speakers - part.n_patients) < p.group_min_speakers:
                n_small += 1
                continue
            n_judged += 1
            fall = difference_of_auc(champion.subset(members), candidate.subset(members), p).difference
            if fall < -p.group_margin:
                falls.append(f"{column} {group}: {fall:+.3f}")
    return _groups(falls, n_judged, n_small, p)


def first_auc(
    found: Evaluation, answers: Mapping[str, Mapping[str, Any]], baselines: Sequence[str], p: GateParams
) -> Check:
    """With no champion: not worse than any baseline and than the best shortcut, by the report's own intervals."""
    against = {name: _beside(found, name) for name in baselines if name != found.deployed and name in found.models}
    shortcuts = {name: answer for name, answer in answers.items() if _compared(answer)}
    if shortcuts:
        best = max(shortcuts, key=lambda name: float(shortcuts[name]["auc"]))
        against[f"the shortcut {best}"] = _lead(shortcuts[best])
    if not shortcuts:
        return unknown("AUC", "no probe says how well a shortcut does")
    verdicts: list[Verdict] = []
    reasons = [f"under {found.threshold_condition}, margin {p.margin}"]
    if found.deployed in baselines:
        reasons.append("the model is a baseline itself")
    for name, numbers in against.items():
        if numbers is None:
            verdicts.append("no verdict")
            reasons.append(f"no paired difference from {name}")
            continue
        difference, lo, hi = numbers
        verdicts.append(_not_worse(lo, hi, p))
        reasons.append(f"{difference:+.3f} [{lo:+.3f}, {hi:+.3f}] against {name}")
    return judged("AUC", _worst(verdicts), "; ".join(reasons))


def _compared(answer: Mapping[str, Any]) -> bool:
    """Whether a probe has a simple model's AUC, and by how much the model leads it."""
    return all(isinstance(answer.get(key), int | float) for key in ("auc", "lead", "lead_lo", "lead_hi"))


def _lead(answer: Mapping[str, Any]) -> tuple[float, float, float]:
    """The model's AUC less a shortcut's, and its interval."""
    return float(answer["lead"]), float(answer["lead_lo"]), float(answer["lead_hi"])


def _beside(found: Evaluation, other: str) -> tuple[float, float, float] | None:
    """The deployed model's AUC less the other's, and its interval."""
    paired = found.beside_deployed(other).get(found.threshold_condition)
    return None if paired is None else (-paired.difference, -paired.hi, -paired.lo)


def _not_worse(lo: float, hi: float, p: GateParams) -> Verdict:
    return "pass" if lo > -p.margin else "fail" if hi < -p.margin else "no verdict"


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return "fail" if "fail" in verdicts else "no verdict" if "no verdict" in verdicts else "pass"


def first_groups(found: Evaluation, baselines: Sequence[str], p: GateParams) -> Check:
    """With no champion: no group with enough people is worse off than under the best baseline, by the report."""
    others = [name for name in baselines if name in found.models and name != found.deployed]
    if not others:
        return judged("groups", "pass", "the model is a baseline itself, or there is none; no champion to fall below")
    other = max(others, key=lambda name: found.models[name].validation_auc)
    falls, n_judged, n_small = list[str](), 0, 0
    for column, subgroups in found.deployed_model.subgroups.items():
        there = found.models[other].subgroups.get(column)
        for name, group in subgroups.groups.items():
            base = there.groups.get(name) if there else None
            few = min(group.n_patients, group.n_speakers - group.n_patients) < p.group_min_speakers
            if few or not group.metrics or not base or not base.metrics:
                n_small += 1
                continue
            n_judged += 1
            if (fall := group.metrics.auc.mean - base.metrics.auc.mean) < -p.group_margin:
                falls.append(f"{column} {name}: {fall:+.3f}")
    return _groups(falls, n_judged, n_small, p)


def _groups(falls: Sequence[str], n_judged: int, n_small: int, p: GateParams) -> Check:
    small = f"; {n_small} are smaller than {p.group_min_speakers} of each class" if n_small else ""
    if falls:
        return judged("groups", "fail", f"AUC falls by more than {p.group_margin}: {named(falls)}{small}")
    if not n_judged:
        return unknown("groups", f"no group has {p.group_min_speakers} people of each class")
    return judged("groups", "pass", f"AUC falls by more than {p.group_margin} in none of {n_judged} groups{small}")
