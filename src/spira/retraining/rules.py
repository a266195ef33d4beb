"""Whether it is time to train again: each rule holds, does not hold or is not known, with a sentence why."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from spira.retraining.params import RetrainParams

_STRENGTH = {"too few": 0, "none": 1, "as promised": 1, "drift": 2, "below its promise": 2}
SPEAKERS, DRIFT, AGE, FEEDBACK = RULES = ("new speakers", "drift", "age", "feedback")


class Rule(NamedTuple):
    """A rule, and what came of it."""

    name: str
    holds: bool | None  # None: not known
    why: str  # names no speaker and no recording, for it goes into a commit's message


class Report(NamedTuple):
    """What a report of monitoring opens with."""

    day: date
    verdict: str
    package: str  # sha256 of the package that it judged


class NewPeople(NamedTuple):
    """The speakers of a corpus who were not in an earlier version of it."""

    n_patients: int
    n_controls: int
    n_known: int  # speakers of both versions
    n_copies: int  # new ids that have nothing but known recordings
    n_unusable: int  # new ids of whom ingest refuses every recording
    by_sound: bool  # whether recordings were compared, and not the ids alone


def new_people(
    now: Mapping[str, int],
    known: Collection[str],
    digests: Mapping[str, Collection[str]] | None,
    known_digests: Collection[str],
) -> NewPeople:
    """Counts people and not ids, as far as recordings show it: a recording that was known brings nobody new.

    Args:
        now: by speaker, 1 for a patient and 0 for a control.
        known: the speakers of the earlier version.
        digests: by new speaker, the waveforms that ingest accepts; None where the recordings are not at hand.
        known_digests: the waveforms of the earlier version.
    """
    new = sorted(now.keys() - set(known))
    seen, counted, n_copies, n_unusable = set(known_digests), [0, 0], 0, 0
    for speaker in new:
        own = None if digests is None else set(digests.get(speaker, ()))
        if own is not None and not own:
            n_unusable += 1
        elif own is not None and own <= seen:
            n_copies += 1
        else:
            counted[now[speaker]] += 1
        seen |= own or set()
    controls, patients = counted
    return NewPeople(patients, controls, len(now) - len(new), n_copies, n_unusable, digests is not None)


def new_speakers(found: NewPeople, version: str, p: RetrainParams) -> Rule:
    """Holds where both classes have grown by enough people."""
    parts = [
        f"{found.n_patients} new patients and {found.n_controls} new controls since {version}, beside {found.n_known} "
        f"known speakers; {p.new_speakers} of each class are needed",
        f"{found.n_copies} new ids have known recordings alone and do not count" if found.n_copies else "",
        f"of {found.n_unusable} new ids no recording can be used" if found.n_unusable else "",
        "" if found.by_sound else "counted by id alone, for the new recordings are not here yet",
    ]
    enough = min(found.n_patients, found.n_controls) >= p.new_speakers
    return Rule(SPEAKERS, enough, "; ".join(filter(None, parts)))


def repeated_drift(reports: Sequence[Report], package: str, p: RetrainParams) -> Rule:
    """Holds where the last reports about the package all say drift; one with too few recordings says nothing.

    Args:
        reports: the oldest first; of those of one day the strongest verdict counts.
        package: the champion's.
    """
    own, others = _about(reports, package)
    telling = [report for report in own if report.verdict != "too few"]
    if not telling:
        return Rule(DRIFT, None, f"no report says anything of the champion{_left_out(own, others)}")
    last = telling[-p.drifts_in_a_row :]
    drifting = [report.day.isoformat() for report in last if report.verdict == "drift"]
    holds = len(drifting) == p.drifts_in_a_row
    which = f" ({', '.join(drifting)})" if drifting else ""
    return Rule(
        DRIFT,
        holds,
        f"{len(drifting)} of the last {len(last)} reports say drift{which}; {p.drifts_in_a_row} in a row are needed"
        f"{_left_out(own, others)}",
    )


def _about(reports: Sequence[Report], package: str) -> tuple[list[Report], int]:
    """(the report with the strongest verdict of each day about the package, by day; how many are about others)."""
    by_strength = sorted(reports, key=lambda report: _STRENGTH[report.verdict])
    own = {report.day: report for report in by_strength if report.package == package}
    return [own[day] for day in sorted(own)], sum(report.package != package for report in reports)


def _left_out(own: Sequence[Report], others: int) -> str:
    n_few = sum(report.verdict == "too few" for report in own)
    few = f"; {n_few} had too few recordings to say" if n_few else ""
    return few + (f"; {others} are about another package and do not count" if others else "")


def age(registered: date, today: date, p: RetrainParams) -> Rule:
    """Holds where the champion was registered that long ago."""
    days = (today - registered).days
    return Rule(
        AGE,
        days >= p.max_age_days,
        f"the champion was registered {days} days ago, on {registered.isoformat()}; {p.max_age_days} are the limit",
    )


def below_promise(reports: Sequence[Report], package: str) -> Rule:
    """Holds where any report on feedback about the package says so; else the newest decides.

    Its bounds hold at all looks at once, so what has passed them once stays found, whatever later looks say.

    Args:
        reports: the oldest first.
        package: the champion's.
    """
    own, others = _about(reports, package)
    if not own:
        return Rule(FEEDBACK, None, f"no report on feedback is about the champion{_left_out(own, others)}")
    below = [report.day for report in own if report.verdict == "below its promise"]
    if below:
        why = f"the champion is below its promise, first by the report of {below[0].isoformat()}"
        return Rule(FEEDBACK, True, why + _left_out(own, others))
    last = own[-1]
    holds = None if last.verdict == "too few" else False
    said = "has too few answers to say" if holds is None else "finds no fall"
    return Rule(FEEDBACK, holds, f"the report of {last.day.isoformat()} {said}{_left_out(own[:-1], others)}")


def not_known(name: str, why: str) -> Rule:
    return Rule(name, None, why)


def conclusion(rules: Sequence[Rule]) -> str:
    """What follows of all rules, in a sentence."""
    if all(rule.holds is None for rule in rules):
        return f"nothing is known: {', '.join(rule.name for rule in rules)}"
    holding = [rule.name for rule in rules if rule.holds]
    unknown = [rule.name for rule in rules if rule.holds is None]
    missing = f"; not known: {', '.join(unknown)}" if unknown else ""
    return f"train again: {', '.join(holding)}{missing}" if holding else f"no rule holds{missing}"
