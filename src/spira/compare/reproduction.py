"""Two versions of dvc.lock -> whether the same inputs gave the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spira.compare.staleness import hashes

Stages = Mapping[str, Mapping[str, Any]]  # the ``stages`` of dvc.lock, by name
_N_NAMED = 5


@dataclass(frozen=True)
class Reproduction:
    """What became of each stage's outputs."""

    n_stages: int
    same: tuple[str, ...]  # outputs that have the bytes of before
    other: tuple[str, ...]  # outputs that have others, of the same inputs
    changed: tuple[str, ...]  # stages whose inputs are others: code, data, parameters or the command

    def sentence(self, before: str, here: str) -> str:
        """One line for a person.

        Args:
            before: the processor that made the committed bytes.
            here: this one.
        """
        named = ", ".join(self.other[:_N_NAMED]) + (", ..." if len(self.other) > _N_NAMED else "")
        parts = []
        if self.other:
            parts.append(
                f"NOT the committed bytes: {len(self.other)} of {len(self.other) + len(self.same)} outputs are others "
                f"of the same inputs: {named}"
            )
        elif self.same:
            parts.append(f"the committed bytes came out: {len(self.same)} outputs of the same inputs")
        if self.changed:
            parts.append(f"{len(self.changed)} of {self.n_stages} stages have other inputs than the committed ones")
        return f"{'; '.join(parts) or 'no stage has run'} (committed: {before}; here: {here})"


def reproduced(before: Stages, after: Stages) -> Reproduction:
    """``before`` is what is committed, ``after`` what ``dvc repro`` has just written."""
    changed = tuple(name for name in after if _inputs(before.get(name, {})) != _inputs(after[name]))
    same: list[str] = []
    other: list[str] = []
    for name, stage in after.items():
        if name not in changed:
            committed = hashes(before[name], "outs")
            for path, md5 in hashes(stage, "outs").items():
                (same if committed.get(path) == md5 else other).append(path)
    return Reproduction(len(after), tuple(same), tuple(other), changed)


def _inputs(stage: Mapping[str, Any]) -> tuple[Any, ...]:
    return stage.get("cmd"), hashes(stage, "deps"), stage.get("params", {})
