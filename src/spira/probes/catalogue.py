"""Every probe, in the order of the report: what could be predicted without breathing, and what a model relies on.

A new probe is one function (study, parameters) -> Answer and one entry here. What depends on no model is computed in
that function, once; the answer, scores of a model -> Finding, is then had from each model.
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
from spira.probes.shortcuts import DURATION, RULE, duration, file_header, metadata, recording_date, sound_shortcut
from spira.probes.study import Answer, Finding, Fold, ProbeParams, Scores, Study, same_for_all
from spira.probes.voices import speaker_similarity
from spira.probes.within_groups import RULE as WITHIN
from spira.probes.within_groups import within_groups


class Probe(NamedTuple):
    """A question, the rule of its verdict, and the function that answers it."""

    question: str
    rule: str  # with names of parameters in braces
    run: Callable[[Study, ProbeParams], Answer]


_SAME = (
    "fails if two nearly identical clips lie on both sides of a split or have different labels; warns if there are any"
)


_ALIKE = (
    "warns if the clean clips of a training and a test speaker are more alike than those of any two speakers of whom "
    "sex or age (by more than {caliper_years:g} years) says that they are two people; such pairs are listed for "
    "somebody to listen to"
)


def near_duplicates(study: Study, p: ProbeParams) -> Answer:
    """Is any recording in both training and test, or under two labels?"""
    across = [pair for pair in study.pairs if any(_split(fold, pair) for fold in study.folds)]
    clash = [pair for pair in study.pairs if study.labels[pair.first] != study.labels[pair.second]]
    numbers = {"n_pairs": len(study.pairs), "n_across": len(across), "n_contradictions": len(clash)}
    seconds = p.fingerprint.min_seconds
    why = (
        f"{len(study.pairs)} pairs of clips share {seconds:g} s or more of the same recording; {len(across)} of them "
        f"lie on both sides of a split and {len(clash)} have different labels"
    )
    return same_for_all(Finding("fail" if across or clash else "warn" if study.pairs else "pass", why, numbers))


def _split(fold: Fold, pair: Pair) -> bool:
    """Whether one clip of the pair is a test clip and the other is fitted on."""
    one, other = pair.first, pair.second
    return bool((fold.fit[one] and fold.test[other]) or (fold.fit[other] and fold.test[one]))


PROBES: Mapping[str, Probe] = {
    "ward_noise": Probe(
        "Can the silent frames alone (ward noise) separate patients from controls?",
        RULE,
        sound_shortcut("background", "the silent frames (ward noise)"),
    ),
    "ward_noise_swap": Probe("Does the model follow the ward noise rather than the speaker?", DROP, ward_noise_swap),
    "noise_conditions": Probe("Does the model's AUC drop when noise is added to the clips?", DROP, noise_conditions),
    "metadata": Probe("Can the metadata alone separate patients from controls?", RULE, metadata),
    "recording_date": Probe("Can the recording date alone separate patients from controls?", RULE, recording_date),
    "file_header": Probe("Can the file format alone separate patients from controls?", RULE, file_header),
    "duration": Probe("Can the duration alone separate patients from controls?", DURATION, duration),
    "level": Probe(
        "Can level, noise floor and bandwidth alone separate patients from controls?",
        RULE,
        sound_shortcut("level", "level, noise floor and bandwidth"),
    ),
    "spectrum": Probe(
        "Can the long-term average spectrum alone separate patients from controls?",
        RULE,
        sound_shortcut("spectrum", "the long-term average spectrum"),
    ),
    "edges": Probe(
        "Can the beginning and end of a recording alone separate patients from controls?",
        RULE,
        sound_shortcut("edges", "the beginning and end of the recordings"),
    ),
    "label_permutation": Probe("Is the AUC at chance when the labels are shuffled?", PERMUTED, label_permutation),
    "gain": Probe("Do the scores stay the same when a recording is made louder?", SHIFT, invariance("louder")),
    "polarity": Probe("Do the scores stay the same when the waveform is inverted?", SHIFT, invariance("inverted")),
    "padding": Probe("Do the scores stay the same when background is added at both ends?", SHIFT, invariance("padded")),
    "trimming": Probe("Do the scores stay the same when silence at both ends is cut?", SHIFT, invariance("trimmed")),
    "matched": Probe(
        "Does the model still separate patients from controls alike in age, sex and site?", MATCHED, matched
    ),
    "within_groups": Probe(
        "Does the model still separate patients from controls of one site, one device and one channel?",
        WITHIN,
        within_groups,
    ),
    "near_duplicates": Probe("Is a training recording also among the test recordings?", _SAME, near_duplicates),
    "speaker_similarity": Probe(
        "Does one voice have two speaker ids, on both sides of a split?", _ALIKE, speaker_similarity
    ),
}
_WORST = ("fail", "warn", "pass")


def probe_all(study: Study, scores: Mapping[str, Scores], p: ProbeParams) -> dict[str, dict[str, Any]]:
    """By model, its verdict, and question, verdict, rule, why and figures of every probe, by its name.

    Args:
        scores: by model.
    """
    answers = {name: probe.run(study, p) for name, probe in PROBES.items()}
    every = {}
    for model, own in scores.items():
        probes = {name: _written(PROBES[name], answer(own), p) for name, answer in answers.items()}
        every[model] = {"verdict": overall(probes), "probes": probes}
    return every


def _written(probe: Probe, found: Finding, p: ProbeParams) -> dict[str, Any]:
    rule = probe.rule.format(**p.model_dump())
    return {"question": probe.question, "verdict": found.verdict, "rule": rule, "why": found.why, **found.numbers}


def overall(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The worst of the verdicts; what was not run counts for nothing."""
    verdicts = {probe["verdict"] for probe in found.values()}
    return next((verdict for verdict in _WORST if verdict in verdicts), "warn")
