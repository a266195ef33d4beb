"""train-parallel: the trainings that ``dvc repro`` would run one after the other, several at once.

``make repro JOBS=3`` runs it before the rest.
"""

import click


@click.command
@click.argument("jobs", type=click.IntRange(min=1))
def command(jobs: int) -> int:
    """Run the trainings that are to run, several at once.

    JOBS is how many at once. On a CPU they share the cores; GPUs are dealt out in turn. The same bytes come out as
    one after the other. `make repro JOBS=3` runs it before the rest.

    \b
    Example:
      spira train-parallel 3

    Exit codes: 0 done; 1 a training failed, which is named; 130 ended by Ctrl-C or SIGTERM, with all that it started.
    """
    from spira.clips.parallel import n_cores
    from spira.sweeps.clones import interruptible
    from spira.sweeps.trainings import train_parallel

    interruptible()
    return train_parallel(jobs, n_cores())
