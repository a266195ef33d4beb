"""Two versions of a corpus -> what became of the speakers whom both know, and who of the new ones may be known."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from spira.compare.corpus_changes import Clip, corpus_changes, named

Pairs = Sequence[tuple[str, str]]


class Derived(NamedTuple):
    """What the stages after ingest say of one version; None where that is not known."""

    subsets: Mapping[str, str] | None  # by clip: train, validation or test; {} where none was held out
    near: Pairs | None  # clips that are nearly the same sound
    voices: Pairs | None  # speakers whose voices are too alike for two people


def known_speakers(base: Sequence[Clip], head: Sequence[Clip], before: Derived, after: Derived) -> str:
    """Markdown, a line a fact: returning speakers and where they are, and who may be somebody known; "" for none."""
    speakers = {clip.speaker for clip in base}
    added = corpus_changes(base, head).get("added", Counter())
    returning = Counter({who: n for who, n in added.items() if who in speakers})
    places = [_by_speaker(clips, one.subsets or {}) for clips, one in ((base, before), (head, after))]
    moved = {
        who: f"{places[0][who]} -> {place}" for who, place in places[1].items() if places[0].get(who, place) != place
    }
    lines = []
    if returning:
        unplaced = "subset not known" if after.subsets is None else ""
        where = Counter(
            {", ".join(filter(None, [who, places[1].get(who, unplaced)])): n for who, n in returning.items()}
        )
        lines.append(f"Returning speakers, with {returning.total()} new clips: {len(returning)}: {named(where)}.")
    if moved:
        lines.append(
            f"Speakers who are in another subset than before: {len(moved)}: "
            f"{named(Counter({f'{who}, {how}': 1 for who, how in moved.items()}), counted=False)}. An older model may "
            "have been trained on them."
        )
    lines += _alike(base, head, after)
    return "\n\n".join(lines)


def _by_speaker(clips: Iterable[Clip], subsets: Mapping[str, str]) -> dict[str, str]:
    return {clip.speaker: subsets[clip.path] for clip in clips if clip.path in subsets}


def _alike(base: Sequence[Clip], head: Sequence[Clip], after: Derived) -> list[str]:
    """What of the new version may be known from the old one, though its name is not."""
    sounds, speakers = {clip.digest for clip in base}, {clip.speaker for clip in base}
    who = {clip.path: clip.speaker for clip in head}
    new_clips = {clip.path for clip in head if clip.digest not in sounds}
    near = Counter(f"{who[new]}, like {who[old]}" for new, old in _new_and_old(after.near or (), new_clips, who))
    new_speakers = set(who.values()) - speakers
    voices = Counter(f"{new}, like {old}" for new, old in _new_and_old(after.voices or (), new_speakers, who.values()))
    lines = []
    if near:
        lines.append(f"New clips that are nearly the same sound as a known one: {near.total()}: {named(near)}.")
    if voices:
        lines.append(
            f"New speakers whose voice is that of a known one: {len(voices)}: {named(voices, counted=False)}. They may "
            "be one person under two ids."
        )
    return lines


def _new_and_old(pairs: Pairs, new: Collection[str], all_: Collection[str]) -> list[tuple[str, str]]:
    """The pairs of one that is new and one that is not, the new one first."""
    known = [(one, other) for one, other in pairs if one in all_ and other in all_]
    return [(one, other) if one in new else (other, one) for one, other in known if (one in new) != (other in new)]
