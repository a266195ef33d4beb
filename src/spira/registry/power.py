"""How many speakers it takes to show that a model is not worse: a normal approximation from one paired comparison.

The standard error of a difference of two AUCs over the same speakers falls with the square root of their number. A
model passes where its difference, less the error times the quantile of the confidence, is above ``-margin``.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

from scipy.special import ndtr, ndtri

N_SPEAKERS = (40, 100, 200, 400, 800, 1600, 3200)
DIFFERENCES = (0.01, 0.0, -0.01, -0.02, -0.05)  # of AUC, the new model less the other


class Seen(NamedTuple):
    """One paired comparison."""

    error: float  # standard error of the difference of AUC
    n_speakers: int

    def at(self, n_speakers: int) -> float:
        """The error that as many speakers like these would give."""
        return self.error * sqrt(self.n_speakers / n_speakers)


def chance(difference: float, error: float, margin: float, confidence: float) -> float:
    """The probability, in [0, 1], that a model of this true difference passes."""
    if error <= 0:
        return float(difference > -margin)
    return float(ndtr((difference + margin) / error - ndtri(confidence)))


def speakers_needed(difference: float, seen: Seen, margin: float, confidence: float, power: float) -> int | None:
    """How many speakers give a model of this true difference the chance ``power``; None where no number does."""
    if difference <= -margin:
        return None
    error = (difference + margin) / float(ndtri(confidence) + ndtri(power))
    return max(2, ceil(seen.n_speakers * (seen.error / error) ** 2))


def plan(
    seen: Seen, margin: float, confidence: float, power: float, n_speakers: Sequence[int] = N_SPEAKERS
) -> list[list[str]]:
    """A table, its head first: the chance to pass by true difference and number of speakers, and the number needed."""
    head = ["true difference", *(f"{n} speakers" for n in n_speakers), f"speakers for {power:.0%}"]
    rows = []
    for difference in DIFFERENCES:
        needed = speakers_needed(difference, seen, margin, confidence, power)
        chances = [f"{chance(difference, seen.at(n), margin, confidence):.2f}" for n in n_speakers]
        rows.append([f"{difference:+.2f}", *chances, "no number" if needed is None else str(needed)])
    return [head, *rows]
