"""The pipeline killed at random moments and started again until all is done: `python benchmarks/reliability.py kills`.

A repository is killed over and over on its way, by ``kill -9`` of all processes, of dvc alone, of the stage alone, or
of all while a checkpoint is written. Each time the same command is given again, and nobody lays a hand on anything.
Each repository starts as a fresh clone does, with nothing compiled: a kill then parts what is compiled in the process
from what a later one reads.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline_clone import Clone

KINDS = ("group", "dvc", "stage", "checkpoint")
SECONDS_TO_END = 2.0  # for what dvc started, once dvc is gone
_SETTINGS = {"max_epochs: 6": "max_epochs: 25", "patience: 5": "patience: 25"}  # so that kills meet training too


@dataclass
class Tally:
    """What became of the commands that were given."""

    kills: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)  # in which a kill came
    failed: list[str] = field(default_factory=list)  # commands that ended otherwise than well, unkilled
    lasted: list[float] = field(default_factory=list)  # seconds from dvc's death to its last descendant's
    resumed: int = 0  # trainings
    runs: int = 0  # of the whole pipeline
    same: int = 0  # of them, with the bytes of the one that nobody killed

    def __str__(self) -> str:
        kinds = ", ".join(f"{self.kills[kind]} of {what}" for kind, what in _SAID.items() if self.kills[kind])
        last = max(self.lasted, default=0.0)
        orphans = f"; {self.orphans} left after {SECONDS_TO_END:.0f} s, the last gone after {last:.1f} s"
        return (
            f"{self.kills.total()} kills ({kinds}) in {len(self.stages)} stages and {self.runs} runs: "
            f"{len(self.failed)} commands failed, {self.same} of {self.runs} with the same bytes; "
            f"training resumed {self.resumed} times{orphans if self.lasted else ''}"
        )

    @property
    def orphans(self) -> int:
        return sum(seconds > SECONDS_TO_END for seconds in self.lasted)

    @property
    def kept(self) -> bool:
        return not self.failed and self.same == self.runs and not self.orphans


_SAID = {
    "group": "all processes",
    "dvc": "dvc alone",
    "stage": "the stage alone",
    "checkpoint": "all while a checkpoint was written",
}


def killed(folder: Path, n_kills: int, kinds: Sequence[str], seed: int) -> Tally:
    """Runs of the whole pipeline on the tiny corpus, killed so many times altogether."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Clone.filled(folder / "before")
    params = before.folder / "params.yaml"
    for old, new in _SETTINGS.items():
        params.write_text(params.read_text().replace(old, new))
    before.commit("more epochs")
    reference = before.anew("reference")
    reference.dvc("repro")
    rng, tally = np.random.default_rng(seed), Tally()
    while tally.kills.total() < n_kills and not tally.failed:
        place = before.anew(f"run-{tally.runs}")
        while not _command(place, rng, tally, n_kills, kinds):
            pass
        tally.runs += 1
        tally.same += _results(place) == _results(reference)
    return tally


def _command(place: Clone, rng: np.random.Generator, tally: Tally, n_kills: int, kinds: Sequence[str]) -> bool:
    """``make repro``, killed or not; whether the pipeline is at its end, or cannot go on."""
    kind = str(rng.choice(kinds)) if tally.kills.total() < n_kills else "none"
    wait = rng.uniform(0.0, 20.0)
    place.run(sys.executable, "-m", "spira", "doctor", "--locks", set_={"PYTHONPATH": "src"})
    log = place.folder.parent / "log"
    with log.open("wb") as said:
        dvc = subprocess.Popen(
            ["dvc", "repro"],
            cwd=place.folder,
            env=place.environment(),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    due = kind != "none" and _struck(dvc, kind, time.monotonic() + wait, place)
    if due and kind != "stage":
        began = time.monotonic()
        while _living(dvc.pid) and time.monotonic() < began + 60:
            time.sleep(0.01)
        if kind == "dvc":
            tally.lasted.append(time.monotonic() - began)
    status = dvc.wait()
    text = log.read_text(errors="replace")
    tally.resumed += text.count("training goes on after epoch")
    if due:
        tally.kills[kind] += 1
        tally.stages[(re.findall(r"Running stage '(\w+)", text) or ["before the first"])[-1]] += 1
        return False
    if status:
        tally.failed.append(text[-2000:])
        print(f"{place.folder}: exit status {status}, {tally}\n{text}", file=sys.stderr)
    return True


def _struck(dvc: subprocess.Popen[bytes], kind: str, when: float, place: Clone) -> bool:
    """Kills when it is time and there is what is to be killed; False where the command ended before."""
    left = set(place.folder.glob(".ckpt/*.part"))  # by an earlier kill
    while dvc.poll() is None:
        if kind == "checkpoint" and set(place.folder.glob(".ckpt/*.part")) - left:
            os.killpg(dvc.pid, signal.SIGKILL)
            return True
        if kind != "checkpoint" and time.monotonic() > when:
            victims = {"dvc": [dvc.pid], "stage": list(_stages(dvc.pid)), "group": [-dvc.pid]}[kind]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            if victims:
                return True
        time.sleep(0.001)
    return False


def _living(session: int) -> list[int]:
    """Living processes of the command, dvc's own aside where it waits to be asked for its status."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(folder.name))
    return found


def _stages(session: int) -> Iterator[int]:
    for pid in _living(session):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if any(word.startswith("spira.stages.") for word in words) and "python" in words[0]:
            yield pid


def _results(place: Clone) -> dict[str, bytes]:
    """dvc.lock, which has the hash of every out; and weights, predictions and metrics themselves."""
    data = place.folder / "data"
    files = [place.folder / "dvc.lock", data / "predictions.csv", data / "metrics.json", *data.glob("models/*/*/*")]
    return {str(file.relative_to(place.folder)): file.read_bytes() for file in files if file.is_file()}
