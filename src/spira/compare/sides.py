"""One of the two revisions that a review compares, and what the two have in common to be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import ConfigDict, Field

from spira.base.array_types import Floats
from spira.base.section import Section
from spira.compare.committed import Distance
from spira.compare.probe_changes import Probes
from spira.compare.staleness import Tree, hashes
from spira.evaluation.paired import COMPARED, Difference, paired_differences, why_not_paired
from spira.features.conditions import Condition
from spira.predictions.scored import ScoredClips


@dataclass(frozen=True)
class Side:
    """A revision as it was committed."""

    name: str  # as it was asked for
    commit: str  # 40 hex digits
    lock: Tree  # the stages of dvc.lock, by name
    params: Tree  # params.yaml
    corpora: Mapping[str, str]  # md5 by path of every folder that a .dvc file names
    subsets: Mapping[tuple[str, str], str]  # each cell of the table of subsets, by row and column
    deployed: str | None  # name of the model; None where the commit does not say
    because: str = ""  # why it is this one
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)  # by model and condition
    # AUC of the first model less that of the second, by pair of models and condition
    distances: Mapping[tuple[str, str], Mapping[str, Distance]] = field(default_factory=dict)
    probes: Mapping[str, Probes] = field(default_factory=dict)  # by model and name; {} from before there were any
    # by model and condition; {} where not at hand
    test_clips: Mapping[str, Mapping[str, ScoredClips]] = field(default_factory=dict)
    missing: str = ""  # why not
    # validation loss by epoch, by model and training; {} where not at hand
    losses: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()  # a sentence for each file that is not as it must be, and is gone without

    @property
    def models(self) -> tuple[str, ...]:
        """Those that it has numbers or scores of, the one that is deployed first."""
        found = dict.fromkeys((*self.metrics, *self.test_clips))
        return tuple(sorted(found, key=lambda name: name != self.deployed))

    @property
    def scheme(self) -> str:
        """How its speakers were split; a commit from before there was a choice held some out."""
        return str(self.params.get("split", {}).get("scheme", "holdout"))

    @property
    def data(self) -> dict[str, str]:
        """md5 by path of all that DVC holds of it."""
        made = {path: md5 for stage in self.lock.values() for path, md5 in hashes(stage, "outs").items()}
        return {**made, **self.corpora}


class Rules(Section):
    """What the review reads of a commit's section ``evaluate``, whatever else that commit had or lacked there."""

    model_config = ConfigDict(extra="ignore")

    threshold_condition: Condition
    confidence: float = Field(gt=0, lt=1)


@dataclass(frozen=True)
class Comparison:
    """Two sides, compared by the rules of head: a model of each, which are those that are deployed unless said."""

    base: Side
    head: Side
    rules: Rules
    models: tuple[str | None, str | None]  # of base and of head

    @property
    def headline(self) -> str:
        """The condition whose AUC decides."""
        return str(self.rules.threshold_condition)

    @property
    def both(self) -> tuple[Side, Side]:
        return self.base, self.head

    def between(self, base: str | None, head: str | None) -> "Comparison":
        """The same two sides by another model of each."""
        return replace(self, models=(base, head))

    def why_not(self) -> str | None:
        """What keeps the two from being paired; None where nothing does."""
        for side, model in zip(self.both, self.models, strict=True):
            if not side.test_clips:
                return f"the predictions of {side.name} are not at hand{side.missing}"
            if model is None:
                return f"{side.name} does not say which of its models is deployed"
            if model not in side.test_clips:
                return f"{side.name} has no predictions of its model {model}"
        if self.base.params.get("corpus") != self.head.params.get("corpus"):
            return "the corpora differ, so the test clips are of other people"
        if (schemes := [side.scheme for side in self.both])[0] != schemes[1]:
            return (
                f"split.scheme differs, {schemes[0]} against {schemes[1]}, so the models were trained on other people"
            )
        reasons = (why_not_paired(base, head) for base, head in self._test_clips().values())
        return next(filter(None, reasons), None)

    def differences(self) -> dict[str, dict[str, Difference]]:
        """By condition and metric; {} where the two cannot be paired."""
        if self.why_not():
            return {}
        return {
            condition: paired_differences(base, head, self.rules.confidence, COMPARED)
            for condition, (base, head) in self._test_clips().items()
        }

    def points(self) -> list[Mapping[str, Mapping[str, float]]]:
        """Metrics of base and of head by condition, as each commit states them."""
        return [side.metrics.get(model or "", {}) for side, model in zip(self.both, self.models, strict=True)]

    def clips(self) -> list[Mapping[str, ScoredClips]]:
        """Test clips of base and of head by condition."""
        return [side.test_clips.get(model or "", {}) for side, model in zip(self.both, self.models, strict=True)]

    def probes(self) -> tuple[Probes, Probes]:
        """Of base and of head."""
        base, head = (side.probes.get(model or "", {}) for side, model in zip(self.both, self.models, strict=True))
        return base, head

    def _test_clips(self) -> dict[str, tuple[ScoredClips, ScoredClips]]:
        """Those of base and head, by the conditions that both have."""
        base, head = self.clips()
        return {name: (base[name], head[name]) for name in sorted(base.keys() & head.keys())}
