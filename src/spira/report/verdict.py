"""The first sentence of the report: whether the result can be trusted, and why."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from spira.evaluation.results import Evaluation
from spira.probes.results import ProbeAnswer
from spira.report.blocks import Code, Unbroken


class Verdict(NamedTuple):
    """The level, and the sentence in parts."""

    level: Literal["pass", "warn", "fail"]
    line: Sequence[str]


def verdict(found: Evaluation, probes: Mapping[str, ProbeAnswer]) -> Verdict:
    """A probe that fails comes before any number; a probe that did not run counts for nothing.

    Args:
        found: whose deployed model it is about.
        probes: the answers about that model, by probe.
    """
    auc = found.headline.metrics.auc
    model = Code(found.deployed)
    measured = (Unbroken(auc.text), " under ", Code(found.threshold_condition))
    names: dict[str, list[str]] = {}
    for name, probe in probes.items():
        names.setdefault(probe.verdict, []).append(name)
    if failed := names.get("fail"):
        doubt = ("Do not trust this result: ", *_named(failed), " failed. The AUC of ", model, ", ", *measured)
        return Verdict("fail", (*doubt, ", may reflect something other than breathing."))
    if auc.lo <= 0.5:
        doubt = ("There is no evidence that ", model, " separates patients from controls: the interval of its AUC, ")
        return Verdict("fail", (*doubt, *measured, ", includes 0.5, which is guessing."))
    better = ("The model ", model, " separates patients from controls better than guessing: AUC ", *measured, ".")
    if warned := names.get("warn"):
        return Verdict("warn", (*better, " There is a doubt: ", *_named(warned), " warned."))
    if not names.get("pass"):
        return Verdict("warn", (*better, " No probe has run, so it is unknown what the model relies on."))
    return Verdict("pass", (*better, " Every probe that ran passed."))


def _named(names: Sequence[str]) -> list[str]:
    parts = ["the probe " if len(names) == 1 else "the probes "]
    for i, name in enumerate(names):
        parts += [", "] * (i > 0) + [Code(name)]
    return parts
