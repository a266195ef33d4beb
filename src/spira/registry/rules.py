"""The gate's rules: each takes what was found and says pass, fail or no verdict, with its reason.

``fail`` is evidence against the model, ``no verdict`` the lack of evidence for it; neither passes. A reason names no
recording and no speaker, for it is kept in git. docs/reference/gate.md has the reason of each rule.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from spira.evaluation.origin import origin
from spira.evaluation.results import Evaluation
from spira.registry.params import GateParams
from spira.registry.record import Check, Verdict
from spira.scorer.answer import TOLERANCE, agree

DEMO = "demo"  # the corpus, and the only registry that takes it
_MOST_NAMED = 5
Answers = Mapping[str, float | str]  # by recording, its score or the code of its refusal


def judged(name: str, verdict: Verdict, reason: str) -> Check:
    """A check, by the words of its fields."""
    return Check(name=name, verdict=verdict, reason=reason)


def named(lines: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(lines) - _MOST_NAMED} more" if len(lines) > _MOST_NAMED else ""
    return "; ".join(lines[:_MOST_NAMED]) + more


def nothing_wrong(name: str, problems: Sequence[str], otherwise: str) -> Check:
    """Fails with the problems, if there are any."""
    return judged(name, "fail", named(problems)) if problems else judged(name, "pass", otherwise)


def unknown(name: str, why: str) -> Check:
    """What could not be looked at is not passed."""
    return judged(name, "no verdict", why)


def corpus(name: str, p: GateParams) -> Check:
    """The demo is promoted in the registry ``demo`` alone, and nothing else is promoted there.

    Args:
        name: as package.json has it, with the demo's warning.
    """
    if (name == origin(DEMO)) == (p.registry == DEMO):
        return judged("corpus", "pass", f"{name}, in the registry {p.registry}")
    why = "SYNTHETIC speech is never promoted elsewhere" if name == origin(DEMO) else f"{DEMO} is for the demo alone"
    return judged("corpus", "fail", f"{name} may not be promoted in the registry {p.registry}: {why}; gate.registry")


def golden(expected: Answers, got: Answers) -> Check:
    """Every golden recording gets the answer that it got where the package was made; each that does not is named."""
    flips = [
        f"{name}: {_said(answer)}, here {_said(got.get(name))}"
        for name, answer in expected.items()
        if not agree(answer, got.get(name))
    ]
    return nothing_wrong("golden", flips, f"{len(expected)} recordings answered as where it was made")


def bad_input(expected: Sequence[str], got: Answers) -> Check:
    """Every crafted recording is refused with a code; a score for one of them, or no answer, is named."""
    scored = [f"{name}: {_said(got.get(name))}" for name in expected if not isinstance(got.get(name), str)]
    return nothing_wrong("bad input", scored, f"{len(expected)} crafted recordings refused, each with its code")


def parity(pipeline: Answers, got: Answers, threshold: float) -> Check:
    """The package gives each test recording the score that the pipeline gave its clip."""
    if not pipeline or not got:
        return unknown("parity", "no test recording is at hand; spira pull")
    if missing := len(pipeline.keys() - got.keys()):
        return unknown("parity", f"{missing} of {len(pipeline)} test recordings are not at hand; spira pull")
    other = [name for name, score in pipeline.items() if not _near(score, got[name])]
    if not other:
        return judged("parity", "pass", f"{len(pipeline)} test recordings have the pipeline's scores")
    flips = sum(
        isinstance(got[name], str) or (got[name] >= threshold) != (pipeline[name] >= threshold)  # type: ignore[operator]
        for name in other
    )
    reason = f"{len(other)} of {len(pipeline)} test recordings have another score than the pipeline's, {flips} of them "
    return judged("parity", "fail", reason + "another answer")


def _near(expected: float | str, got: float | str) -> bool:
    """To the tolerance of a score alone: networks are summed in another order by the pipeline's kernels."""
    return expected == got if isinstance(expected, str) or isinstance(got, str) else abs(expected - got) <= TOLERANCE


def cost(own: Answers, champion: Answers | None, p: GateParams) -> Check:
    """A recording is scored in little time and memory; the champion's are said beside it.

    Args:
        own: ``seconds`` of CPU time for a recording, and ``megabytes`` of the process; empty where none was scored.
        champion: the same; None where there is none.
    """
    if not own:
        return unknown("cost", "no test recording is at hand; spira pull")
    limits = {"seconds": p.max_seconds, "megabytes": p.max_megabytes}
    found = {name: float(own[name]) for name in limits}
    said = f"{found['seconds']:.3f} s of CPU time for a recording, {found['megabytes']:.0f} MB of memory"
    if champion:
        said += f"; the champion {float(champion['seconds']):.3f} s, {float(champion['megabytes']):.0f} MB"
    over = [f"at most {limit:g} {name} are allowed" for name, limit in limits.items() if found[name] > limit]
    return judged("cost", "fail" if over else "pass", "; ".join([said, *over]))


def _said(answer: float | str | None) -> str:
    return "no answer" if answer is None else answer if isinstance(answer, str) else f"{answer:.6f}"


def probes(answers: Mapping[str, Mapping[str, Any]]) -> Check:
    """No probe of the model failed, and one at least has run.

    Args:
        answers: by probe, as data/probes.json has them.
    """
    by: dict[str, list[str]] = {}
    for name, answer in answers.items():
        by.setdefault(str(answer.get("verdict")), []).append(name)
    if failed := by.get("fail"):
        return judged("probes", "fail", f"failed: {', '.join(failed)}")
    ran = len(by.get("pass", [])) + len(by.get("warn", []))
    if not ran:
        return unknown("probes", "no probe has run")
    warned = f"; warned: {', '.join(by['warn'])}" if "warn" in by else ""
    return judged("probes", "pass", f"{ran} ran and none failed{warned}")


def cards(empty: Sequence[str], unwritten: Sequence[str]) -> Check:
    """A person has written every field of the card, and the package carries cards made since.

    Args:
        empty: fields of docs/card.yaml that are empty.
        unwritten: cards in the package in which something is still to be written.
    """
    problems = [f"docs/card.yaml lacks, of this corpus, {', '.join(empty)}"] if empty else []
    problems += [f"{name} in the package is older than the card: dvc repro" for name in unwritten if not empty]
    return nothing_wrong("cards", problems, "every field is written by a person")


def test_set(n_speakers: int, n_patients: int, looks: int, p: GateParams) -> Check:
    """Enough people of each class; how often they were looked at before is said."""
    fewest = min(n_patients, n_speakers - n_patients)
    reason = f"{n_speakers} speakers, {n_patients} of them patients; {p.min_speakers} of each class are needed"
    worn = f"; looked at by {looks} earlier gate{'s' if looks != 1 else ''}, and each look wears it out a little"
    return judged("test set", "pass" if fewest >= p.min_speakers else "no verdict", reason + (worn if looks else ""))


def sensitivity(found: Evaluation, p: GateParams) -> Check:
    """The lower bound of the deployed model's sensitivity, at its own threshold, is high enough."""
    model, condition = found.deployed_model, found.threshold_condition
    metrics = model.ensemble[condition] if model.ensemble else model.conditions[condition].metrics
    got = metrics.sensitivity
    reason = f"{got.text} at the deployed threshold under {condition}; its lower bound must reach {p.min_sensitivity}"
    if isnan(got.lo):
        return unknown("sensitivity", reason)
    verdict: Verdict = "pass" if got.lo >= p.min_sensitivity else "fail" if got.hi < p.min_sensitivity else "no verdict"
    return judged("sensitivity", verdict, reason)
