"""The working folder's package -> the gate's checks, whose evidence is read here and judged by ``rules``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spira.base.errors import DataError, ParamError
from spira.base.params import load
from spira.base.tables import read_json
from spira.compare.committed import Lock
from spira.compare.read_side import stale_stages
from spira.compare.revision import Revision, read_params, read_tree, refuse_what_dvc_cannot_read
from spira.compare.sides import Side
from spira.evaluation.origin import origin
from spira.evaluation.paired import why_not_paired
from spira.package.golden import bad_inputs
from spira.registry import comparison, rules
from spira.registry.candidate import Candidate, Champion
from spira.registry.evidence import pipeline_scores, test_set_hash
from spira.registry.history import History, find_version
from spira.registry.inspection import problems_beside, problems_inside, unwritten_cards
from spira.registry.listing import columns
from spira.registry.params import GateParams
from spira.registry.power import plan
from spira.registry.record import Check, Gate, Tried, Verdict
from spira.report.cards import card_of, unwritten
from spira.report.files import read_card
from spira.repository.git import git
from spira.scorer.scorer import GOLDEN, GOLDEN_ANSWERS

CARD = Path("docs/card.yaml")
_LONGEST = 500  # characters of a reason
# Of the package itself: what cannot be shown of it is a failure. Of all else it is a lack of evidence.
_OF_THE_PACKAGE = {"whole", "contents", "commit", "corpus", "cards", "golden", "bad input"}


def gate(root: Path, history: History, against: str | None = None) -> Gate:
    """Every check of the working folder's package.

    Args:
        root: the repository.
        history: the registry's record.
        against: a version to compare with; None for the champion.
    """
    own, champion = _sides(root, history, against)
    checks = tuple(_asked(name, ask) for name, ask in _questions(own, champion, history).items())
    return Gate(
        registry=own.params.registry,
        commit=own.revision.commit,
        package=_or(lambda: own.package, ""),
        model=_or(lambda: own.manifest.model, ""),
        corpus=_or(lambda: own.manifest.corpus, origin(own.corpus)),
        against=champion.version.record.version if champion else None,
        test_set=_or(lambda: _test_set(own, history), None),
        checks=checks,
    )


def _sides(root: Path, history: History, against: str | None) -> tuple[Candidate, Champion | None]:
    own = Candidate(root, load("gate", GateParams, path=root / "params.yaml"))
    name = against or history.in_use("champion")
    return own, Champion(find_version(history, name), own) if name else None


def _questions(own: Candidate, champion: Champion | None, history: History) -> Mapping[str, Callable[[], Check]]:
    """By name, in the order of docs/reference/gate.md: first what costs least, and what all else stands on."""
    return {
        "tree": lambda: rules.nothing_wrong("tree", changed(own.root), "nothing is changed"),
        "fresh": lambda: rules.nothing_wrong("fresh", _stale(own.revision), "dvc.lock is of this commit"),
        "whole": lambda: rules.nothing_wrong("whole", [], f"every file is as packed: {own.package[:12]}"),
        "contents": lambda: _contents(own),
        "commit": lambda: _beside(own),
        "corpus": lambda: rules.corpus(own.manifest.corpus, own.params),
        "cards": lambda: _cards(own),
        "probes": lambda: rules.probes(own.probes),
        "test set": lambda: _enough(_test_set(own, history), own.params),
        "sensitivity": lambda: rules.sensitivity(own.evaluation, own.params),
        "golden": lambda: rules.golden(read_json(own.folder / GOLDEN / GOLDEN_ANSWERS), own.answered.golden),
        "bad input": lambda: rules.bad_input(sorted(bad_inputs()), own.answered.bad),
        "parity": lambda: _parity(own),
        "cost": lambda: rules.cost(own.answered.cost, champion.cost if champion else None, own.params),
        "AUC": lambda: _auc(own, champion),
        "groups": lambda: _groups(own, champion),
    }


def _asked(name: str, ask: Callable[[], Check]) -> Check:
    """The check, or why it could not be made."""
    try:
        return ask()
    except (DataError, ParamError) as error:
        verdict: Verdict = "fail" if name in _OF_THE_PACKAGE else "no verdict"
        return rules.judged(name, verdict, " ".join(str(error).split())[:_LONGEST])


def _or(what: Callable[[], Any], otherwise: Any) -> Any:
    """What is only told; where it cannot be read, a check says so."""
    try:
        return what()
    except (DataError, ParamError):
        return otherwise


def changed(root: Path) -> list[str]:
    """What is in the working tree and not in the commit, as git says it."""
    listed = git(root, "status", "--porcelain", "--untracked-files=normal").decode(errors="replace").splitlines()
    return [f"{line[3:]} is {'not committed' if line[:2] == '??' else 'changed'}" for line in listed]


def _stale(revision: Revision) -> list[str]:
    refuse_what_dvc_cannot_read(revision)
    lock = read_tree(revision, "dvc.lock", Lock).get("stages", {})
    side = Side(revision.name, revision.commit, lock, read_params(revision), corpora={}, subsets={}, deployed=None)
    return [f"{stage}: {', '.join(reasons)}" for stage, reasons in stale_stages(revision, side).items()]


def _contents(own: Candidate) -> Check:
    _ = own.package  # whole
    return rules.nothing_wrong("contents", problems_inside(own.folder), "manifest, weights, cards and numbers agree")


def _beside(own: Candidate) -> Check:
    _ = own.package  # whole
    problems = problems_beside(own.folder, own.root, own.tree, own.locked)
    return rules.nothing_wrong("commit", problems, f"it is what {own.revision.commit[:8]} makes")


def _cards(own: Candidate) -> Check:
    empty = unwritten(card_of(read_card(own.root / CARD), own.corpus))
    return rules.cards(empty, unwritten_cards(own.folder))


def _test_set(own: Candidate, history: History) -> Tried:
    test, name = own.test, test_set_hash(own.test)
    looks, n_clips = history.looks(name), len(test.clips)
    return Tried(hash=name, n_speakers=test.n_speakers, n_patients=test.n_patients, n_clips=n_clips, looks=looks)


def _enough(test: Tried, p: GateParams) -> Check:
    return rules.test_set(test.n_speakers, test.n_patients, test.looks, p)


def _parity(own: Candidate) -> Check:
    return rules.parity(pipeline_scores(own.root, own.manifest.model), own.answered.scores, own.manifest.threshold)


def _auc(own: Candidate, champion: Champion | None) -> Check:
    if champion is None:
        return comparison.first_auc(own.evaluation, own.probes, own.baselines, own.params)
    _, before, after, n_left_out = champion.pair
    return comparison.champion_auc(before, after, n_left_out, own.params)


def _groups(own: Candidate, champion: Champion | None) -> Check:
    if champion is None:
        return comparison.first_groups(own.evaluation, own.baselines, own.params)
    test, before, after, _ = champion.pair
    return comparison.champion_groups(test, before, after, own.params)


def power(root: Path, history: History, against: str | None = None) -> str:
    """A table of how likely a model passes, by its true difference and the number of speakers.

    By the error of the difference between this package and the champion; with no champion, between the deployed model
    and the next one, by the report.

    Raises:
        DataError: there is nothing to compare with.
    """
    own, champion = _sides(root, history, against)
    p = own.params
    if champion:
        _, before, after, _ = champion.pair
        if reason := why_not_paired(before, after):
            raise DataError(f"power cannot be computed: {reason}")
        error = comparison.seen(comparison.difference_of_auc(before, after, p), after.n_speakers, p.confidence)
    else:
        error = comparison.seen_in_report(own.evaluation, own.evaluate.confidence)
    opening = (
        f"Chance that a model passes: margin {p.margin} of AUC, {p.confidence:.0%} confidence. Standard error of the "
        f"difference: {error.error:.4f} with {error.n_speakers} speakers."
    )
    return f"{opening}\n\n{columns(plan(error, p.margin, p.confidence, p.power))}"
