"""The package of the working folder, and the champion beside it: what the gate's rules are given, each read once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from spira.base.errors import DataError
from spira.base.params import load, read
from spira.base.tables import read_json
from spira.compare.revision import Revision, resolve
from spira.evaluation.params import EvaluateParams
from spira.evaluation.results import Evaluation
from spira.ingest.sources import Source
from spira.models.params import ModelsParams
from spira.predictions.scored import ScoredClips
from spira.registry.comparison import TestClips, as_scored, left_out
from spira.registry.evidence import evaluation, own_test_clips, recordings, trained_by
from spira.registry.history import Event
from spira.registry.packages import PACKAGE, outs_at, package_of
from spira.registry.params import GateParams
from spira.registry.rules import Answers
from spira.registry.scoring import Answered, answers
from spira.scorer.contents import require_whole
from spira.scorer.manifest import MANIFEST, Manifest, read_manifest

T = TypeVar("T")
Pair = tuple[TestClips, ScoredClips, ScoredClips, int]


@dataclass
class Candidate:
    """The working folder; a piece that cannot be read raises DataError wherever it is used."""

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
        """What dvc.lock calls data/package by."""
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
    def tree(self) -> dict[str, Any]:
        """params.yaml."""
        return read(self.root / "params.yaml")[0]

    @property
    def corpus(self) -> str:
        return str(self.tree["corpus"])

    @cached_property
    def evaluation(self) -> Evaluation:
        return evaluation(self.root)

    @cached_property
    def probes(self) -> dict[str, Any]:
        """The answers about the deployed model, by probe."""
        tree = read_json(self.root / "data/probes.json")
        return dict(tree.get("models", {}).get(self.evaluation.deployed, {}).get("probes", {}))

    @cached_property
    def test(self) -> TestClips:
        return own_test_clips(self.root, self.evaluate)

    @cached_property
    def recordings(self) -> dict[str, Source]:
        return recordings(self.root, self.corpus, self.test.clips)

    @cached_property
    def _answered(self) -> Answered | DataError:
        try:
            _ = self.package  # nothing is run of a folder that is not whole
            return answers(self.folder, self.recordings, try_bad=True)
        except DataError as error:
            return error

    @property
    def answered(self) -> Answered:
        """What it says of all that the gate asks, in one process; it is asked once, be it in vain."""
        return _or_raised(self._answered)


@dataclass
class Champion:
    """The version in use, and the recordings that it and the candidate may both be asked about."""

    version: Event
    candidate: Candidate

    @cached_property
    def _answered(self) -> Answered | DataError:
        own = self.candidate
        try:
            return answers(package_of(own.root, self.version), own.recordings)
        except DataError as error:
            return error

    @property
    def cost(self) -> Answers:
        """What a recording costs it; empty where it does not say."""
        return _or_raised(self._answered).cost

    @cached_property
    def _pair(self) -> Pair | DataError:
        own = self.candidate
        try:
            folder, got = package_of(own.root, self.version), _or_raised(self._answered)
            test, n_left_out = left_out(own.test, got.scores, own.answered.scores, trained_by(own.root, self.version))
            champion = as_scored(test, got.scores, read_manifest(folder / MANIFEST).threshold)
            return test, champion, as_scored(test, own.answered.scores, own.manifest.threshold), n_left_out
        except DataError as error:
            return error

    @property
    def pair(self) -> Pair:
        """(clips, the champion's scores, the candidate's, how many recordings were left out)."""
        return _or_raised(self._pair)


def _or_raised(found: T | DataError) -> T:
    if isinstance(found, DataError):
        raise found
    return found
