"""push: this revision's data -> the remote."""

import click


@click.command
def command() -> None:
    """Send this revision's data to the remote.

    What the remote lacks is sent, and what it holds damaged. Unlike `dvc push`, it fails unless all of it is there.

    \b
    Example:
      spira push

    Exit codes: 0 all is on the remote; 1 some is not, which is named.
    """
    from spira.remote.synchronization import push, synchronize

    click.echo(synchronize(push))
