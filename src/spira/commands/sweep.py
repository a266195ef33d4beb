"""sweep: a table or a study of ``experiments/`` -> one DVC experiment a row or trial."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spira.base.errors import ParamError

if TYPE_CHECKING:
    from spira.sweeps.plan import Plan


@click.command
@click.argument("path", type=Path, metavar="PLAN")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Experiments at once; never more than there are GPUs.",
)
def command(path: Path, jobs: int) -> int:
    """Run a table or a study of experiments/ as DVC experiments.

    PLAN is a file of experiments/. What is there already, with the same parameters, code and data, is not run again,
    so the same command goes on after Ctrl-C. A study is decided by the validation loss of the model that it names;
    nothing of the test set is read.

    \b
    Example:
      spira sweep experiments/ablation.yaml --jobs 2

    Exit codes: 0 done; 1 an experiment failed, or the plan is wrong; 130 ended by Ctrl-C or SIGTERM, with all that it
    started.
    """
    from spira.base.params import PARAMS, read
    from spira.compare.revision import Revision, read_params
    from spira.sweeps.clones import interruptible
    from spira.sweeps.plan_file import read_plan
    from spira.sweeps.sweep import sweep

    interruptible()
    params, _ = read(PARAMS)
    plan = read_plan(path, params)
    _refuse_impossible(path, plan, params)
    return sweep(Path.cwd(), plan, params, jobs, lambda *experiment: read_params(Revision(*experiment)))


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
