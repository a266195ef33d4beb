"""Does one voice have two speaker ids? Speakers' voices, held against those of people who are known to be two."""

from typing import NamedTuple

import numpy as np

from spira.base.array_types import Floats, Ints, Mask
from spira.clips.cells import is_unknown, read_numbers, require_read
from spira.probes.study import Answer, Finding, ProbeParams, Study, same_for_all

NO_ENCODER = Finding(
    "not run",
    "not run: comparing voices takes the weights of a speaker encoder, `embedding.architecture: resemblyzer` and its "
    "file in `embedding.file`; `near_duplicates` finds the same recording, not the same voice",
)
_NO_STRANGERS = Finding(
    "not run",
    "not run: no two speakers of one sex are known to be two people by their ages, so nothing says how alike two "
    "people may sound",
)


class AlikePair(NamedTuple):
    """A speaker who is fitted on and one who is tested, more alike than any two who are known to be two people."""

    speaker_id: str
    other_speaker_id: str
    similarity: float  # cosine of the two voices, [-1, 1]


class Voices(NamedTuple):
    """One voice a speaker, and what the metadata say of them; speakers in the order of their names."""

    speakers: tuple[str, ...]
    directions: Floats  # (n_speakers, width), of length 1
    sexes: tuple[str, ...]  # "" where unknown
    ages: Floats  # (n_speakers,), years; NaN where unknown
    clips: Ints  # (n_clips,), the place of each clip's speaker


def speaker_voices(study: Study) -> Voices | None:
    """The mean voice of each speaker's clips; None where the study has no voices.

    Raises:
        DataError: an age is neither a number nor unknown.
    """
    if study.voices is None:
        return None
    names = tuple(sorted(set(study.speakers)))
    place = {name: i for i, name in enumerate(names)}
    clips = np.array([place[name] for name in study.speakers])
    sums = np.zeros((len(names), study.voices.shape[1]))
    np.add.at(sums, clips, study.voices)
    lengths = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
    sexes, ages = [""] * len(names), np.full(len(names), np.nan)
    years = require_read(read_numbers("age", study.columns["age"]), study.columns["age"])
    for i, sex, age in zip(clips.tolist(), study.columns["sex"], years, strict=True):
        sexes[i] = sexes[i] or ("" if is_unknown(sex) else sex)
        ages[i] = age if np.isnan(ages[i]) and age is not None else ages[i]
    return Voices(names, sums / np.maximum(lengths, 1e-12), tuple(sexes), ages, clips)


def speaker_similarity(study: Study, p: ProbeParams) -> Answer:
    """Are a training and a test speaker more alike than any two people who are known to be two?"""
    voices = speaker_voices(study)
    if voices is None:
        return same_for_all(NO_ENCODER)
    limit, n_strangers = most_alike_strangers(voices, p.caliper_years)
    if not n_strangers:
        return same_for_all(_NO_STRANGERS)
    pairs = alike_pairs(study, p)
    why = (
        f"{len(pairs)} pairs of a training and a test speaker have a similarity above {limit:.3f}, the highest of "
        f"{n_strangers} pairs who are two people by sex or age"
    )
    numbers = {"n_pairs": len(pairs), "n_strangers": n_strangers, "most_alike_strangers": limit}
    return same_for_all(Finding("warn" if pairs else "pass", why, numbers))


def alike_pairs(study: Study, p: ProbeParams) -> list[AlikePair]:
    """The pairs that somebody should listen to, most alike first; none where there are no voices or no strangers."""
    voices = speaker_voices(study)
    if voices is None:
        return []
    limit, n_strangers = most_alike_strangers(voices, p.caliper_years)
    fitted, tested = (_members(study, voices, kind) for kind in ("fit", "test"))
    found = []
    for i in range(len(voices.speakers)) if n_strangers else ():
        across = (fitted[:, i] @ tested > 0) | (tested[:, i] @ fitted > 0)
        similarity = voices.directions @ voices.directions[i]
        found += [(i, int(j), float(similarity[j])) for j in np.flatnonzero(across & (similarity > limit)) if j > i]
    found.sort(key=lambda pair: (-pair[2], pair))
    return [AlikePair(voices.speakers[i], voices.speakers[j], similarity) for i, j, similarity in found]


def most_alike_strangers(voices: Voices, caliper_years: float) -> tuple[float, int]:
    """The highest similarity of two people who are known to be two, and the number of such pairs.

    (0, 0) where no two of them are of one sex: two sexes differ in voice more than two people do.
    """
    limit, n_pairs, n_of_one_sex = -1.0, 0, 0
    sexes = np.array(voices.sexes)
    for i in range(len(sexes)):
        other_sex = (sexes != sexes[i]) & (sexes != "") & (sexes[i] != "")
        strangers = other_sex | (np.abs(voices.ages - voices.ages[i]) > caliper_years)  # of NaN neither
        strangers[: i + 1] = False
        if strangers.any():
            limit = max(limit, float((voices.directions[strangers] @ voices.directions[i]).max()))
            n_pairs += int(strangers.sum())
            n_of_one_sex += int((strangers & ~other_sex).sum())
    return (limit, n_pairs) if n_of_one_sex else (0.0, 0)


def _members(study: Study, voices: Voices, kind: str) -> Ints:
    """Whether each speaker has a clip that is fitted on, or tested, in each fold: (n_folds, n_speakers), 0 or 1."""
    members = np.zeros((len(study.folds), len(voices.speakers)), dtype=np.int64)
    for row, fold in zip(members, study.folds, strict=True):
        mask: Mask = getattr(fold, kind)
        row[voices.clips[mask]] = 1
    return members
