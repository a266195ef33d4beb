"""Pull requests whose loss is known, decided by the review's own rule: `make bench-review`.

Each pull request is two revisions' scores of one test set, drawn from a model of what differs between people, clips
and trainings. Some lose a planted AUC, some change nothing but the seed. It prints how many are caught, how many are
false alarms, how often the interval holds the truth, and how many clips a loss of each size needs.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import vl_convert

from spira.base.array_types import Floats
from spira.evaluation.paired import paired_differences, verdict
from spira.predictions.scored import ScoredClips

HERE = Path(__file__).parent
CLIPS_A_SPEAKER = 2  # as in the demo
CONFIDENCE = 0.95
AUC = 0.86  # of base, over all people: the demo's under `noisy`, by the recipe of that day
# Of a score's logit, within a class; fractions of its variance, fitted to the same recipe's three trainings under
# `noisy` by an analysis of variance (docs/explanation/verdicts.md).
SPEAKER, CLIP, TRAINING_BY_SPEAKER, TRAINING_BY_CLIP = 0.68, 0.28, 0.02, 0.02
# What changed code finds hard in other speakers than before, as such a fraction. One revision cannot show it: it is
# assumed to be five times what two trainings of one revision differ by.
CHANGE_BY_SPEAKER = 0.1
TRAINING_AUC_SD = 0.0075  # of a training's AUC over all people, so beyond what 42 speakers make it look
LOSSES = (0.1, 0.05, 0.03, 0.02, 0.01)
SEEDS = (3, 5, 10)
SPEAKERS = (20, 40, 80, 160, 320, 640, 1280, 2560)


@dataclass(frozen=True)
class Plan:
    """A test set and how often each revision is trained."""

    n_speakers: int  # half of them patients
    n_seeds: int
    change_by_speaker: float  # variance, of a logit's within a class


STATED = (
    Plan(42, 3, CHANGE_BY_SPEAKER),  # the demo's size
    Plan(100, 3, CHANGE_BY_SPEAKER),
    Plan(200, 3, CHANGE_BY_SPEAKER),
    Plan(200, 5, CHANGE_BY_SPEAKER),
    Plan(200, 3, 2 * CHANGE_BY_SPEAKER),
    Plan(200, 2, CHANGE_BY_SPEAKER),
)


def separation(auc: float) -> float:
    """How far patients stand above controls, in standard deviations, for an AUC over all people."""
    return sqrt(2) * NormalDist().inv_cdf(auc)


def pull_request(plan: Plan, loss: float, rng: np.random.Generator) -> tuple[ScoredClips, ScoredClips]:
    """Base and head, where head has lost ``loss`` of AUC; a loss of 0 is the same revision trained with other seeds."""
    who = np.repeat(np.arange(plan.n_speakers), CLIPS_A_SPEAKER)
    labels = (who % 2).astype(np.int64)
    everyone = _draw(SPEAKER, plan.n_speakers, rng)[who] + _draw(CLIP, who.size, rng)
    names, speakers = tuple(f"{i}.wav" for i in range(who.size)), tuple(map(str, who))
    sides = []
    for auc, change in ((AUC, 0.0), (AUC - loss, plan.change_by_speaker if loss else 0.0)):
        own = _draw(change, plan.n_speakers, rng)[who]
        unit = sqrt(1 + change)  # so that the AUC over all people is the one planted
        logits = np.stack([everyone + own + _training(unit, auc, labels, who, rng) for _ in range(plan.n_seeds)])
        scores, thresholds = 1 / (1 + np.exp(-logits)), np.full_like(logits, 0.5)
        sides.append(ScoredClips(names, speakers, names, labels, scores, thresholds))
    return sides[0], sides[1]


def _training(unit: float, auc: float, labels: Any, who: Any, rng: np.random.Generator) -> Floats:
    luck = unit * separation(auc + TRAINING_AUC_SD * rng.standard_normal()) * labels
    by_speaker = _draw(TRAINING_BY_SPEAKER, int(who.max()) + 1, rng)[who]
    return np.asarray(luck + by_speaker + _draw(TRAINING_BY_CLIP, who.size, rng))


def _draw(variance: float, n: int, rng: np.random.Generator) -> Floats:
    return sqrt(variance) * rng.standard_normal(n)


def rate(plan: Plan, loss: float, n: int, seed: int) -> dict[str, float]:
    """Fractions of n pull requests: called a regression, called an improvement, and whose interval holds the truth."""
    rng = np.random.default_rng([seed, plan.n_speakers, plan.n_seeds, round(1e4 * loss)])
    drawn = (pull_request(plan, loss, rng) for _ in range(n))
    found = [paired_differences(base, head, CONFIDENCE, ("auc",))["auc"] for base, head in drawn]
    verdicts = [verdict(one) for one in found]
    held = sum(one.lo <= -loss <= one.hi for one in found)
    return {
        "regression": verdicts.count("regression") / n,
        "improvement": verdicts.count("improvement") / n,
        "coverage": held / n,
    }


def at_least(k: int, n: int, p: float) -> float:
    """Probability of k successes or more in n tries."""
    return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def twenty_and_twenty(plan: Plan, n: int, seed: int) -> dict[str, float]:
    """How surely 20 that lose 0.05 and 20 that change only the seed are distinguished."""
    lost, same = (rate(plan, loss, n, seed) for loss in (0.05, 0.0))
    return {
        "speakers": plan.n_speakers,
        "clips": plan.n_speakers * CLIPS_A_SPEAKER,
        "seeds": plan.n_seeds,
        "change_by_speaker": plan.change_by_speaker,
        "caught": lost["regression"],
        "false_alarms": same["regression"],
        "coverage": lost["coverage"],
        "coverage_same": same["coverage"],
        "caught_19_of_20": at_least(19, 20, lost["regression"]),
        "at_most_1_false_alarm_of_20": 1 - at_least(2, 20, same["regression"]),
    }


def curve(seeds: Sequence[int], losses: Sequence[float], speakers: Sequence[int], n: int) -> list[dict[str, float]]:
    """The fraction caught at each size; a line ends where nearly all are."""
    points = []
    for n_seeds in seeds:
        for loss in losses:
            for n_speakers in speakers:
                caught = rate(Plan(n_speakers, n_seeds, CHANGE_BY_SPEAKER), loss, n, 1)["regression"]
                clips = n_speakers * CLIPS_A_SPEAKER
                points.append({"seeds": n_seeds, "loss": loss, "clips": clips, "caught": caught})
                if caught >= 0.995:
                    break
    return points


def needed(points: Sequence[dict[str, float]], seeds: int, loss: float) -> float | None:
    """Clips at which 95 % are caught, between the sizes tried by the logarithm of size; None where none is enough."""
    line = [(p["clips"], p["caught"]) for p in points if (p["seeds"], p["loss"]) == (seeds, loss)]
    before = line[0]
    for clips, caught in line:
        if caught >= 0.95:
            if clips == before[0]:
                return clips
            share = (0.95 - before[1]) / (caught - before[1])
            return float(round(before[0] * (clips / before[0]) ** share, -1))
        before = clips, caught
    return None


def drawing(points: list[dict[str, float]]) -> dict[str, Any]:
    """The curves as a Vega-Lite specification, a panel a number of seeds."""
    rows = [{**point, "lost": f"{point['loss']:g}"} for point in points]
    x = {"field": "clips", "type": "quantitative", "scale": {"type": "log"}, "title": "test clips, two a speaker"}
    y = {"field": "caught", "type": "quantitative", "axis": {"format": "%"}, "title": "caught (called a regression)"}
    colour = {"field": "lost", "type": "nominal", "title": "AUC lost", "sort": [f"{loss:g}" for loss in LOSSES]}
    line = {"mark": {"type": "line", "point": True}, "encoding": {"x": x, "y": y, "color": colour}}
    rule = {"mark": {"type": "rule", "color": "#999", "strokeDash": [4, 4]}, "encoding": {"y": {"datum": 0.95}}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": "Planted losses of AUC that the review catches, by test clips (simulated scores)",
        "background": "white",
        "data": {"values": rows},
        "facet": {"column": {"field": "seeds", "type": "ordinal", "title": "trainings of each revision"}},
        "spec": {"width": 260, "height": 260, "layer": [line, rule]},
    }


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else HERE.parent / "docs/explanation"
    stated = [twenty_and_twenty(plan, 1000, 0) for plan in STATED]
    points = curve(SEEDS, LOSSES, SPEAKERS, 100)
    wanted = [{"seeds": s, "loss": x, "clips_for_95_percent": needed(points, s, x)} for s in SEEDS for x in LOSSES]
    result = {"twenty_and_twenty": stated, "needed": wanted, "curve": points}
    (folder / "planted_pull_requests.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    (folder / "planted_pull_requests.png").write_bytes(vl_convert.vegalite_to_png(drawing(points), scale=1))
    for row in [*stated, *wanted]:
        print(json.dumps(row, allow_nan=False))


if __name__ == "__main__":
    main(sys.argv[1:])
