"""What a sweep notes of its experiments as each ends, one JSON line each, so that a later run need not repeat it."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from spira.base.errors import DataError
from spira.base.tables import read_json
from spira.sweeps.clones import Snapshot
from spira.sweeps.optuna_study import Trial
from spira.sweeps.plan import Plan, Training

WORK = Path(".dvc/tmp/sweep")  # of each plan its notes, logs and workplaces
RESULTS = Path("data/sweeps")  # of each study its history, as a table and pictures


class Ledger:
    """The notes of one plan in the folder that also has its logs."""

    def __init__(self, folder: Path, taken: Snapshot, plan: Plan) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Another commit, other files or another search space is another history; more trials are not.
        asked = plan.study and (plan.study.params.model_dump(exclude={"n_trials"}), plan.study.parameters)
        key = sha256(f"{taken.base}{taken.patch!r}{plan.base}{asked}".encode()).hexdigest()[:12]
        self._trials = folder / f"trials-{key}.jsonl"

    def trials(self) -> list[Trial]:
        """The study's history."""
        return [
            Trial(**{**line, "curve": tuple((step, loss) for step, loss in line["curve"])})
            for line in _lines(self._trials)
        ]

    def add(self, trial: Trial) -> None:
        _append(self._trials, asdict(trial))

    def took(self, commit: str, seconds: float) -> None:
        """An experiment's time; its commit knows no clock."""
        _append(self.folder / "minutes.jsonl", {"commit": commit, "minutes": round(seconds / 60, 2)})


def minutes(folder: Path) -> dict[str, float]:
    """How long each experiment took here, by its commit; one that came from elsewhere is not there."""
    return {line["commit"]: line["minutes"] for line in _lines(folder / "minutes.jsonl")}


def live_curve(data: Path, training: Training, log: str) -> list[float]:
    """The validation losses that a training has written so far, one an epoch; [] before the first.

    Args:
        log: what DVC said so far. Until it names the stage, the file there is the curve of the commit that the
            experiment starts from, which DVC checks out first; when it does, that file is gone.
    """
    if f"tage '{training.stage}'" not in log:  # Running stage ..., or Stage ... is cached, or did not change
        return []
    try:
        text = (data / "curves" / training.folder / "plots/metrics/validation/loss.tsv").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]  # a line that is being written waits
    return [float(row["loss"]) for row in csv.DictReader(whole.splitlines(), delimiter="\t")]


def validation_loss(data: Path, training: Training) -> float:
    """The lowest of one training, as the stage that trains wrote it beside the weights."""
    path = data / "models" / training.folder / "model.json"
    loss = read_json(path).get("validation_loss")
    if not isinstance(loss, float):
        raise DataError(f"{path}: validation_loss must be a number, got {loss!r}")
    return loss


def _append(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, allow_nan=False) + "\n")  # one write: two threads' lines stay whole


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
