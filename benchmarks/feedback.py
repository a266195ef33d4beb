"""How often feedback finds a fall where there is none, and how soon one of 0.15: `make bench-feedback`.

A test set and people in use are drawn from one truth, week after week, and every week somebody looks. The bounds are
those of `spira feedback`, by the numbers of params.yaml: a series has a false alarm where at some look sensitivity or
specificity is found below its promise. Then sensitivity is 0.15 less in use than in the test set, and the patients are
counted until it is noticed.
"""

import argparse
from typing import NamedTuple

import numpy as np
from scipy.stats import beta

from spira.base.array_types import Floats, Ints, Mask
from spira.base.params import load
from spira.monitoring.confidence_sequence import counted, fall, group, least_fall, share
from spira.monitoring.feedback_params import FeedbackParams

TEST_SIZES = (21, 100, 400)  # people of each class; the demo's test set has 21
WEEKLY = (5, 20)  # people of each class whose truth comes to be known in a week
SENSITIVITIES = (0.7, 0.9, 0.97)
SPECIFICITY = 0.9
WEEKS = (26, 104)
FALL = 0.15
MOST_PATIENTS = 2000
ONE_SIDED = 0.25  # share of those answered negative whose truth is known, where that of all others is
OTHERS = 0.3  # share of those answered positive or negative whose truth is known, where that of the inconclusive is
# Inconclusive, of those answered wrongly and rightly: one in five of all, as by a band of 0.3 about scores whose logits
# are normal, at a sensitivity and a specificity of 0.9.
BAND = 0.66, 0.147


class Truth(NamedTuple):
    """The shares that are answered rightly, and those of each answer whose truth comes to be known."""

    tested: tuple[float, float]  # sensitivity and specificity on the test set
    used: tuple[float, float]  # and in use
    known_if_positive: float = 1.0
    known_if_negative: float = 1.0
    inconclusive: tuple[float, float] = (0.0, 0.0)  # of those answered wrongly, and rightly; all of them are known


class Seen(NamedTuple):
    """People so far: by class (patients, controls), side of the threshold (positive, negative), answer, series, look.

    The answers of a side are that of the side and, where there is a band, inconclusive.
    """

    known: Ints  # whose truth is known, shape (2, 2, n_answers, n_series, n_weeks)
    weights: Floats  # people who were answered so, to one whose truth is known, shape (2, n_answers, n_series, n_weeks)


def watched(truth: Truth, a_week: int, shape: tuple[int, int], least: int, rng: np.random.Generator) -> Seen:
    """So many people of each class are answered each week.

    Args:
        shape: (n_series, n_weeks).
        least: a side of which either part has fewer people is one stratum.
    """
    hits, alarms_ = (rng.binomial(a_week, share_, shape) for share_ in (truth.used[0], 1 - truth.used[1]))
    sides = (hits, alarms_), (a_week - hits, a_week - alarms_)
    chances = truth.known_if_positive, truth.known_if_negative
    known, weights = list[Ints](), list[Floats]()
    for i, (people, chance) in enumerate(zip(sides, chances, strict=True)):
        inside = [rng.binomial(n, truth.inconclusive[i == label]) for label, n in enumerate(people)]
        outside = [n - within for n, within in zip(people, inside, strict=True)]
        own = [[np.cumsum(rng.binomial(n, chance), axis=1)] for n in outside]
        answered = [np.cumsum(sum(outside), axis=1)]
        if any(truth.inconclusive):
            own = [[*ours, np.cumsum(n, axis=1)] for ours, n in zip(own, inside, strict=True)]
            answered.append(np.cumsum(sum(inside), axis=1))
        known.append(np.array(own))
        weights.append(_weights(np.array(answered), known[-1].sum(axis=0), least))
    return Seen(np.stack(known, axis=1), np.stack(weights))


def _weights(answered: Ints, known: Ints, least: int) -> Floats:
    """Of one side, by answer; shapes (n_answers, n_series, n_weeks)."""
    split = (answered >= least).all(axis=0)
    return np.where(split, answered / np.maximum(1, known), answered.sum(axis=0) / np.maximum(1, known.sum(axis=0)))


def found(seen: Seen, truth: Truth, n_tested: int, p: FeedbackParams, rng: np.random.Generator) -> Mask:
    """Whether sensitivity or specificity is below its promise, shape (2, n_series, n_weeks)."""
    n_side = seen.known.sum(axis=(0, 2))
    means = (seen.known.sum(axis=0) * seen.weights).sum(axis=1) / np.maximum(1, n_side)
    means = np.where(n_side, means, 1.0)
    fallen = []
    for i, own in enumerate(seen.known):  # patients are rightly on side 0, controls on side 1
        hits = rng.binomial(n_tested, truth.tested[i], (own.shape[2], 1))
        used = share(*(group(own[side], seen.weights[side], means[side]) for side in (i, 1 - i)))
        lower = fall(share(counted(hits), counted(n_tested - hits)), used, alpha=p.alpha, tightest=p.tightest).lo
        fallen.append(lower > 0)
    return np.asarray(np.stack(fallen) & (seen.known.sum(axis=(1, 2)).min(axis=0) >= p.min_people))


