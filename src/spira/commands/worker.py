"""worker: a scheduler's address -> a Dask worker that makes shards for stages and runs trials, until it is ended."""

import click

from spira.base.errors import DataError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("address", metavar="SCHEDULER")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def command(address: str, options: tuple[str, ...]) -> None:
    """Work for stages and sweeps of another machine, by Dask.

    SCHEDULER is tcp://host:port or tls://host:port. To be started in the repository's folder, on a disk that all
    machines share; where stages run with SPIRA_CLUSTER_STORAGE, anywhere. This is Dask's own worker with one thread;
    OPTIONS are Dask's too (`dask worker --help`). Where a stage runs with SPIRA_CLUSTER=SCHEDULER, each worker starts a
    process for it, and ends that with the stage.

    \b
    Example:
      spira worker tcp://10.0.0.1:8786 --nworkers 8

    Exit codes: 0 ended by SIGTERM or Ctrl-C; 1 it cannot begin, or the scheduler is gone.
    """
    try:
        from distributed.cli.dask_worker import main
    except ImportError as error:
        raise DataError(f"worker: needs Dask's distributed: pip install 'spira[cluster]' ({error})") from error
    # The process for a stage has one thread, and its memory is not this process's, which Dask would measure.
    main.main([address, "--nthreads", "1", "--memory-limit", "0", *options], standalone_mode=False)
