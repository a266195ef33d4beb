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
from spira.monitoring.confidence_sequence import fall, least_fall, share
from spira.monitoring.feedback_params import FeedbackParams

TEST_SIZES = (21, 100, 400)  # people of each class; the demo's test set has 21
WEEKLY = (5, 20)  # people of each class whose truth comes to be known in a week
SENSITIVITIES = (0.7, 0.9, 0.97)
SPECIFICITY = 0.9
WEEKS = (26, 104)
FALL = 0.15
MOST_PATIENTS = 2000
ONE_SIDED = 0.25  # share of those answered negative whose truth is known, where that of all others is


class Truth(NamedTuple):
    """The shares that are answered rightly, and those of either answer whose truth comes to be known."""

    tested: tuple[float, float]  # sensitivity and specificity on the test set
    used: tuple[float, float]  # and in use
    known_if_positive: float = 1.0
    known_if_negative: float = 1.0


class Seen(NamedTuple):
    """People whose truth is known so far, by series and look: patients, and controls."""

    right: tuple[Ints, Ints]
    wrong: tuple[Ints, Ints]
    per_positive: Floats  # people who were answered so, to one of whom the truth is known
    per_negative: Floats


def watched(truth: Truth, a_week: int, shape: tuple[int, int], rng: np.random.Generator) -> Seen:
    """So many people of each class are answered each week; shape is (n_series, n_weeks)."""
    hits, alarms_ = (rng.binomial(a_week, share_, shape) for share_ in (truth.used[0], 1 - truth.used[1]))
    sides = (hits, alarms_, truth.known_if_positive), (a_week - hits, a_week - alarms_, truth.known_if_negative)
    known, per_known = list[tuple[Ints, Ints]](), list[Floats]()
    for patients, controls, chance in sides:
        own = tuple(np.cumsum(rng.binomial(people, chance), axis=1) for people in (patients, controls))
        known.append((own[0], own[1]))
        per_known.append(np.cumsum(patients + controls, axis=1) / np.maximum(1, own[0] + own[1]))
    (right_patients, wrong_controls), (wrong_patients, right_controls) = known
    return Seen((right_patients, right_controls), (wrong_patients, wrong_controls), per_known[0], per_known[1])


def found(seen: Seen, truth: Truth, n_tested: int, p: FeedbackParams, rng: np.random.Generator) -> Mask:
    """Whether sensitivity or specificity is below its promise, shape (2, n_series, n_weeks)."""
    one, fallen = np.ones(1), []
    weights = seen.per_positive, seen.per_negative
    for i, (right, wrong) in enumerate(zip(seen.right, seen.wrong, strict=True)):
        hits = rng.binomial(n_tested, truth.tested[i], (len(right), 1))
        used = share(right, wrong, weights[i], weights[1 - i])
        lower = fall(share(hits, n_tested - hits, one, one), used, alpha=p.alpha, tightest=p.tightest).lo
        fallen.append(lower > 0)
    n_patients, n_controls = (right + wrong for right, wrong in zip(seen.right, seen.wrong, strict=True))
    return np.asarray(np.stack(fallen) & (np.minimum(n_patients, n_controls) >= p.min_people))


def alarms(truth: Truth, n_tested: int, a_week: int, n_weeks: int, n_series: int, p: FeedbackParams) -> int:
    """How many series have an alarm of either kind in so many weekly looks."""
    rng = np.random.default_rng((n_tested, a_week, n_weeks, round(1000 * truth.used[0])))
    seen = watched(truth, a_week, (n_series, n_weeks), rng)
    return int(found(seen, truth, n_tested, p, rng).any(axis=(0, 2)).sum())


def patients_until(n_tested: int, sensitivity: float, a_week: int, n_series: int, p: FeedbackParams) -> Floats:
    """By series, the patients known at the look that first finds sensitivity fallen; infinity where none does."""
    rng = np.random.default_rng((n_tested, a_week, round(1000 * sensitivity)))
    truth = Truth((sensitivity, SPECIFICITY), (sensitivity - FALL, SPECIFICITY))
    shape = n_series, MOST_PATIENTS // a_week
    noticed = found(watched(truth, a_week, shape, rng), truth, n_tested, p, rng)[0]
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
    print(f"\nThe same, sensitivity 0.9, where the truth is known of {ONE_SIDED:.0%} of those answered negative.\n")
    print(f"| tested of each class | answered of each a week | {' | '.join(f'{n} weeks' for n in WEEKS)} |")
    print(f"| --- | --- |{' --- |' * len(WEEKS)}")
    truth = Truth((0.9, SPECIFICITY), (0.9, SPECIFICITY), known_if_negative=ONE_SIDED)
    for n_tested in TEST_SIZES:
        for a_week in WEEKLY:
            counts = [alarms(truth, n_tested, a_week, n, n_series, p) for n in WEEKS]
            print(f"| {n_tested} | {a_week} | {' | '.join(_share(count, n_series, p) for count in counts)} |")


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
            one, hits = np.ones(1), np.array([round(n_tested * sensitivity)])
            promised = share(hits, n_tested - hits, one, one)
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
