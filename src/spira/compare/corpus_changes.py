"""Two versions of a corpus -> what became of its clips, counted by speaker."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spira.evaluation.markdown import code, inert

N_NAMED = 5  # speakers of one kind of change; the rest are counted


class Clip(NamedTuple):
    """One clip of one version; paths are unique in it, and so are digests, as ingest refuses copies."""

    path: str
    speaker: str
    label: int
    digest: str  # of the waveform


class Version(NamedTuple):
    """What ingest made of the corpus at one revision."""

    corpus: str
    source: str  # hash of the corpus's folder
    made_by: Mapping[str, object]  # all else that ingest depends on: code, environment, parameters
    clips: tuple[Clip, ...]
    refused: Mapping[str, int]  # code -> files


def corpus_changes(base: Sequence[Clip], head: Sequence[Clip]) -> dict[str, Counter[str]]:
    """Clips by kind of change and speaker, the kinds that occur; one clip may have changed in two ways.

    A clip is the same where it has the same path, else where it has the same sound. A reassigned one counts for
    ``old -> new``, another for its speaker at head, a removed one for its speaker at base.
    """
    paths, sounds = {clip.path: clip for clip in head}, {clip.digest: clip for clip in head}
    stayed = {clip.path for clip in base} & paths.keys()
    moved = {clip.path: sounds[clip.digest] for clip in base if clip.path not in stayed and clip.digest in sounds}
    moved = {path: clip for path, clip in moved.items() if clip.path not in stayed}
    pairs = [(old, paths[old.path] if old.path in stayed else moved.get(old.path)) for old in base]
    same = [(old, new) for old, new in pairs if new is not None]
    known = {new.path for _, new in same}
    found = {
        "added": [clip.speaker for clip in head if clip.path not in known],
        "removed": [old.speaker for old, new in pairs if new is None],
        "relabelled": [new.speaker for old, new in same if old.label != new.label],
        "reassigned": [f"{old.speaker} -> {new.speaker}" for old, new in same if _who(old) != _who(new)],
        "re-recorded": [new.speaker for old, new in same if old.digest != new.digest],
        "renamed": [new.speaker for old, new in same if old.path != new.path],
    }
    return {kind: Counter(speakers) for kind, speakers in found.items() if speakers}


def described(base: Version, head: Version) -> str:
    """Markdown: sizes, then a row for each kind of change; and where ingest, not the corpus, is the cause, that."""
    sizes = f"{_size(base)} -> {_size(head)}."
    if base.corpus != head.corpus:
        return f"Corpus {code(base.corpus)} -> {code(head.corpus)}, other recordings: {sizes}"
    lines = [f"Corpus {code(head.corpus)}: {sizes}"]
    changes = corpus_changes(base.clips, head.clips)
    rows = [f"| {kind} | {by.total()} | {len(by)} | {named(by)} |" for kind, by in changes.items()]
    if rows:
        lines += ["", "| clips | n | speakers | who (clips) |", "| --- | --- | --- | --- |", *rows]
    if refused := _refused(base.refused, head.refused):
        lines += ["", f"Refused by ingest: {refused}."]
    if cause := _other_causes(base, head):
        lines += ["", cause]
    return "\n".join(lines)


def _other_causes(base: Version, head: Version) -> str:
    keys = sorted({**base.made_by, **head.made_by})
    changed = ", ".join(code(key) for key in keys if base.made_by.get(key) != head.made_by.get(key))
    if not changed:
        return ""
    if base.source == head.source:
        return f"The corpus's files are the same; ingest is not: {changed}."
    return f"Ingest changed too, and may be why sounds differ or clips are refused: {changed}."


def _who(clip: Clip) -> str | None:
    """None where nobody said: such a clip counts as a speaker of its own, who is nobody else under another path."""
    return None if clip.speaker == f"file:{clip.path}" else clip.speaker


def _size(version: Version) -> str:
    return f"{len(version.clips)} clips of {len({clip.speaker for clip in version.clips})} speakers"


def named(by: Counter[str], *, counted: bool = True) -> str:
    """The speakers with the most clips first, ties by name; with how many, unless that says nothing."""
    ordered = sorted(by.items(), key=lambda item: (-item[1], item[0]))
    more = [f"and {len(ordered) - N_NAMED} more"] if len(ordered) > N_NAMED else []
    return ", ".join([*(inert(who) + (f" ({n})" if counted else "") for who, n in ordered[:N_NAMED]), *more])


def _refused(base: Mapping[str, int], head: Mapping[str, int]) -> str:
    codes = [code for code in sorted({**base, **head}) if base.get(code, 0) != head.get(code, 0)]
    return ", ".join(f"{inert(code)} {base.get(code, 0)} -> {head.get(code, 0)}" for code in codes)
