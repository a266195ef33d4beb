"""How often the gate promotes an equal model, and one that is worse: `make bench-promotion`.

Champion and candidate are ensembles of five trainings, whose scores are simulated; the rules that judge them are the
gate's own, by the numbers of params.yaml. Half of the speakers are patients, two clips each. What makes a person or a
recording hard is mostly shared by all models; a model has a view of its own, and each training luck of its own. A
candidate loses AUC by classes that are closer. Half of the speakers are women, and each half is a group.
"""

import argparse
from math import sqrt

import numpy as np
from scipy.special import expit, ndtri

from spira.base.array_types import Floats
from spira.base.params import load
from spira.predictions.scored import ScoredClips
from spira.registry import comparison
from spira.registry.listing import columns
from spira.registry.params import GateParams
from spira.registry.power import Seen, plan

N_MODELS, N_TRAININGS, N_CLIPS = 20, 5, 2  # clips of a speaker
AUC = 0.9  # of the champion, on speakers without end
# Standard deviations, where that of what is hard for every model is 1. With them two models differ on 84 clips by a
# standard error of AUC like that of the demo's network and its baseline on clean recordings, 0.020.
VIEW, LUCK = 0.26, 0.35  # of a model, and of one training of it
LOSSES = (0.0, 0.01, 0.02, 0.05)  # of AUC
SIZES = (84, 400, 1000, 2000)  # test clips; 84 are the demo's


def distance(auc: float) -> float:
    """Between the classes' means of log odds, for an ensemble to have this AUC."""
    return float(ndtri(auc)) * sqrt(2 * (1 + VIEW**2 + LUCK**2 / N_TRAININGS))


def test_clips(n_clips: int) -> comparison.TestClips:
    """Patients and women are every other speaker, and every other pair of them."""
    numbers = [i // N_CLIPS for i in range(n_clips)]
    clips = tuple(f"{number}_{i}" for i, number in enumerate(numbers))
    labels = np.asarray([number % 2 for number in numbers])
    sex = ["F" if number // 2 % 2 else "M" for number in numbers]
    return comparison.TestClips(clips, tuple(map(str, numbers)), labels, clips, {"sex": sex})


def ensembles(test: comparison.TestClips, loss: float, seed: int) -> list[ScoredClips]:
    """Of the champion and of a candidate that loses so much."""
    rng = np.random.default_rng((seed, len(test.clips)))
    speaker, sides = [int(name) for name in test.speakers], list[ScoredClips]()

    def difficulty() -> Floats:
        """Half of a recording's is its speaker's."""
        people = rng.normal(size=max(speaker) + 1)
        return np.asarray((people[speaker] + rng.normal(size=len(speaker))) / sqrt(2))

    shared = difficulty()
    for auc in (AUC, AUC - loss):
        odds = distance(auc) * (test.labels - 0.5) + shared + VIEW * difficulty()
        trainings = odds + LUCK * rng.normal(size=(N_TRAININGS, len(test.clips)))
        scores = dict(zip(test.clips, expit(trainings).mean(axis=0).tolist(), strict=True))
        sides.append(comparison.as_scored(test, scores, 0.5))
    return sides


def promoted(n_clips: int, loss: float, n_models: int, p: GateParams) -> int:
    """How many of the candidates pass both rules that compare with the champion."""
    test, n_passed = test_clips(n_clips), 0
    for seed in range(n_models):
        champion, candidate = ensembles(test, loss, seed)
        checks = (
            comparison.champion_auc(champion, candidate, 0, p),
            comparison.champion_groups(test, champion, candidate, p),
        )
        n_passed += all(check.verdict == "pass" for check in checks)
    return n_passed


def typical_error(n_clips: int, n_models: int, p: GateParams) -> Seen:
    """The mean over candidates of the standard error that one comparison says it has."""
    test = test_clips(n_clips)
    errors = []
    for seed in range(n_models):
        champion, candidate = ensembles(test, 0.0, seed)
        found = comparison.difference_of_auc(champion, candidate, p)
        errors.append(comparison.seen(found, test.n_speakers, p.confidence).error)
    return Seen(float(np.mean(errors)), test.n_speakers)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=N_MODELS, help="candidates of each kind")
    n_models, p = parser.parse_args().models, load("gate", GateParams)
    rows = [["true loss of AUC", *(f"{n} clips" for n in SIZES)]]
    for loss in LOSSES:
        counts = [f"{promoted(n, loss, n_models, p)} of {n_models}" for n in SIZES]
        rows.append([f"{loss:.2f}", *counts])
    print(f"Promoted, of candidates of {N_TRAININGS} trainings; margin {p.margin}, {p.confidence:.0%} confidence:\n")
    print(columns(rows))
    error = typical_error(SIZES[0], n_models, p)
    print(
        f"\nThe power by the normal approximation; standard error {error.error:.3f} with {error.n_speakers} speakers:\n"
    )
    print(columns(plan(error, p.margin, p.confidence, p.power)))


if __name__ == "__main__":
    main()
