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

from spira.base.array_types import CLASSES, Floats, Ints, Mask
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
ONE_SIDED = 0.5  # share of those answered negative whose truth is known, where that of the others always is


class Truth(NamedTuple):
    """Of one class: the shares that are answered rightly, and whose truth comes to be known by the answer."""

    tested: float
    used: float
    known_if_right: float = 1.0
    known_if_wrong: float = 1.0


def weekly(truth: Truth, n_people: int, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(right, wrong) people whose truth is known, by series and week; as many of the class are answered each week."""
    right = rng.binomial(n_people, truth.used, shape)
    known = rng.binomial(right, truth.known_if_right), rng.binomial(n_people - right, truth.known_if_wrong)
    return np.cumsum(known[0], axis=1), np.cumsum(known[1], axis=1)


def found(truth: Truth, n_tested: int, right: Ints, wrong: Ints, p: FeedbackParams, rng: np.random.Generator) -> Mask:
    """Whether each series is found below its promise at each look, shape (n_series, n_weeks)."""
    hits = rng.binomial(n_tested, truth.tested, (len(right), 1))
    one = np.ones(1)
    promised = share(hits, n_tested - hits, one, one)
    used = share(right, wrong, np.array([1 / truth.known_if_right]), np.array([1 / truth.known_if_wrong]))
    lower = fall(promised, used, alpha=p.alpha, tightest=p.tightest).lo
    return (lower > 0) & (right + wrong >= p.min_people)


def alarms(
    patients: Truth, controls: Truth, n_tested: int, a_week: int, n_weeks: int, n_series: int, p: FeedbackParams
) -> int:
    """How many series have an alarm of either kind in so many weekly looks."""
    rng = np.random.default_rng((n_tested, a_week, n_weeks, round(1000 * patients.tested)))
    either = np.zeros(n_series, dtype=bool)
    for truth in (patients, controls):
        right, wrong = weekly(truth, a_week, (n_series, n_weeks), rng)
        either |= found(truth, n_tested, right, wrong, p, rng).any(axis=1)
    return int(either.sum())


def patients_until(n_tested: int, sensitivity: float, a_week: int, n_series: int, p: FeedbackParams) -> Floats:
    """By series, the patients known at the look that first finds the fall; infinity where none does."""
    rng = np.random.default_rng((n_tested, a_week, round(1000 * sensitivity)))
    truth = Truth(sensitivity, sensitivity - FALL)
    right, wrong = weekly(truth, a_week, (n_series, MOST_PATIENTS // a_week), rng)
    seen = found(truth, n_tested, right, wrong, p, rng)
    known = (right + wrong)[0].astype(np.float64)  # all are
    return np.where(seen.any(axis=1), known[seen.argmax(axis=1)], np.inf)


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
                patients, controls = Truth(sensitivity, sensitivity), Truth(SPECIFICITY, SPECIFICITY)
                counts = [alarms(patients, controls, n_tested, a_week, n, n_series, p) for n in WEEKS]
                cells = [_share(count, n_series, p) for count in counts]
                print(f"| {n_tested} | {a_week} | {sensitivity} | {' | '.join(cells)} |")
    print(
        f"\nThe truth is known of {ONE_SIDED:.0%} of those answered negative, and of all others: as known, weighted.\n"
    )
    print(f"| tested of each class | {' | '.join(f'{n} weeks, 20 answered' for n in WEEKS)} |")
    print(f"| --- |{' --- |' * len(WEEKS)}")
    for n_tested in TEST_SIZES:
        patients = Truth(0.9, 0.9, known_if_wrong=ONE_SIDED)
        controls = Truth(SPECIFICITY, SPECIFICITY, known_if_right=ONE_SIDED)
        counts = [alarms(patients, controls, n_tested, 20, n, n_series, p) for n in WEEKS]
        print(f"| {n_tested} | {' | '.join(_share(count, n_series, p) for count in counts)} |")


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
    print(f"Classes: {' and '.join(CLASSES)}. Either alarm counts; confidence {p.confidence:.0%}.\n")
    false_alarms(n_series, p)
    delays(n_series, p)


if __name__ == "__main__":
    main()
