"""A plan -> one DVC experiment a row or trial: what is missing is run, and what failed is named.

A study is decided by the validation loss that training writes; this opens no file about the test set.
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from spira.base.errors import DataError
from spira.base.params import read
from spira.cluster.address import Scheduler
from spira.sweeps.clones import Snapshot, Workplace, alone, devices, experiment, furnish, missed, slots, snapshot
from spira.sweeps.experiment_process import start
from spira.sweeps.log import RESULTS, WORK, Ledger, live_curve, validation_loss
from spira.sweeps.on_cluster import workers
from spira.sweeps.optuna_study import Trial, importances, proposal, unpromising
from spira.sweeps.plan import Plan, Study, applied, trainings
from spira.sweeps.plots import draw_study
from spira.sweeps.runner import Start, Trials

N_LINES = 20  # of a failed experiment's log
ReadParams = Callable[[Path, str, str], dict[str, Any]]  # root, an experiment's name and commit -> its params.yaml


def sweep(
    root: Path,
    plan: Plan,
    params: dict[str, Any],
    jobs: int | None,
    cluster: Scheduler | None,
    read_params: ReadParams,
) -> int:
    """Runs what is missing; the exit code: 1 where an experiment failed.

    Args:
        params: the tree of params.yaml.
        jobs: experiments at once; never more than there are GPUs, or workers of the cluster. None for one here, and on
            a cluster for as many as it can.
        cluster: whose workers run them, on the disk that all share; None for this machine.
    """
    if lacking := missed(root, _deps()):
        raise DataError("an experiment would run without these:\n  " + "\n  ".join(lacking))
    with alone(root / WORK / "lock"):
        taken = snapshot(root)
        ledger = Ledger(root / WORK / plan.name, taken, plan)
        todo = _missing_trials(plan.study, ledger) if plan.study else _missing_rows(plan, taken, params, read_params)
        failed = _run(plan, params, ledger, taken, todo, jobs, cluster) if todo else {}
    if plan.study:
        _conclude(plan, plan.study, ledger)
    for name, log in failed.items():
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-N_LINES:]
        print(f"\n{name} FAILED; the end of {log.relative_to(root)}:\n  " + "\n  ".join(tail), file=sys.stderr)
    if failed:
        print(f"\n{len(failed)} of {len(todo)} failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _run(
    plan: Plan,
    params: dict[str, Any],
    ledger: Ledger,
    taken: Snapshot,
    todo: Sequence[str],
    jobs: int | None,
    cluster: Scheduler | None,
) -> dict[str, Path]:
    """The experiments that failed, each with its log."""
    with ExitStack() as stack:
        begin: Start = start
        if cluster is None:
            at_once = slots(min(jobs or 1, len(todo)), devices(os.environ))
        else:
            there = stack.enter_context(workers(cluster, taken.root))
            at_once, begin = [None] * min(jobs or len(todo), len(todo), there.n_at_once()), there.start
        print(f"{plan.name}: {len(todo)} to run, {len(at_once)} at once, from {taken.base[:7]}", flush=True)
        places = [furnish(taken, taken.root / WORK / f"workplace-{i}", device) for i, device in enumerate(at_once)]
        trials = Trials(places, plan, ledger.folder, begin)
        _run_all(plan, params, ledger, trials, todo, places)
    for place in places:
        place.remove()
    return trials.failed


def _run_all(
    plan: Plan,
    params: dict[str, Any],
    ledger: Ledger,
    trials: Trials,
    todo: Sequence[str],
    places: Sequence[Workplace],
) -> None:
    one = (
        partial(_trial, plan, plan.study, params, ledger, trials) if plan.study else partial(_row, plan, ledger, trials)
    )
    with ThreadPoolExecutor(len(places)) as pool:
        try:
            for experiment_run in as_completed([pool.submit(one, row) for row in todo]):
                experiment_run.result()
        except BaseException:
            trials.stop.set()  # each thread ends its experiment and all that it started
            raise


def _row(plan: Plan, ledger: Ledger, trials: Trials, row: str) -> None:
    def finish(place: Workplace, seconds: float) -> str:
        commit = place.collect(plan.experiment(row))
        if trials.trained(row):
            ledger.took(commit, seconds)
        return "done"

    trials.run(row, lambda: plan.rows[row], finish, None)


def _trial(plan: Plan, study: Study, params: dict[str, Any], ledger: Ledger, trials: Trials, row: str) -> None:
    """One trial of a study: its parameters from the history as it is when it starts, its loss from training's files."""
    number, asked = int(row), dict[str, Any]()
    settings = applied(params, plan.base)
    deciding = trainings(study.params.model, settings)
    max_epochs = settings["train"]["max_epochs"]
    curve: list[tuple[int, float]] = []
    history = ledger.trials()

    def ask() -> dict[str, Any]:
        asked.update(proposal(study, history, number))
        return asked

    def hopeless(data: Path, log: str) -> bool:
        """Each epoch is looked at once, in order, so that the verdict does not depend on when somebody looks."""
        seen = [
            (i * max_epochs + epoch, loss)
            for i, training in enumerate(deciding)
            for epoch, loss in enumerate(live_curve(data, training, log))
        ]
        for point in seen[len(curve) :]:
            curve.append(point)
            if unpromising(study, history, curve):
                return True
        return False

    def finish(place: Workplace, seconds: float, *, pruned: bool = False) -> str:
        losses = [] if pruned else [validation_loss(place.folder / "data", training) for training in deciding]
        loss = sum(losses) / len(losses) if losses else None
        if not pruned:
            place.collect(plan.experiment(row))
        ledger.add(Trial(number, "pruned" if pruned else "complete", asked, loss, round(seconds, 1), tuple(curve)))
        return f"pruned at epoch {len(curve)}" if pruned else f"done, validation loss {loss:.4g}"

    trials.run(row, ask, finish, hopeless, partial(finish, pruned=True))


