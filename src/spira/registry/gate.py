"""The working folder's package -> the gate's checks, each with its evidence read here and judged in ``rules``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spira.base.errors import DataError, ParamError
from spira.base.params import load, read
from spira.base.tables import read_json
from spira.compare.committed import Lock
from spira.compare.read_side import stale_stages
from spira.compare.revision import Revision, read_params, read_tree, refuse_what_dvc_cannot_read, resolve
from spira.compare.sides import Side
from spira.evaluation.origin import origin
from spira.evaluation.paired import why_not_paired
from spira.evaluation.params import EvaluateParams
from spira.models.params import ModelsParams
from spira.predictions.scored import ScoredClips
from spira.registry import rules
from spira.registry.bad_inputs import bad_inputs
from spira.registry.evidence import (
    evaluation,
    own_test_clips,
    pipeline_scores,
    recordings,
    test_set_hash,
    trained_by,
)
from spira.registry.history import Event, History, find_version
from spira.registry.inspection import problems_beside, problems_inside, unwritten_cards
from spira.registry.listing import columns
from spira.registry.packages import PACKAGE, outs_at, package_of
from spira.registry.params import GateParams
from spira.registry.power import plan
from spira.registry.record import Check, Gate, TestSet
from spira.registry.scoring import Answered, answers
from spira.report.cards import card_of, unwritten
from spira.report.files import read_card
from spira.repository.git import git
from spira.scorer.contents import require_whole
from spira.scorer.manifest import MANIFEST, Manifest, read_manifest
from spira.scorer.scorer import GOLDEN, GOLDEN_ANSWERS

CARD = Path("docs/card.yaml")


@dataclass
class Candidate:
    """The working folder, each piece read once; one that cannot be read raises DataError wherever it is used."""

    root: Path
    params: GateParams

    @cached_property
    def revision(self) -> Revision:
        return resolve(self.root, "HEAD")

    @property
    def folder(self) -> Path:
        return self.root / PACKAGE

    @cached_property
    def package(self) -> str:
        """Its hash."""
        return require_whole(self.folder)

    @cached_property
    def locked(self) -> str | None:
        return outs_at(self.root, self.revision.commit).get(PACKAGE)

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder / MANIFEST)

    @cached_property
    def evaluate(self) -> EvaluateParams:
        return load("evaluate", EvaluateParams, path=self.root / "params.yaml")

    @cached_property
    def baselines(self) -> tuple[str, ...]:
        return tuple(load("models", ModelsParams, path=self.root / "params.yaml").baselines)

    @cached_property
    def corpus(self) -> str:
        return str(read(self.root / "params.yaml")[0]["corpus"])

    @cached_property
    def test(self) -> rules.TestClips:
        return own_test_clips(self.root, self.evaluate)

    @cached_property
    def recordings(self) -> dict[str, Path]:
        return recordings(self.root, self.corpus, self.test.clips)

    @cached_property
    def answered(self) -> Answered:
        """One process scores all that the gate asks of the candidate."""
        _ = self.package  # nothing is run of a folder that is not whole
        return answers(self.folder, self.recordings, try_bad=True)

    @cached_property
    def probes(self) -> dict[str, Any]:
        tree = read_json(self.root / "data/probes.json")
        found = tree.get("models", {}).get(evaluation(self.root).deployed, {})
        return dict(found.get("probes", {}))

    @cached_property
    def shown(self) -> TestSet:
        test = self.test
        return TestSet(
            hash=test_set_hash(test),
            n_speakers=test.n_speakers,
            n_patients=test.n_patients,
            n_clips=len(test.clips),
            looks=0,
        )


@dataclass
class Champion:
    """The version in use, and the recordings that it and the candidate may both be asked about."""

    root: Path
    version: Event
    candidate: Candidate

    @cached_property
    def pair(self) -> tuple[rules.TestClips, ScoredClips, ScoredClips, int]:
        """(clips, the champion's scores, the candidate's, how many recordings were left out)."""
        folder = package_of(self.root, self.version)
        own = self.candidate
        got = answers(folder, own.recordings)
        test, n_left_out = rules.left_out(
            own.test, got.scores, own.answered.scores, trained_by(self.root, self.version)
        )
        sides = (read_manifest(folder / MANIFEST).threshold, got), (own.manifest.threshold, own.answered)
        champion, candidate = (rules.as_scored(test, side.scores, threshold) for threshold, side in sides)
        return test, champion, candidate, n_left_out


def gate(root: Path, history: History, against: str | None = None) -> Gate:
    """Every check of the working folder's package.

    Args:
        root: the repository.
        history: the registry's record.
        against: a version to compare with; None for the champion.
    """
    p = load("gate", GateParams, path=root / "params.yaml")
    candidate = Candidate(root, p)
    name = against or history.in_use("champion")
    champion = Champion(root, find_version(history, name), candidate) if name else None
    checks = list(_checks(candidate, champion, history))
    return Gate(
        registry=p.registry,
        commit=candidate.revision.commit,
        package=_or(lambda: candidate.package, ""),
        model=_or(lambda: candidate.manifest.model, ""),
        corpus=_or(lambda: candidate.manifest.corpus, origin(candidate.corpus)),
        against=champion.version.record.version if champion else None,
        test_set=_or(lambda: candidate.shown.model_copy(update={"looks": history.looks(candidate.shown.hash)}), None),
        checks=tuple(checks),
    )


def _or(what: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return what()
    except (DataError, ParamError):
        return otherwise


def _checks(own: Candidate, champion: Champion | None, history: History) -> Iterator[Check]:
    """In the order of docs/reference/gate.md: what costs least, and what all else stands on, comes first."""
    yield _asked("tree", lambda: rules.nothing_wrong("tree", changed(own.root), "nothing is changed"))
    yield _asked("fresh", lambda: rules.nothing_wrong("fresh", _stale(own.revision), "dvc.lock is of this commit"))
    yield _asked(
        "whole", lambda: rules.nothing_wrong("whole", [], f"every file is as packed: {own.package[:12]}"), "fail"
    )
    yield _asked("contents", lambda: _contents(own), "fail")
    yield _asked("commit", lambda: _beside(own), "fail")
    yield _asked("corpus", lambda: rules.corpus(own.manifest.corpus, own.params), "fail")
    yield _asked(
        "cards",
        lambda: rules.cards(unwritten(card_of(read_card(own.root / CARD), own.corpus)), unwritten_cards(own.folder)),
        "fail",
    )
    yield _asked("probes", lambda: rules.probes(own.probes))
    yield _asked("test set", lambda: _test_set(own, history))
    yield _asked("sensitivity", lambda: rules.sensitivity(evaluation(own.root), own.params))
    yield _asked(
        "golden", lambda: rules.golden(read_json(own.folder / GOLDEN / GOLDEN_ANSWERS), own.answered.golden), "fail"
    )
    yield _asked("bad input", lambda: rules.bad_input(sorted(bad_inputs()), own.answered.bad), "fail")
    yield _asked("parity", lambda: _parity(own))
    yield _asked("AUC", lambda: _auc(own, champion))
    yield _asked("groups", lambda: _groups(own, champion))


def _asked(name: str, ask: Callable[[], Check], otherwise: str = "no verdict") -> Check:
    """The check, or why it could not be made: for what the package itself should show, that is a failure."""
    try:
        return ask()
    except (DataError, ParamError) as error:
        reason = " ".join(str(error).split())
        return Check(name=name, verdict="fail" if otherwise == "fail" else "no verdict", reason=reason[:500])


def changed(root: Path) -> list[str]:
    """What is in the working tree and not in the commit, as git says it."""
    listed = git(root, "status", "--porcelain", "--untracked-files=normal").decode(errors="replace").splitlines()
    return [f"{line[3:]} is {'not committed' if line[:2] == '??' else 'changed'}" for line in listed]


def _stale(revision: Revision) -> list[str]:
    refuse_what_dvc_cannot_read(revision)
    lock = read_tree(revision, "dvc.lock", Lock).get("stages", {})
    side = Side(revision.name, revision.commit, lock, read_params(revision), corpora={}, subsets={}, deployed=None)
    stale = stale_stages(revision, side)
    return [f"{stage}: {', '.join(reasons)}" for stage, reasons in stale.items()]


def _contents(own: Candidate) -> Check:
    _ = own.package
    return rules.nothing_wrong("contents", problems_inside(own.folder), "manifest, weights, cards and numbers agree")


def _beside(own: Candidate) -> Check:
    _ = own.package
    params, _ = read(own.root / "params.yaml")
    problems = problems_beside(own.folder, own.root, params, own.locked)
    return rules.nothing_wrong("commit", problems, f"it is what {own.revision.commit[:8]} makes")


def _test_set(own: Candidate, history: History) -> Check:
    shown = own.shown
    return rules.test_set(shown.n_speakers, shown.n_patients, history.looks(shown.hash), own.params)


def _parity(own: Candidate) -> Check:
    return rules.parity(pipeline_scores(own.root, own.manifest.model), own.answered.scores, own.manifest.threshold)


def _auc(own: Candidate, champion: Champion | None) -> Check:
    if champion is None:
        return rules.first_auc(evaluation(own.root), own.probes, own.baselines, own.params)
    _, before, after, n_left_out = champion.pair
    return rules.champion_auc(before, after, n_left_out, own.params)


def _groups(own: Candidate, champion: Champion | None) -> Check:
    if champion is None:
        return rules.first_groups(evaluation(own.root), own.baselines, own.params)
    test, before, after, _ = champion.pair
    return rules.champion_groups(test, before, after, own.params)


def power(root: Path, history: History, against: str | None = None) -> str:
    """A table of how likely a model passes, by its true difference and the number of speakers.

    By the error of the difference between this package and the champion; with no champion, between the deployed model
    and the next one, by the report.

    Raises:
        DataError: there is nothing to compare with.
    """
    p = load("gate", GateParams, path=root / "params.yaml")
    own = Candidate(root, p)
    if name := against or history.in_use("champion"):
        _, before, after, _ = Champion(root, find_version(history, name), own).pair
        if reason := why_not_paired(before, after):
            raise DataError(f"power cannot be computed: {reason}")
        error = rules.seen(rules.difference_of_auc(before, after, p), after.n_speakers, p.confidence)
    else:
        error = rules.seen_in_report(evaluation(root), own.evaluate.confidence)
    opening = (
        f"Chance that a model passes: margin {p.margin} of AUC, {p.confidence:.0%} confidence. Standard error of the "
        f"difference: {error.error:.4f} with {error.n_speakers} speakers."
    )
    return f"{opening}\n\n{columns(plan(error, p.margin, p.confidence, p.power))}"
