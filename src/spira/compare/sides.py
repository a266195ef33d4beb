"""One of the two revisions that a review compares, and what the two have in common to be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ConfigDict, Field

from spira.base.array_types import Floats
from spira.base.section import Section
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
    metrics: Mapping[str, dict[str, float]]  # of evaluation.json, by condition
    corpora: Mapping[str, str]  # md5 by path of every folder that a .dvc file names
    subsets: Mapping[tuple[str, str], str]  # each cell of the table of subsets, by row and column
    probes: Probes = field(default_factory=dict)  # of probes.json, by name; {} from before there were any
    test_clips: Mapping[str, ScoredClips] = field(default_factory=dict)  # by condition; {} where not at hand
    missing: str = ""  # why not
    # validation loss by epoch, by seed; {} where not at hand
    losses: Mapping[str, Floats] = field(default_factory=dict)
    refused: tuple[str, ...] = ()  # a sentence for each file that is not as it must be, and is gone without

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
    """Two sides, compared by the rules of head."""

    base: Side
    head: Side
    rules: Rules

    @property
    def headline(self) -> str:
        """The condition whose AUC decides."""
        return str(self.rules.threshold_condition)

    @property
    def both(self) -> tuple[Side, Side]:
        return self.base, self.head

    def why_not(self) -> str | None:
        """What keeps the two from being paired; None where nothing does."""
        for side in self.both:
            if not side.test_clips:
                return f"the predictions of {side.name} are not at hand{side.missing}"
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

    def _test_clips(self) -> dict[str, tuple[ScoredClips, ScoredClips]]:
        """Those of base and head, by the conditions that both have."""
        conditions = sorted(self.base.test_clips.keys() & self.head.test_clips.keys())
        return {name: (self.base.test_clips[name], self.head.test_clips[name]) for name in conditions}
