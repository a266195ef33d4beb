"""Two revisions' scores of the same clips -> how much better or worse, and how sure.

Conventions: those of ``spira.core.metrics``. A difference is head minus base, so above
0 is better. Both revisions score the same people, so the interval is paired: each
resample of speakers judges both, and what makes a speaker hard for both cancels out.
Seeds are averaged, not resampled: an interval speaks of other people, not of other trainings.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spira.core.metrics import EvaluateParams, Floats, Ints, all_metrics, speaker_resamples
from spira.errors import DataError

COMPARED = ("auc", "sensitivity", "specificity")
Verdict = Literal["regression", "no evidence", "improvement"]


@dataclass(frozen=True)
class Judged:
    """One revision under one condition: what its models said of the test clips."""

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    labels: Ints  # (n_clips,)
    scores: Floats  # (n_seeds, n_clips); the number of seeds may differ between revisions
    thresholds: tuple[float, ...]  # one a seed


@dataclass(frozen=True)
class Difference:
    """Means over seeds, their difference, and its interval over speakers: lo and hi are both inside."""

    base: float
    head: float
    difference: float
    lo: float
    hi: float


def why_not_paired(base: Judged, head: Judged) -> str | None:
    """What keeps two test sets from being the same clips of the same people; None where nothing does."""
    of_base, of_head = (
        dict(zip(j.clips, zip(j.speakers, j.labels.tolist(), strict=True), strict=True)) for j in (base, head)
    )
    if lost := of_base.keys() - of_head.keys():
        return (
            f"the test sets differ: {len(lost)} clips only in base, {len(of_head.keys() - of_base.keys())} only in head"
        )
    if added := of_head.keys() - of_base.keys():
        return f"the test sets differ: {len(added)} clips only in head"
    if changed := [clip for clip, who in of_base.items() if of_head[clip] != who]:
        return f"the test sets differ: {len(changed)} clips have another speaker or label"
    return None


def paired_differences(base: Judged, head: Judged, p: EvaluateParams) -> dict[str, Difference]:
    """The difference of each of ``COMPARED``, with its interval over resampled speakers.

    Raises:
        DataError: the two did not score the same clips of the same people.

    Source:
        Efron and Tibshirani, "An introduction to the bootstrap", 1993; percentile interval. Agrees with
        DeLong, DeLong and Clarke-Pearson, Biometrics, 1988, where each speaker has one clip: tests/test_report.py.
    """
    if reason := why_not_paired(base, head):
        raise DataError(f"no paired interval: {reason}")
    order = [dict(zip(head.clips, range(len(head.clips)), strict=True))[clip] for clip in base.clips]
    weights = speaker_resamples(base.labels, base.speakers, p.n_resamples, p.seed)
    tail = 50 * (1 - p.confidence)
    pairs = [(base.scores, base.thresholds), (head.scores[:, order], head.thresholds)]
    once = [all_metrics(base.labels, scores, thresholds) for scores, thresholds in pairs]
    resampled = [all_metrics(base.labels, scores, thresholds, weights) for scores, thresholds in pairs]
    found = {}
    for name in COMPARED:
        before, after = (float(metrics[name].mean()) for metrics in once)
        # the same pairs summed in another order differ by 1e-16, which is not a difference
        drawn = np.round(resampled[1][name].mean(axis=0) - resampled[0][name].mean(axis=0), 12)
        lo, hi = np.percentile(drawn, [tail, 100 - tail])
        found[name] = Difference(before, after, round(after - before, 12), float(lo), float(hi))
    return found


def verdict(difference: Difference) -> Verdict:
    """Regression where the whole interval is below 0, improvement where it is above, otherwise no evidence."""
    if difference.hi < 0:
        return "regression"
    return "improvement" if difference.lo > 0 else "no evidence"


def sizes(judged: Judged) -> tuple[int, int, int]:
    """(speakers, patients among them, clips) of a test set."""
    patients = {who for who, label in zip(judged.speakers, judged.labels, strict=True) if label == 1}
    return len(set(judged.speakers)), len(patients), len(judged.clips)
