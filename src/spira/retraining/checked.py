"""All rules of the section `retrain`, each by its own evidence; what cannot be read is not known."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from spira.base.errors import DataError, ParamError
from spira.base.params import load
from spira.registry.history import Event, History
from spira.retraining import rules
from spira.retraining.evidence import people_since, reports
from spira.retraining.params import RetrainParams
from spira.retraining.rules import Rule

_NO_CHAMPION = "there is no champion yet: spira promote makes the first"
_NO_FOLDER = "no folder of reports was named: --monitoring FOLDER"
_LONGEST = 500  # characters of a reason


@dataclass(frozen=True)
class Corpus:
    """Where the corpus lies as it is now."""

    folder: Path  # with its metadata.csv
    recordings: bool  # whether they lie beside it


@dataclass(frozen=True)
class Checked:
    """What came of all rules."""

    registry: str
    champion: str | None  # the version in use
    day: date
    rules: tuple[Rule, ...]

    @property
    def train(self) -> bool:
        """Whether one holds at least."""
        return any(rule.holds for rule in self.rules)

    @property
    def known(self) -> bool:
        """Whether anything is known of one at least."""
        return any(rule.holds is not None for rule in self.rules)

    @property
    def reasons(self) -> list[str]:
        """A line for each rule that holds."""
        return [f"{rule.name}: {rule.why}" for rule in self.rules if rule.holds]

    def tree(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "schema_version": 1,
            "registry": self.registry,
            "champion": self.champion,
            "day": self.day.isoformat(),
            "train": self.train,
            "rules": [rule._asdict() for rule in self.rules],
        }

    def text(self) -> str:
        """The same for a terminal; the last line says what follows."""
        word = {True: "holds", False: "does not hold", None: "not known"}
        width = max(map(len, rules.RULES))
        lines = [f"{rule.name:<{width}}  {word[rule.holds]:<13}  {rule.why}" for rule in self.rules]
        opening = f"Registry {self.registry}, champion {self.champion or 'none'}."
        return "\n".join([opening, "", *lines, "", rules.conclusion(self.rules)])


def checked(root: Path, history: History, corpus: Corpus, monitoring: Path | None, today: date) -> Checked:
    """Every rule of params.yaml about the champion.

    Args:
        root: the repository.
        history: the registry's record.
        monitoring: the folder whose folders have the reports of drift and feedback; None where there is none.
    """
    p = load("retrain", RetrainParams, path=root / "params.yaml")
    version = history.in_use("champion")
    if version is None:
        found = [rules.not_known(name, _NO_CHAMPION) for name in rules.RULES]
    else:
        found = _about(root, history.versions[version], corpus, monitoring, today, p)
    return Checked(history.registry, version, today, tuple(found))


def _about(
    root: Path, champion: Event, corpus: Corpus, monitoring: Path | None, today: date, p: RetrainParams
) -> list[Rule]:
    version, package = champion.record.version, champion.record.package
    registered = datetime.fromtimestamp(champion.tag.when, UTC).date()

    def folder() -> Path:
        if monitoring is None:
            raise DataError(_NO_FOLDER)
        return monitoring

    ask: dict[str, Callable[[], Rule]] = {
        rules.SPEAKERS: lambda: rules.new_speakers(
            people_since(root, champion, corpus.folder, recordings=corpus.recordings), version, p
        ),
        rules.DRIFT: lambda: rules.repeated_drift(reports(folder(), "drift.json"), package, p),
        rules.AGE: lambda: rules.age(registered, today, p),
        rules.FEEDBACK: lambda: rules.below_promise(reports(folder(), "feedback.json"), package),
    }
    return [_asked(name, one) for name, one in ask.items()]


def _asked(name: str, ask: Callable[[], Rule]) -> Rule:
    """The rule, or why nothing can be said."""
    try:
        return ask()
    except (DataError, ParamError) as error:
        return rules.not_known(name, " ".join(str(error).split())[:_LONGEST])
