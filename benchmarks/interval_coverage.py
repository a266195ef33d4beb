"""How often an interval over speakers holds the truth: `make bench-coverage`.

Synthetic studies whose true AUC, sensitivity and specificity are known by formula: half of the speakers are
patients, their log odds a given distance above the controls'; half of a clip's variance is its speaker's. Each
study is summarized as ``evaluate`` does it, with the parameters of params.yaml but for the number of resamples.
"""

import argparse
from math import erf, sqrt

import numpy as np

from spira.core.evaluation import EvaluateParams, summarize
from spira.core.metrics import Floats, Ints
from spira.params import load

SIZES = ((42, 2), (100, 2), (42, 5))  # speakers and clips of each; the first is the demo's test set
DISTANCE = 1.5  # between the classes' log odds, in their standard deviations: an AUC of 0.856
THRESHOLD = 0.68  # a score, near Youden's: log odds of 0.754


def normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def truth() -> dict[str, float]:
    """By metric, what a study of endless speakers would find."""
    at = float(np.log(THRESHOLD / (1 - THRESHOLD)))
    return {"auc": normal(DISTANCE / sqrt(2)), "sensitivity": normal(DISTANCE - at), "specificity": normal(at)}


def study(n_speakers: int, n_clips: int, rng: np.random.Generator) -> tuple[Ints, Floats, list[str]]:
    """(labels, scores, speakers), shape (n_speakers * n_clips,)."""
    who = np.repeat(np.arange(n_speakers), n_clips)
    labels = who % 2
    noise = (rng.standard_normal(n_speakers)[who] + rng.standard_normal(who.size)) / sqrt(2)
    odds = labels * DISTANCE + noise
    return labels, 1 / (1 + np.exp(-odds)), [f"s{i}" for i in who]


def coverage(n_speakers: int, n_clips: int, n_studies: int, p: EvaluateParams) -> dict[str, float]:
    """By metric, the share of the studies whose interval holds the truth."""
    rng = np.random.default_rng(n_speakers * 1000 + n_clips)
    held = dict.fromkeys(truth(), 0)
    for _ in range(n_studies):
        labels, scores, speakers = study(n_speakers, n_clips, rng)
        found = summarize(labels, scores[None], speakers, np.full((1, labels.size), THRESHOLD), p)
        for name, value in truth().items():
            held[name] += found[f"{name}_lo"] <= value <= found[f"{name}_hi"]
    return {name: count / n_studies for name, count in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=500)
    asked = parser.parse_args()
    p = load("evaluate", EvaluateParams).model_copy(update={"n_resamples": asked.resamples})
    names = list(truth())
    print(
        f"Share of {asked.studies} studies whose {p.confidence:.0%} interval, of {asked.resamples} resamples, holds",
        end=" ",
    )
    doubt = 1.96 * sqrt(p.confidence * (1 - p.confidence) / asked.studies)
    print(f"the truth; so many studies leave a doubt of ±{doubt:.1%}.\n")
    print(f"| speakers | clips of each | {' | '.join(names)} |\n| --- | --- |{' --- |' * len(names)}")
    for n_speakers, n_clips in SIZES:
        found = coverage(n_speakers, n_clips, asked.studies, p)
        print(f"| {n_speakers} | {n_clips} | {' | '.join(f'{found[name]:.1%}' for name in names)} |", flush=True)


if __name__ == "__main__":
    main()