def _missing_rows(plan: Plan, taken: Snapshot, params: dict[str, Any], read_params: ReadParams) -> list[str]:
    """Rows without an experiment of the same parameters, code and data."""
    todo = []
    for row, overrides in plan.rows.items():
        name = plan.experiment(row)
        commit = experiment(taken, name)
        if commit and read_params(taken.root, name, commit) == applied(params, plan.base | overrides):
            print(f"{name}: is there already")
        else:
            todo.append(row)
    return todo


def _missing_trials(study: Study, ledger: Ledger) -> list[str]:
    over = {trial.number for trial in ledger.trials()}
    if over:
        print(f"{len(over)} trials are over already")
    return [f"{number:02}" for number in range(study.params.n_trials) if number not in over]


def _conclude(plan: Plan, study: Study, ledger: Ledger) -> None:
    """The best trial, the history and what explains it: to read, and as tables and pictures."""
    history = sorted(ledger.trials(), key=lambda trial: trial.number)
    complete = [(trial.loss, trial) for trial in history if trial.loss is not None]
    if not complete:
        return
    loss, best = min(complete, key=lambda pair: pair[0])
    name = plan.experiment(f"{best.number:02}")
    settings = " ".join(f"{key}={value}" for key, value in best.parameters.items())
    n_pruned = len(history) - len(complete)
    print(f"best of {len(history)} ({n_pruned} pruned): {name}, validation loss {loss:.4g}: {settings}")
    folder = RESULTS / plan.name
    draw_study(plan.name, history, importances(study, history), folder)
    print(f"history and importances: {folder}; to take it: dvc exp apply {name}")


def _deps() -> list[str]:
    """Every dependency of every stage, as dvc.yaml writes it."""
    stages, _ = read(Path("dvc.yaml"))
    return [dep for stage in stages["stages"].values() for dep in stage.get("deps", [])]
