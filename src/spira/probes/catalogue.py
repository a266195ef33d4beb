"""Every probe, in the order of the issue's reader: what could be known without breath, and what the model follows.

A new probe is one function (study, parameters) -> Found and one entry here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from spira.probes.model_behaviour import (
    DROP,
    MATCHED,
    PERMUTED,
    SHIFT,
    invariance,
    label_permutation,
    matched,
    noise_conditions,
    ward_noise_swap,
)
from spira.probes.near_duplicates import Pair
from spira.probes.shortcuts import RULE, file_header, metadata, of_sound, recording_date
from spira.probes.study import Fold, Found, ProbeParams, Study


class Probe(NamedTuple):
    """A question that is put to every study."""

    question: str
    rule: str  # with the parameters that it names in braces
    run: Callable[[Study, ProbeParams], Found]


_SAME = "fails where two clips that are nearly the same sound lie on both sides of a split, or have two labels"


def near_duplicates(study: Study, p: ProbeParams) -> Found:
    """Pairs that one fold teaches and judges by, or that contradict each other."""
    across = [pair for pair in study.pairs if any(_split(fold, pair) for fold in study.folds)]
    clash = [pair for pair in study.pairs if study.labels[pair.first] != study.labels[pair.second]]
    numbers = {"n_pairs": len(study.pairs), "n_across": len(across), "n_contradictions": len(clash)}
    seconds = p.fingerprint.min_seconds
    why = (
        f"{len(study.pairs)} pairs of clips share {seconds:g} s or more of one recording; {len(across)} of them lie on "
        f"both sides of a split and {len(clash)} have two labels"
    )
    return Found("fail" if across or clash else "warn" if study.pairs else "pass", why, numbers)


def _split(fold: Fold, pair: Pair) -> bool:
    teach = bool(fold.fit[pair.first]), bool(fold.fit[pair.second])
    judge = bool(fold.test[pair.first]), bool(fold.test[pair.second])
    return (teach[0] and judge[1]) or (teach[1] and judge[0])


def speaker_similarity(study: Study, p: ProbeParams) -> Found:  # noqa: ARG001 — every probe is called alike
    """Whether one voice goes by two names."""
    return Found(
        "not run",
        "not run: whether one voice goes by two names takes a model of speaker verification, and none is part of this "
        "repository; `near_duplicates` finds only the same recording",
    )


PROBES: Mapping[str, Probe] = {
    "ward_noise": Probe(
        "Do the frames in which nobody speaks (ward noise) tell patients from controls?",
        RULE,
        of_sound("background", "ward noise (the frames in which nobody speaks)"),
    ),
    "ward_noise_swap": Probe("Does the model follow the ward noise rather than the speaker?", DROP, ward_noise_swap),
    "noise_conditions": Probe("Does the model fall when noise is put on its clips?", DROP, noise_conditions),
    "metadata": Probe("Can a patient be told by who they are?", RULE, metadata),
    "recording_date": Probe("Can a patient be told by the day of the recording?", RULE, recording_date),
    "file_header": Probe("Can a patient be told by how the file was stored?", RULE, file_header),
    "level": Probe(
        "Can a patient be told by level, noise floor and bandwidth?",
        RULE,
        of_sound("level", "level, noise floor and bandwidth"),
    ),
    "spectrum": Probe(
        "Can a patient be told by the long-term average spectrum?",
        RULE,
        of_sound("spectrum", "the long-term average spectrum"),
    ),
    "edges": Probe(
        "Can a patient be told by how a recording begins and ends?",
        RULE,
        of_sound("edges", "how a recording begins and ends"),
    ),
    "label_permutation": Probe("Does shuffling the labels leave nothing to learn?", PERMUTED, label_permutation),
    "gain": Probe("Does the score stay where a recording is made louder?", SHIFT, invariance("louder")),
    "polarity": Probe("Does the score stay where the wave is turned upside down?", SHIFT, invariance("inverted")),
    "padding": Probe("Does the score stay where background is added at both ends?", SHIFT, invariance("padded")),
    "trimming": Probe("Does the score stay where the silence at both ends is cut?", SHIFT, invariance("trimmed")),
    "matched": Probe(
        "Does the model still work between patients and controls alike in age, sex and site?", MATCHED, matched
    ),
    "near_duplicates": Probe("Is a recording that teaches heard again among those that judge?", _SAME, near_duplicates),
    "speaker_similarity": Probe(
        "Does one voice go by two names on both sides of a split?", "has no rule yet", speaker_similarity
    ),
}
_WORST = ("fail", "warn", "pass")


def probe_all(study: Study, p: ProbeParams) -> dict[str, dict[str, Any]]:
    """By name: question, verdict, rule, why, and the figures."""
    found = {}
    for name, probe in PROBES.items():
        answer = probe.run(study, p)
        said = {"question": probe.question, "verdict": answer.verdict, "rule": probe.rule.format(**p.model_dump())}
        found[name] = said | {"why": answer.why, **answer.numbers}
    return found


def overall(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The worst of the verdicts; what was not run counts for nothing."""
    verdicts = {probe["verdict"] for probe in found.values()}
    return next((verdict for verdict in _WORST if verdict in verdicts), "warn")
