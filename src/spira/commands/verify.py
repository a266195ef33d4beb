"""verify: the remote -> each of its files is what its name says, or is healed."""

import click


@click.command
def command() -> None:
    """Read this revision's data back from the remote; heal damage.

    What is damaged there is sent again from this cache.

    \b
    Example:
      spira verify

    Exit codes: 0 all is sound; 1 some was damaged or is missing, which is named, healed or not.
    """
    from spira.remote.synchronization import synchronize, verify

    click.echo(synchronize(verify))
