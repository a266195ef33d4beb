"""How often an interval over speakers holds the truth: `make bench-coverage`.

Synthetic studies whose truth is known by formula: half of the speakers are patients, their log odds a given distance
above the controls'; half of a clip's variance is its speaker's. Each study is summarized as ``evaluate`` does it, with
the parameters of params.yaml but for the number of resamples. The threshold is half-way, like Youden's.
"""

import argparse
from math import erf, sqrt

import numpy as np

from spira.base.array_types import Floats, Ints
from spira.base.params import load
from spira.evaluation.bootstrap import speaker_resamples
from spira.evaluation.intervals import summarize
from spira.evaluation.params import EvaluateParams
from spira.predictions.scored import ScoredClips

# speakers, clips of each, and between the classes' log odds, in their standard deviations. The first is the demo's test
# set: 1.5 is an AUC of 0.856. The last is nearly perfect, 0.983, where one study in ten has not one patient wrong.
STUDIES = ((42, 2, 1.5), (100, 2, 1.5), (42, 5, 1.5), (42, 2, 3.0), (100, 2, 3.0))


def normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def truth(distance: float) -> dict[str, float]:
    """By metric, what a study of endless speakers would find; half-way, both classes are right as often."""
    right = normal(distance / 2)
    return {"auc": normal(distance / sqrt(2)), **dict.fromkeys(("sensitivity", "specificity", "accuracy", "f1"), right)}


def study(n_speakers: int, n_clips: int, distance: float, rng: np.random.Generator) -> tuple[Ints, Floats, list[str]]:
    """(labels, scores, speakers), shape (n_speakers * n_clips,)."""
    who = np.repeat(np.arange(n_speakers), n_clips)
    labels = who % 2
    noise = (rng.standard_normal(n_speakers)[who] + rng.standard_normal(who.size)) / sqrt(2)
    odds = (labels - 0.5) * distance + noise
    return labels, 1 / (1 + np.exp(-odds)), [f"s{i}" for i in who]


def coverage(n_speakers: int, n_clips: int, distance: float, n_studies: int, p: EvaluateParams) -> dict[str, float]:
    """By metric, the share of the studies whose interval holds the truth."""
    rng = np.random.default_rng(n_speakers * 1000 + n_clips)
    held = dict.fromkeys(truth(distance), 0)
    for i in range(n_studies):
        labels, scores, speakers = study(n_speakers, n_clips, distance, rng)
        resamples = speaker_resamples(labels, speakers, p.n_resamples, i)
        names, at = tuple(speakers), np.full((1, labels.size), 0.5)
        clips = ScoredClips(names, names, names, labels, scores[None], at)
        found = dict(summarize(clips, resamples, p.confidence))
        for name, value in truth(distance).items():
            held[name] += found[name].lo <= value <= found[name].hi
    return {name: count / n_studies for name, count in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=500)
    asked = parser.parse_args()
    p = load("evaluate", EvaluateParams).model_copy(update={"n_resamples": asked.resamples})
    names = list(truth(0))
    print(
        f"Share of {asked.studies} studies whose {p.confidence:.0%} interval, of {asked.resamples} resamples, holds",
        end=" ",
    )
    doubt = 1.96 * sqrt(p.confidence * (1 - p.confidence) / asked.studies)
    print(f"the truth; so many studies leave a doubt of ±{doubt:.1%}.\n")
    print(f"| speakers | clips of each | true AUC | {' | '.join(names)} |\n| --- | --- | --- |{' --- |' * len(names)}")
    for n_speakers, n_clips, distance in STUDIES:
        found = coverage(n_speakers, n_clips, distance, asked.studies, p)
        cells = [
            str(n_speakers),
            str(n_clips),
            f"{truth(distance)['auc']:.3f}",
            *(f"{found[name]:.1%}" for name in names),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
