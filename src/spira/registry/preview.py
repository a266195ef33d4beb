"""What the gate would say of a commit, from what it has committed: nothing is scored and nothing is brought."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spira.base.errors import DataError, ParamError
from spira.base.params import check, parse
from spira.compare.committed import Mapped, ProbeFile, probed
from spira.compare.revision import Revision, content, read_tree
from spira.evaluation.markdown import Marked, inert, table
from spira.evaluation.origin import origin
from spira.evaluation.results import Evaluation
from spira.registry import comparison, rules
from spira.registry.evidence import committed_evaluation
from spira.registry.params import GateParams
from spira.registry.record import Check
from spira.registry.tags import local_history
from spira.report.cards import Card, card_of, unwritten

_AT_THE_GATE = "the gate itself scores the package: spira gate"
_LONGEST = 1000  # characters of a reason; a pull request's own files are in it


def preview(head: Revision, params: Mapping[str, Any], stale: Mapping[str, Sequence[str]], champion: str | None) -> str:
    """A section of the review, as Markdown.

    Args:
        head: the commit.
        params: its params.yaml.
        stale: why results of it are older than what made them, by stage.
        champion: the version in use, by this clone's tags.

    Returns:
        Empty for a commit from before there was a gate.
    """
    given = params.get("gate")
    if given is None:
        return ""  # of before there was a gate
    if problems := list(check("gate", GateParams, given)):
        return (
            f"## The gate\n\nNothing can be said: params.yaml: {inert('; '.join(': '.join(one) for one in problems))}"
        )
    checks = _checks(head, params, stale, parse(GateParams, given), champion)
    rows = [[one.name, one.verdict, Marked(inert(one.reason, _LONGEST))] for one in checks]
    refused = [one.name for one in checks if one.verdict == "fail"]
    opening = (
        f"As it stands, `spira gate` would refuse this commit: {', '.join(refused)}."
        if refused
        else "Nothing that is committed speaks against a promotion; `spira gate` decides, by the package itself."
    )
    return f"## The gate\n\n{opening}\n\n{table(['check', 'verdict', 'reason'], rows)}"


def champion(root: Path, params: Mapping[str, Any]) -> str | None:
    """The version in use in the registry that a commit names, by this clone's tags; None where there is none."""
    given = params.get("gate")
    if list(check("gate", GateParams, given)):
        return None
    return local_history(root, parse(GateParams, given).registry).in_use("champion")


def _checks(
    head: Revision, params: Mapping[str, Any], stale: Mapping[str, Sequence[str]], p: GateParams, champion: str | None
) -> list[Check]:
    """In the order of the gate."""
    corpus = str(params.get("corpus"))
    fresh = rules.nothing_wrong("fresh", [f"{stage} is stale" for stage in stale], "dvc.lock is of this commit")
    checks = [fresh, rules.corpus(origin(corpus), p), _cards(head, corpus)]
    try:
        found = committed_evaluation(_tree(head, "data/evaluation.json"), f"{head.name}:data/evaluation.json")
        probes = probed(read_tree(head, "data/probes.json", ProbeFile), found.deployed).get(found.deployed, {})
        baselines = _baselines(params)
        checks += [
            rules.probes(probes),
            _test_set(found, p),
            rules.sensitivity(found, p),
        ]
        if champion is None:
            checks += [comparison.first_auc(found, probes, baselines, p), comparison.first_groups(found, baselines, p)]
        else:
            checks.append(rules.unknown("AUC", f"against the champion {champion}: {_AT_THE_GATE}"))
    except DataError as error:
        checks.append(rules.unknown("numbers", str(error)))
    except LookupError as error:  # whoever opens a pull request writes these files
        checks.append(rules.unknown("numbers", f"data/evaluation.json lacks {error}"))
    return checks


def _cards(head: Revision, corpus: str) -> Check:
    try:
        tree = _tree(head, "docs/card.yaml")
        if problems := list(check("", Card, tree)):
            return rules.unknown("cards", f"docs/card.yaml: {problems[0][0].removeprefix('.')}: {problems[0][1]}")
        return rules.cards(unwritten(card_of(parse(Card, tree), corpus)), [])
    except (DataError, ParamError) as error:
        return rules.unknown("cards", str(error))


def _test_set(found: Evaluation, p: GateParams) -> Check:
    """By the report's counts; how often it was looked at, the gate says."""
    test = found.deployed_model.test
    return rules.test_set(test.n_speakers, test.n_patients, looks=0, p=p)


def _tree(head: Revision, path: str) -> dict[str, Any]:
    if content(head, path) is None:
        raise DataError(f"{head.name}:{path}: no such file")
    return read_tree(head, path, Mapped)


def _baselines(params: Mapping[str, Any]) -> list[str]:
    models = params.get("models", {})
    return [str(name) for name in models.get("baselines", [])] if isinstance(models, Mapping) else []
