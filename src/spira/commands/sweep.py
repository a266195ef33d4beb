"""sweep: a table or a study of ``experiments/`` -> one DVC experiment a row or trial."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spira.base.errors import ParamError

if TYPE_CHECKING:
    from spira.cluster.address import Scheduler
    from spira.sweeps.plan import Plan


@click.command
@click.argument("path", type=Path, metavar="PLAN")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Experiments at once; never more than there are GPUs, or workers.  [default: 1; with --cluster, all workers]",
)
@click.option("--cluster", is_flag=True, help="Run them on the workers of the Dask scheduler that SPIRA_CLUSTER names.")
def command(path: Path, jobs: int | None, cluster: bool) -> int:
    """Run a table or a study of experiments/ as DVC experiments.

    PLAN is a file of experiments/. What is there already, with the same parameters, code and data, is not run again,
    so the same command goes on after Ctrl-C. A study is decided by the validation loss of the model that it names;
    nothing of the test set is read. With --cluster a worker runs one experiment at a time, in a clone on the disk that
    all machines share.

    \b
    Example:
      spira sweep experiments/ablation.yaml --jobs 2
      SPIRA_CLUSTER=tcp://head:8786 spira sweep experiments/gate.yaml --cluster

    Exit codes: 0 done; 1 an experiment failed, or the plan is wrong; 130 ended by Ctrl-C or SIGTERM, with all that it
    started.
    """
    from spira.base.params import PARAMS, read
    from spira.compare.revision import Revision, read_params
    from spira.sweeps.clones import interruptible
    from spira.sweeps.plan_file import read_plan
    from spira.sweeps.sweep import sweep

    scheduler = _scheduler() if cluster else None
    interruptible()
    params, _ = read(PARAMS)
    plan = read_plan(path, params)
    _refuse_impossible(path, plan, params)
    return sweep(Path.cwd(), plan, params, jobs, scheduler, lambda *experiment: read_params(Revision(*experiment)))


def _scheduler() -> "Scheduler":
    """The one that SPIRA_CLUSTER names; ParamError where it names none.

    This process's arithmetic is settled as a stage's, for it is compared with that of the workers.
    """
    from spira.base.arithmetic import settle
    from spira.cluster.address import ASKED, Scheduler, asked

    found = asked(os.environ)
    if not isinstance(found, Scheduler):
        raise ParamError(
            f"{ASKED}: must be tcp://host:port or tls://host:port of a Dask scheduler for --cluster, got "
            f"{os.environ.get(ASKED, 'nothing')}; on this machine alone: --jobs N"
        )
    settle()
    return found


def _refuse_impossible(path: Path, plan: "Plan", params: dict[str, Any]) -> None:
    """What the stage ``check`` would refuse in minutes to come, at once and for all rows."""
    from spira.stages import check
    from spira.sweeps.plan_file import settings

    problems = [
        f"{path}: {key}: {name}: {message}"
        for key, tree in settings(plan, params)
        for name, message in check.problems(json.loads(json.dumps(tree, allow_nan=False)))  # values as YAML has them
    ]
    if problems:
        raise ParamError("\n".join(problems))