def alarms(truth: Truth, n_tested: int, a_week: int, n_weeks: int, n_series: int, p: FeedbackParams) -> int:
    """How many series have an alarm of either kind in so many weekly looks."""
    rng = np.random.default_rng((n_tested, a_week, n_weeks, round(1000 * truth.used[0])))
    seen = watched(truth, a_week, (n_series, n_weeks), p.min_people, rng)
    return int(found(seen, truth, n_tested, p, rng).any(axis=(0, 2)).sum())


def patients_until(n_tested: int, sensitivity: float, a_week: int, n_series: int, p: FeedbackParams) -> Floats:
    """By series, the patients known at the look that first finds sensitivity fallen; infinity where none does."""
    rng = np.random.default_rng((n_tested, a_week, round(1000 * sensitivity)))
    truth = Truth((sensitivity, SPECIFICITY), (sensitivity - FALL, SPECIFICITY))
    shape = n_series, MOST_PATIENTS // a_week
    noticed = found(watched(truth, a_week, shape, p.min_people, rng), truth, n_tested, p, rng)[0]
    return np.where(noticed.any(axis=1), a_week * (1.0 + noticed.argmax(axis=1)), np.inf)


def clopper_pearson(count: int, n: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share."""
    tail = (1 - confidence) / 2
    lo = 0.0 if count == 0 else float(beta.ppf(tail, count, n - count + 1))
    hi = 1.0 if count == n else float(beta.ppf(1 - tail, count + 1, n - count))
    return lo, hi


def false_alarms(n_series: int, p: FeedbackParams) -> None:
    print(f"Nothing has changed. Series with a false alarm, of {n_series}, and the interval of their share.\n")
    print(
        f"| tested of each class | labelled of each a week | sensitivity | {' | '.join(f'{n} weeks' for n in WEEKS)} |"
    )
    print(f"| --- | --- | --- |{' --- |' * len(WEEKS)}")
    for n_tested in TEST_SIZES:
        for a_week in WEEKLY:
            for sensitivity in SENSITIVITIES:
                truth = Truth((sensitivity, SPECIFICITY), (sensitivity, SPECIFICITY))
                counts = [alarms(truth, n_tested, a_week, n, n_series, p) for n in WEEKS]
                cells = [_share(count, n_series, p) for count in counts]
                print(f"| {n_tested} | {a_week} | {sensitivity} | {' | '.join(cells)} |")
    print("\nThe same, sensitivity 0.9, where the truth is not known of all.\n")
    print(f"| tested of each class | answered of each a week | known | {' | '.join(f'{n} weeks' for n in WEEKS)} |")
    print(f"| --- | --- | --- |{' --- |' * len(WEEKS)}")
    shares = 0.9, SPECIFICITY
    for known, truth in {
        f"{ONE_SIDED:.0%} of the negative": Truth(shares, shares, known_if_negative=ONE_SIDED),
        f"the inconclusive, {OTHERS:.0%} of others": Truth(shares, shares, OTHERS, OTHERS, BAND),
        f"positive and inconclusive, {OTHERS:.0%} of others": Truth(shares, shares, 1.0, OTHERS, BAND),
    }.items():
        for n_tested in TEST_SIZES:
            for a_week in WEEKLY:
                counts = [alarms(truth, n_tested, a_week, n, n_series, p) for n in WEEKS]
                shown = " | ".join(_share(count, n_series, p) for count in counts)
                print(f"| {n_tested} | {a_week} | {known} | {shown} |")


def _share(count: int, n: int, p: FeedbackParams) -> str:
    lo, hi = clopper_pearson(count, n, p.confidence)
    return f"{count / n:.2%} [{lo:.2%}, {hi:.2%}]"


def delays(n_series: int, p: FeedbackParams) -> None:
    print(
        f"\nSensitivity falls by {FALL}. Labelled patients until it is noticed, {WEEKLY[0]} a look, of {n_series} "
        "series.\n"
    )
    print(
        "| tested patients | sensitivity promised | median | 90 % | never in 2,000 | least fall that can be noticed |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for n_tested in TEST_SIZES:
        for sensitivity in SENSITIVITIES:
            needed = patients_until(n_tested, sensitivity, WEEKLY[0], n_series, p)
            hits = np.array([round(n_tested * sensitivity)])
            promised = share(counted(hits), counted(n_tested - hits))
            least = hits / n_tested - promised.value + least_fall(promised, alpha=p.alpha, tightest=p.tightest)
            half, most = (_people(np.sort(needed)[int(np.ceil(part * n_series)) - 1]) for part in (0.5, 0.9))
            never = np.isinf(needed).mean()
            print(f"| {n_tested} | {sensitivity} | {half} | {most} | {never:.1%} | {least[0]:.3f} |")


def _people(number: float) -> str:
    return "not noticed" if np.isinf(number) else f"{number:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--series", type=int, default=10_000)
    n_series, p = parser.parse_args().series, load("feedback", FeedbackParams)
    print(f"An alarm is one of sensitivity or of specificity, {SPECIFICITY}; confidence {p.confidence:.0%}.\n")
    false_alarms(n_series, p)
    delays(n_series, p)


if __name__ == "__main__":
    main()
