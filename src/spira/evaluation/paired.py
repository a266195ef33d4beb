"""Two sides' scores of the same clips -> how much better or worse, and how sure.

The sides are two revisions, or two models of one. Conventions: those of ``spira.evaluation.metrics``. A difference is
head minus base, so above 0 is better. Both sides score the same people, so what makes a person hard for both cancels
out. Each has its own trainings, drawn independently: the same seed of other code is another training. An interval
speaks of other people and of other trainings at once: see ``spira.evaluation.variance``.
"""

from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from spira.base.errors import DataError
from spira.evaluation.variance import distinct, error_of_difference, metric_by_training
from spira.predictions.scored import ScoredClips

COMPARED = ("auc", "sensitivity", "specificity")
Verdict = Literal["regression", "no evidence", "improvement", "no verdict"]


@dataclass(frozen=True)
class Difference:
    """Means over seeds, their difference, and its interval: lo and hi are both inside."""

    base: float
    head: float
    difference: float
    lo: float
    hi: float
    over_trainings: bool  # whether it allows for other trainings, as for other speakers; one drawn training cannot say


def why_not_paired(base: ScoredClips, head: ScoredClips) -> str | None:
    """What keeps two test sets from being the same clips of the same people; None where nothing does."""
    before, after = (
        dict(zip(side.clips, zip(side.speakers, side.labels.tolist(), strict=True), strict=True))
        for side in (base, head)
    )
    lost, added = before.keys() - after.keys(), after.keys() - before.keys()
    if lost:
        return f"the test sets differ: {len(lost)} clips only in base, {len(added)} only in head"
    if added:
        return f"the test sets differ: {len(added)} clips only in head"
    if changed := [clip for clip, who in before.items() if after[clip] != who]:
        return f"the test sets differ: {len(changed)} clips have another speaker or label"
    if min(base.n_patients, base.n_speakers - base.n_patients) < 2:
        return "an interval needs two patients and two controls in the test set"
    return None


def paired_differences(
    base: ScoredClips, head: ScoredClips, confidence: float, names: tuple[str, ...]
) -> dict[str, Difference]:
    """The difference of each named metric of ``COMPARED``, with its interval over other speakers and other trainings.

    Where a side has one seed, the interval is over other speakers alone, and says so; but for a baseline, in which
    nothing is drawn, that is all there is.

    Raises:
        DataError: the two did not score the same clips of the same people, or too few people.
    """
    if reason := why_not_paired(base, head):
        raise DataError(f"no paired interval: {reason}")
    place = {clip: i for i, clip in enumerate(head.clips)}
    order = [place[clip] for clip in base.clips]
    after, cuts = head.scores[:, order], head.thresholds[:, order]
    trainings = distinct(base.scores, base.thresholds, after, cuts, (base.drawn, head.drawn))
    found = {}
    for name in names:
        metrics, covariance = metric_by_training(name, base.labels, base.speakers, trainings)
        before, later = (float(metrics[list(members)].mean()) for members in (trainings.base, trainings.head))
        error = error_of_difference(trainings, metrics, covariance, base.n_speakers - 2)
        reach = float(stdtrit(error.freedom, 0.5 + confidence / 2)) * error.size
        difference = round(later - before, 12)  # the same pairs summed in another order differ by 1e-16
        lo, hi = max(round(difference - reach, 12), -1.0), min(round(difference + reach, 12), 1.0)
        found[name] = Difference(before, later, difference, lo, hi, error.over_trainings)
    return found


def verdict(difference: Difference) -> Verdict:
    """Regression where the whole interval is below 0, improvement where it is above, otherwise no evidence.

    An interval over speakers alone that excludes 0 decides nothing: another seed may explain it.
    """
    if difference.lo <= 0 <= difference.hi:
        return "no evidence"
    if not difference.over_trainings:
        return "no verdict"
    return "regression" if difference.hi < 0 else "improvement"
