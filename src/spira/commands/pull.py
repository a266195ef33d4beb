"""pull: the remote -> this revision's data."""

import click


@click.command
def command() -> None:
    """Bring this revision's data from the remote.

    Each file is kept only once its hash is right, and the workspace changes only when all have arrived.

    \b
    Example:
      spira pull

    Exit codes: 0 all is here; 1 some is not, which is named.
    """
    from spira.remote.synchronization import pull, synchronize

    click.echo(synchronize(pull))
